from dataclasses import replace

import jax
import jax.numpy as jnp
import pytest

from builders import SMALL, rollout
from descant.algorithms import _settings, maipg
from descant.ascent.climb import Climb
from descant.ascent.terms import Guidance
from descant.core.errors import UserError
from descant.core.types import Signal
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
    assert nothing.actions.term((), 1.0) is None
    assert len(nothing.credit.links) == 2
    assert maipg.make(replace(CONFIG, measured=True), TOY).weigher.name == "nu"
    state = jax.jit(lambda key: plain.actions.init(key))(jax.random.key(0))
    assert isinstance(plain.actions.term(state, 1.0), Climb)
    guided = maipg.make(replace(CONFIG, guide=(0.9, 0.5)), TOY)
    assert isinstance(guided.ascent.terms[-1], Guidance)
    assert guided.actions.weight is not None


def test_under_full_guidance_nothing_else_is_climbed():
    """What the model leaves is shared by return and value: of nothing, both get nothing."""
    algorithm = maipg.make(replace(CONFIG, guide=(1.0, 1.0)), TOY)
    given = rollout(agents=3)

    @jax.jit
    def units(key):
        learner = algorithm.init(key)
        start = Signal(given.reward, jnp.zeros_like(given.log_prob), given.value)
        signal, _ = algorithm.credit(start, given, jnp.float32(0), learner.credit)
        return algorithm.actions.term(learner.actions, signal.unit).unit, signal.advantage

    unit, advantage = units(jax.random.key(0))
    assert float(unit) == 0.0
    assert float(jnp.max(jnp.abs(advantage))) == 0.0


@pytest.mark.parametrize(
    ("changes", "domain", "sentence"),
    [
        ({"nu": 1.5}, TOY, "algorithm.nu: expected 0 to 1, got 1.5"),
        ({"stop": -0.1}, TOY, "algorithm.stop: expected 0 to 1, got -0.1"),
        ({"embed": 0}, TOY, "algorithm.embed: expected at least 1, got 0"),
        ({"temperature": 0.0}, TOY, "algorithm.temperature: expected above 0, got 0.0"),
        ({"critic": replace(CRITIC, lag=2.0)}, TOY, "algorithm.critic.lag: expected 0 to 1"),
        ({"critic": replace(CRITIC, depth=0)}, TOY, "algorithm.critic.depth: expected at least 1"),
        ({"measured": True, "guide": (0.9, 0.5)}, TOY, "keep nu planned, or leave the model out"),
        ({"guide": (0.9, 0.5)}, replace(TOY, model=None), "'balance' has no analytic model"),
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
