import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from descant.algorithms import mappo
from descant.core.errors import UserError
from descant.domains import matrix
from descant.domains.matrix.payoffs import payoffs
from descant.evaluate.episodes import score_rules
from descant.testing.contracts import check_domain
from descant.train.loop import compile_period, plan, start

SMALL = matrix.Config(game="random", agents=3, actions=4)
KEY = jax.random.key(0)
MLP = mappo.Config(net="mlp", hidden=8, depth=1, embedding=2, minibatch=32, rate=0.03)


def test_contract_for_more_agents():
    check_domain(matrix.make(SMALL))


def test_every_joint_action_pays_its_entry_and_ends_the_game():
    domain, table = matrix.make(SMALL), payoffs(SMALL)
    state, _ = domain.env.reset(KEY)
    joint = np.array(list(itertools.product(range(4), repeat=3)))
    _, step = jax.jit(jax.vmap(lambda a: domain.env.step(KEY, state, a)))(joint)
    np.testing.assert_array_equal(step.reward, table[tuple(joint.T)])
    np.testing.assert_allclose(step.diagnostics["regret"], table.max() - step.reward)
    assert int(step.diagnostics["optimal"].sum()) == 1
    assert bool(step.terminated.all()) and not bool(step.truncated.any())


def test_rules_and_bound_are_what_the_table_says():
    domain, table = matrix.make(SMALL), payoffs(SMALL)
    assert domain.bound is not None
    bound = domain.bound(domain.env.reset(KEY)[0])
    scores = jax.jit(lambda k: score_rules(domain, k))(jax.random.split(KEY, 2000))
    reward = dict(zip(domain.rules, np.asarray(scores.reward).mean(axis=1), strict=True))
    assert reward["best"] == pytest.approx(bound) == pytest.approx(table.max())
    assert reward["random"] == pytest.approx(table.mean(), abs=5 * float(table.std()) / 2000**0.5)
    assert reward["best-reply"] <= bound


def test_a_best_reply_to_anything_takes_the_safe_way():
    domain = matrix.make(matrix.Config(game="climb"))
    state, observation = domain.env.reset(KEY)
    assert domain.rules["best-reply"](state, observation, KEY).tolist() == [2, 2]
    assert domain.rules["best"](state, observation, KEY).tolist() == [0, 0]


@pytest.mark.parametrize(("game", "wanted"), [("monotone", "best"), ("climb", "best-reply")])
def test_agents_that_start_undecided_end_at_the_top_only_where_all_ways_lead_up(game, wanted):
    config = matrix.Config(game=game, draw=1)
    domain, table = matrix.make(config), payoffs(config)
    learning = plan(mappo.make(MLP, domain), domain.env, rollouts=128, steps=0, iterations=20)
    run, keys = start(learning, 0, 2)
    _, metrics = compile_period(learning, run, keys, 20)(run, keys, np.int32(0))
    end = np.asarray(metrics["return"])[-5:]
    state, observation = domain.env.reset(KEY)
    action = domain.rules[wanted](state, observation, KEY)
    np.testing.assert_allclose(end, float(table[tuple(action)]), atol=0.05 * np.ptp(table))


def test_networks_that_point_are_refused():
    with pytest.raises(UserError, match=r"algorithm\.net: pointer .* use --algorithm\.net mlp"):
        mappo.make(mappo.Config(), matrix.make(SMALL))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"agents": 0}, "domain.agents: expected at least 1, got 0"),
        ({"actions": 1}, "domain.actions: expected at least 2"),
        ({"draw": -1}, "domain.draw: expected at least 0"),
        ({"penalty": 1.0}, "domain.penalty: expected a number up to 0, got 1.0"),
        ({"penalty": -float("inf")}, "domain.penalty: expected a number"),
        ({"agents": 3}, "domain.agents: the game climb has 2 agents, not 3"),
        ({"game": "table5a", "actions": 4}, "domain.actions: the game table5a has 3 actions"),
        ({"game": "random", "agents": 30}, "have more than 4,194,304 joint actions"),
    ],
)
def test_what_cannot_be_played_is_named(changes, sentence):
    with pytest.raises(UserError, match=sentence):
        matrix.make(matrix.Config(**changes))


def test_observations_say_only_who_one_is():
    env = matrix.make(SMALL).env
    _, observation = env.reset(KEY)
    assert jnp.array_equal(observation.local, jnp.eye(3))
    assert observation.world.entities.size == observation.world.globals.size == 0
