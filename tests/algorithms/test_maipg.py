from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from builders import SMALL, rollout
from descant.algorithms import _action_critic, _settings, maipg, mappo
from descant.algorithms._actor_critic import _unjudged
from descant.ascent.climb import Climb
from descant.ascent.terms import Guidance
from descant.ascent.together import flatten
from descant.core.algorithm import each_tick
from descant.core.errors import UserError
from descant.credit.schedules import Given
from descant.domains import particle
from descant.testing.contracts import check_algorithm
from toys import balance

TOY = balance.make(balance.Config())
CRITIC = _settings.Critic(hidden=8, depth=1)
CONFIG = maipg.Config(base=SMALL, critic=CRITIC, embed=4)


def particles(**changes):
    return particle.make(particle.Config(agents=2, horizon=4, **changes))


@pytest.mark.parametrize(
    ("domain", "net", "changes"),
    [
        (particles(push="force"), "mlp", {"mixer": "sum"}),
        (particles(), "gru", {"following": "sampled", "noise": False}),
        (particles(push="force"), "gru", {"following": "best"}),
        (particles(), "mlp", {"mixer": "joint"}),
        (TOY, "pointer", {"measured": True}),
        (TOY, "mlp", {"guide": (0.9, 0.5), "hard": False, "stop": 0.1}),
    ],
)
def test_the_contract_holds_everywhere(domain, net, changes):
    base = replace(SMALL, net=net, chunk=2)
    config = replace(CONFIG, base=base, **changes)
    check_algorithm(lambda d: maipg.make(config, d), domain, steps=4)


def test_what_is_in_it():
    plain = maipg.make(CONFIG, TOY)
    assert list(plain.probes) == ["luck"]
    assert not maipg.make(replace(CONFIG, noise=False), TOY).probes
    nothing = maipg.make(replace(CONFIG, nu=0.0), TOY)
    assert nothing.actions.weight is None
    assert len(nothing.credit.links) == 2
    assert maipg.make(replace(CONFIG, measured=True), TOY).weigher.name == "nu"
    state = jax.jit(lambda key: plain.actions.init(key))(jax.random.key(0))
    assert isinstance(plain.actions.term(state, _unjudged(rollout(agents=3))), Climb)
    guided = maipg.make(replace(CONFIG, guide=(0.9, 0.5)), TOY)
    assert isinstance(guided.ascent.terms[-1], Guidance)
    assert guided.actions.weight is not None


