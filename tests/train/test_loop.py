"""What is not finite never reaches a learner, whatever it is and however long it lasts."""

from dataclasses import replace
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from builders import SMALL, TINY, rollout
from descant.algorithms import _settings, coma, facmac, maipg, mappo, qmix
from descant.core import discovery
from descant.core.errors import UserError
from descant.train.loop import SITES, begin, iterate, lower_period, plan, said
from toys import balance

TOYS = Path(__file__).parents[1] / "toys"
STEPS, ITERATIONS = 4, 6


@pytest.fixture(scope="module")
def train():
    """Iterations in a world that breaks at given ticks; one compiled function for all of them."""
    frail = discovery.load("domains", str(TOYS / "frail.py"))
    domain = frail.make(frail.Config(horizon=1000))
    mappo = discovery.load("algorithms", "mappo")
    algorithm = mappo.make(mappo.Config(net="linear", minibatch=8, minibatches=1), domain)
    key = jax.random.key(0)

    def planned(env):
        return plan(algorithm, env, rollouts=2, steps=STEPS, iterations=ITERATIONS)

    one = eqx.filter_jit(lambda env, run, index: iterate(planned(env), run, key, index))

    def train(site="reward", start=-1, stop=10**6):
        values = [jnp.int32(value) for value in (frail.SITES.index(site), start, stop)]
        env = eqx.tree_at(lambda e: (e.site, e.start, e.stop), domain.env, values)
        runs, rows = [begin(planned(env), key)], []
        for index in range(ITERATIONS):
            run, metrics = one(env, runs[-1], jnp.int32(index))
            runs.append(run)
            rows.append(jax.device_get(metrics))
        return runs, rows

    return train


def test_outcomes_are_those_of_the_episodes_that_ended_here():
    given = rollout(ticks=4, scenarios=2)
    won = jnp.array([[0.0, 1], [1, 1], [0, 0], [1, 0]])
    ends = jnp.array([[False, False], [True, False], [False, True], [True, False]])
    nothing = jnp.zeros_like(ends)
    parts = {"diagnostics": {"won": won}, "terminated": ends, "truncated": nothing}
    given = eqx.tree_at(
        lambda r: tuple(getattr(r, name) for name in parts), given, tuple(parts.values())
    )
    assert float(said(given, ())["won"]) == 0.5
    np.testing.assert_allclose(said(given, ("won",))["won"], 2 / 3, rtol=1e-6)
    none = eqx.tree_at(lambda r: r.terminated, given, nothing)
    assert jnp.isnan(said(none, ("won",))["won"])


TOY = balance.make(balance.Config())
RATES = {"rate": 1e-4, "discount": 0.5, "trace": 0.5, "norm": 1.0}
STEEP = replace(
    SMALL, clip=0.1, critic_rate=0.1, entropy=0.0, entropy_stop=0.1, trust=2.0, huber=1.0, **RATES
)
EAGER = replace(TINY, rate_stop=1e-3, target_rate=1.0, epsilon=0.5, explore=0.1, **RATES)
CRITIC = _settings.Critic(trace=0.1, lag=0.1)
ALIKE = {
    "mappo": (mappo, SMALL, STEEP),
    "maipg": (
        maipg,
        maipg.Config(base=SMALL),
        maipg.Config(base=STEEP, critic=replace(CRITIC, epochs=2), nu=0.1, stop=0.9),
    ),
    "coma": (coma, coma.Config(base=SMALL), coma.Config(base=STEEP, critic=CRITIC)),
    "qmix": (qmix, qmix.Config(base=TINY), qmix.Config(base=EAGER)),
    "facmac": (facmac, facmac.Config(base=TINY), facmac.Config(base=EAGER, actor_rate=0.1)),
}


@pytest.mark.parametrize("name", ALIKE)
def test_learners_that_differ_in_numbers_alone_are_one_program(name):
    module, *configs = ALIKE[name]

    def program(config):
        what = plan(module.make(config, TOY), TOY.env, rollouts=2, steps=4, iterations=5)
        keys = jax.random.split(jax.random.key(0), 1)
        runs = jax.eval_shape(jax.vmap(lambda key: begin(what, key)), keys)
        return lower_period(what, runs, keys, 1)[0].as_text()

    one, other = map(program, configs)
    assert one == other


def finite(tree):
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]
    return all(np.isfinite(leaf).all() for leaf in leaves if leaf.dtype.kind == "f")


def equal(one, other):
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("site", ["reward", "observation", "state"])
@pytest.mark.parametrize("length", [1, 6, 10**6])
def test_a_bad_iteration_changes_no_bit_of_the_learner(train, site, length):
    runs, rows = train(site, 6, 6 + length)
    bad = [row["site"] > 0 for row in rows]
    assert bad[1], "tick 6 is in the second iteration"
    for before, after, left_out in zip(runs, runs[1:], bad, strict=False):
        assert finite(before)
        assert finite(after)
        assert equal(before.learner, after.learner) == left_out
    assert [int(row["skipped"]) for row in rows] == np.cumsum(bad).tolist()
    first = SITES[int(rows[1]["site"]) - 1]
    # Tick 6 is the second of its iteration, so that a broken state shows in what is seen next.
    assert first == {"state": "observation"}.get(site, site)


def test_a_reward_that_stays_broken_is_counted_in_a_row(train):
    _, rows = train("reward", 6)
    assert [int(row["bad"]) for row in rows] == [0, 1, 2, 3, 4, 5]


def test_a_reward_broken_once_is_counted_once(train):
    _, rows = train("reward", 6, 7)
    assert [int(row["bad"]) for row in rows] == [0, 1, 0, 0, 0, 0]
    assert [int(row["skipped"]) for row in rows] == [0, 1, 1, 1, 1, 1]


def test_a_broken_state_gives_way_to_a_new_scenario(train):
    runs, rows = train("state", 6, 7)
    clocks = [int(np.max(run.worlds.state.time)) for run in runs]
    # The second new scenario breaks at its own tick 6.
    assert clocks == [0, 4, 0, 4, 0, 4, 0]
    assert [int(row["skipped"]) for row in rows] == [0, 1, 1, 2, 2, 3]


def test_without_a_fault_nothing_is_left_out(train):
    runs, rows = train()
    assert not any(row["site"] or row["skipped"] for row in rows)
    assert not equal(runs[-2].learner, runs[-1].learner)


def test_more_ticks_than_can_be_counted_are_refused():
    toy = balance.make(balance.Config())
    algorithm = mappo.make(SMALL, toy)
    with pytest.raises(UserError, match=r"train\.rollouts: 999,999,999 of 24 ticks each"):
        plan(algorithm, toy.env, rollouts=999_999_999, steps=24, iterations=1)
