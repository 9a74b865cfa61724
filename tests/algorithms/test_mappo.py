from dataclasses import replace

import jax
import jax.numpy as jnp
import pytest

from builders import SMALL
from descant.algorithms import mappo
from descant.core.errors import UserError
from descant.domains import matrix
from descant.nets.mlp import BENDS, Layers, Leaning
from descant.nets.policy import Independent, InOrder
from descant.testing.contracts import check_algorithm
from descant.train.loop import begin, iterate, plan
from toys import balance

TOY = balance.make(balance.Config())


def test_a_perceptron_in_a_world_with_nothing_in_it():
    toy = balance.make(balance.Config(world=False, stop=0.2))
    check_algorithm(lambda d: mappo.make(replace(SMALL, net="mlp"), d), toy)


def test_agents_choose_in_turn_where_there_is_something_to_take():
    def head(toy, **changes):
        return jax.eval_shape(mappo.make(replace(SMALL, **changes), toy).init, jax.random.key(0))

    assert isinstance(head(TOY, order="in-turn").actor, InOrder)
    assert isinstance(head(TOY, order="together").actor, Independent)
    assert isinstance(head(TOY, net="mlp").actor, Independent)


GAME = matrix.make(matrix.Config(game="random", agents=3, actions=4))


@pytest.mark.parametrize("net", ["linear", "mlp", "gru"])
def test_agents_begin_as_undecided_as_asked_for(net):
    """In a game without states the spread is the deviation of the initial logits themselves."""
    plain = replace(SMALL, net=net)
    _, observation = GAME.env.reset(jax.random.key(0))

    def logits(config):
        algorithm = mappo.make(config, GAME)

        def one(key):
            policy = algorithm.policy(algorithm.init(key))
            tick = replace(observation, memory=policy.begin())
            return policy.net(policy.listen(tick))

        return jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(1), 400))

    undecided, decided = logits(plain), logits(replace(plain, spread=1.5))
    assert float(jnp.std(undecided)) < 0.05
    assert float(jnp.std(decided)) == pytest.approx(1.5, rel=0.05)
    # Biases are agents' own, and all else begins as without them.
    assert abs(float(jnp.corrcoef(decided[:, 0, 0], decided[:, 1, 0])[0, 1])) < 0.2
    learner = jax.eval_shape(mappo.make(plain, GAME).init, jax.random.key(0))
    assert not isinstance(learner.actor.net, Leaning)


def test_agents_of_any_number_have_no_biases_of_their_own():
    with pytest.raises(UserError, match=r"^algorithm.spread: the pointer network is for agents of"):
        mappo.make(replace(SMALL, spread=1.0), TOY)


ADVISED = replace(SMALL, order="in-turn", heed=0.0)
BLIND = replace(TOY.env, spec=replace(TOY.env.spec, supplies=()))


def test_agents_that_ask_the_model_hold_the_contract():
    check_algorithm(lambda d: mappo.make(ADVISED, d), TOY)


def test_a_learner_asks_the_model_of_the_world_it_is_in():
    large = balance.make(balance.Config(agents=5, bins=7))

    def first(key):
        """By a learner of the small world, in the large one."""
        policy = mappo.make(ADVISED, large).policy(mappo.make(ADVISED, TOY).init(key))
        assert policy.advisor.model is large.model
        return policy.best(policy.informed(*large.env.reset(key)))

    assert jax.eval_shape(first, jax.random.key(0)).shape == (5,)


@pytest.mark.parametrize(
    ("changes", "toy", "sentence"),
    [
        ({}, replace(TOY, model=None), "'balance' has no analytic model to ask"),
        ({"net": "mlp"}, TOY, "algorithm.net = pointer, algorithm.order = in-turn"),
        ({"order": "together"}, TOY, "algorithm.net = pointer, algorithm.order = in-turn"),
        ({}, replace(TOY, env=BLIND), "observes what is left of what"),
    ],
)
def test_who_cannot_ask_the_model_is_refused(changes, toy, sentence):
    with pytest.raises(UserError, match=f"^algorithm.heed: .*{sentence}"):
        mappo.make(replace(ADVISED, **changes), toy)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"hidden": 0}, "hidden"),
        ({"minibatch": 0}, "minibatch"),
        ({"depth": -1}, "depth"),
        ({"clip": 0.0}, "clip"),
        ({"rate": float("nan")}, "rate"),
        ({"discount": 1.5}, "discount"),
        ({"entropy": -0.1}, "entropy"),
        ({"spread": -1.0}, "spread"),
        ({"spread": float("inf")}, "spread"),
    ],
)
def test_values_out_of_range_are_named(changes, name):
    with pytest.raises(UserError, match=f"^algorithm.{name}: expected"):
        mappo.make(replace(SMALL, **changes), TOY)


def test_it_learns():
    """A few dozen updates beat chance by far, without any model."""
    toy = balance.make(balance.Config(horizon=8))
    config = replace(SMALL, net="mlp", rate=0.02, critic_rate=0.02, discount=0.5)
    total = 40
    what = plan(mappo.make(config, toy), toy.env, rollouts=8, steps=0, iterations=total)

    def run(key):
        step = lambda run, index: iterate(what, run, key, index)  # noqa: E731
        return jax.lax.scan(step, begin(what, key), jnp.arange(total))[1]["return"]

    returns = jax.jit(run)(jax.random.key(0))
    first, last = float(returns[:4].mean()), float(returns[-8:].mean())
    assert last > 0.8 * first, (first, last)


@pytest.mark.parametrize("net", ["mlp", "gru"])
@pytest.mark.parametrize("activation", ["tanh", "relu", None])
def test_actor_and_critic_bend_as_they_are_told_to(net, activation):
    config = replace(SMALL, net=net, activation=activation)
    learner = mappo.make(config, TOY).init(jax.random.key(0))
    within = jax.tree.leaves((learner.actor, learner.critic), is_leaf=_layered)
    bends = [part.activation for part in within if _layered(part)]
    assert len(bends) == (4 if net == "gru" else 2)
    assert set(bends) == {BENDS[activation or {"mlp": "tanh", "gru": "relu"}[net]]}


def _layered(part):
    return isinstance(part, Layers)