def test_a_weight_may_be_data():
    """Of one program, at 0, it is the algorithm whose value nobody climbs."""
    # Nothing keeps the actor near the policy that made up this rollout.
    at = maipg.weighted(replace(CONFIG, base=replace(SMALL, trust=None)), TOY)
    given = rollout(agents=3)
    luck = jax.random.uniform(jax.random.key(1), given.log_prob.shape)
    given = replace(given, probes={**given.probes, "luck": luck})

    @jax.jit
    def actor(weight, key):
        algorithm = at(None) if weight is None else at(Given(level=weight))
        learner = algorithm.init(key)
        return algorithm.update(learner, given, jnp.float32(0), key)[0].actor

    plain, none, half = (actor(w, jax.random.key(0)) for w in (None, 0.0, 0.5))
    for a, b in zip(jax.tree.leaves(plain), jax.tree.leaves(none), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
    assert any(
        float(jnp.max(jnp.abs(a - b))) > 1e-4
        for a, b in zip(jax.tree.leaves(none), jax.tree.leaves(half), strict=True)
    )


@pytest.mark.parametrize("scale", ["advantages", "rewards"])
@pytest.mark.parametrize("guide", [1.0, 0.25])
def test_return_and_value_share_what_guidance_leaves(scale, guide):
    algorithm, free = (
        maipg.make(replace(CONFIG, scale=scale, guide=weight), TOY)
        for weight in ((guide, guide), None)
    )
    given = rollout(agents=3)

    @jax.jit
    def units(key):
        learner, other = algorithm.init(key), free.init(key)
        start = _unjudged(given)
        signal, _ = algorithm.credit(start, given, jnp.float32(0), learner.credit)
        whole, _ = free.credit(start, given, jnp.float32(0), other.credit)
        mine = algorithm.actions.term(learner.actions, signal).unit
        return mine, free.actions.term(other.actions, whole).unit

    mine, alone = units(jax.random.key(0))
    assert float(alone) > 0
    assert float(mine) == pytest.approx((1 - guide) * float(alone), rel=1e-5)


def test_its_parts_are_mappo_s_and_the_value_s():
    """Before any weight, and with the value in the unit of the advantage."""
    given = rollout(agents=3)
    luck = jax.random.uniform(jax.random.key(1), given.log_prob.shape)
    given = replace(given, probes={**given.probes, "luck": luck})
    algorithm, plain = maipg.make(CONFIG, TOY), mappo.make(SMALL, TOY)

    @jax.jit
    def parts(key):
        learner, other = algorithm.init(key), plain.init(key)
        assess = jax.vmap(jax.vmap(learner.actor.assess))
        said = assess(given.observation, given.action)
        said = said._replace(who=said.who[0, 0], known=said.known[0, 0])
        start = _unjudged(given)
        signal, _ = algorithm.credit.split(start, given, learner.credit)
        term = algorithm.actions.term(learner.actions, signal)
        charged = term.each(each_tick(said, flatten), flatten(given))
        mine = algorithm.parts(learner, said, given)
        return mine, plain.parts(other, said, given).learning, charged

    mine, learning, charged = parts(jax.random.key(0))
    np.testing.assert_allclose(mine.learning, learning, rtol=1e-5)
    np.testing.assert_allclose(mine.guidance.reshape(charged.shape), charged, rtol=1e-5)
    assert float(jnp.max(jnp.abs(charged))) > 1e-4


def test_a_rollout_keeps_what_no_action_changes_unless_it_is_too_much(monkeypatch):
    algorithm, given = maipg.make(CONFIG, TOY), rollout(agents=3)
    luck = jax.random.uniform(jax.random.key(1), given.log_prob.shape)
    given = replace(given, probes={**given.probes, "luck": luck})

    @jax.jit
    def charged(key):
        learner = algorithm.init(key)
        read = algorithm._read(learner, given)
        ticks, term = flatten(read), algorithm.actions.term(learner.actions, _unjudged(given))
        said = jax.vmap(learner.actor.assess)(ticks.observation, ticks.action)
        said = said._replace(who=said.who[0], known=said.known[0])
        return term.each(said, ticks), term.each(said, flatten(given))

    kept, anew = charged(jax.random.key(0))
    assert float(jnp.max(jnp.abs(kept))) > 1e-4
    np.testing.assert_allclose(kept, anew, rtol=1e-4, atol=1e-6)
    learner = algorithm.init(jax.random.key(0))

    def found():
        asked = algorithm.actions, learner.actions, learner.actor, given
        look = jax.eval_shape(lambda a, s, _, given: a.look(s, given), *asked)
        return look is not None, jax.eval_shape(lambda a, *rest: a.read(*rest), *asked).keys()

    assert found() == (True, {"noise"})
    monkeypatch.setattr(_action_critic, "KEPT", 10)
    assert found() == (False, set())


def test_three_parts_are_not_told_apart():
    algorithm = maipg.make(replace(CONFIG, guide=(0.9, 0.5), noise=False), TOY)
    given = rollout(agents=3)

    def parts(key):
        learner = algorithm.init(key)
        said = jax.vmap(jax.vmap(learner.actor.assess))(given.observation, given.action)
        return algorithm.parts(learner, said, given)

    with pytest.raises(UserError, match="three parts; two can be told apart"):
        jax.eval_shape(parts, jax.random.key(0))


@pytest.mark.parametrize(("epochs", "passes"), [(None, 2), (1, 1), (3, 3)])
def test_the_value_makes_the_passes_it_is_told_and_the_critic_its_own(epochs, passes):
    base, critic = replace(SMALL, critic_epochs=2), replace(CRITIC, epochs=epochs)
    algorithm = maipg.make(replace(CONFIG, base=base, critic=critic), TOY)
    key, ticks = jax.random.key(0), 3 * base.minibatch
    assert len(algorithm.actions.lesson.fit.batches(key, ticks)) == passes * 3
    assert len(algorithm.fit.batches(key, ticks)) == 2 * 3


@pytest.mark.parametrize(
    ("changes", "domain", "sentence"),
    [
        ({"nu": 1.5}, TOY, "algorithm.nu: expected 0 to 1, got 1.5"),
        ({"stop": -0.1}, TOY, "algorithm.stop: expected 0 to 1, got -0.1"),
        ({"guide": (0.9, 1.5)}, TOY, "algorithm.guide: expected 0 to 1 at both ends"),
        ({"embed": 0}, TOY, "algorithm.embed: expected at least 1, got 0"),
        ({"temperature": 0.0}, TOY, "algorithm.temperature: expected above 0 and finite, got 0.0"),
        ({"critic": replace(CRITIC, lag=2.0)}, TOY, "algorithm.critic.lag: expected 0 to 1"),
        ({"critic": replace(CRITIC, depth=0)}, TOY, "algorithm.critic.depth: expected at least 1"),
        ({"critic": replace(CRITIC, epochs=0)}, TOY, "critic.epochs: expected at least 1 or none"),
        ({"measured": True, "guide": (0.9, 0.5)}, TOY, "keep nu planned, or leave the model out"),
        (
            {"guide": (0.9, 0.5)},
            replace(TOY, model=None),
            "algorithm.guide: 'balance' has no analytic model",
        ),
        (
            {"base": replace(SMALL, order="in-turn")},
            TOY,
            "so agents must choose at the same time; use --algorithm.order together",
        ),
    ],
)
def test_what_cannot_be_is_refused(changes, domain, sentence):
    with pytest.raises(UserError, match=sentence):
        maipg.make(replace(CONFIG, **changes), domain)
