from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from descant.core.domain import Domain
from descant.core.env import AbstractEnv
from descant.core.types import Observation, Spec, Step, World
from descant.domains import cloud
from descant.evaluate.episodes import STRIDE, play, scenario_keys, score, score_rules
from descant.ops.rules import always

NAMES = ("random", "best-fit", "slope-greedy")


@pytest.fixture(scope="module")
def domain():
    made = cloud.make(cloud.Config(servers=3, horizon=45, arrivals=30))
    return replace(made, rules={name: made.rules[name] for name in NAMES})


@pytest.fixture(scope="module")
def keys():
    return scenario_keys("held-out", 7, 3)


@pytest.fixture(scope="module")
def together(domain, keys):
    return jax.jit(lambda keys: score_rules(domain, keys))(keys)


def test_roles_and_seeds_never_share_a_scenario():
    drawn = [
        jax.random.key_data(scenario_keys(role, seed, 4))
        for role in ("training", "validation", "held-out")
        for seed in (0, 1)
    ]
    assert len(np.unique(np.concatenate(drawn), axis=0)) == 24
    again = jax.random.key_data(scenario_keys("held-out", 1, 4))
    np.testing.assert_array_equal(again, drawn[-1])


@pytest.mark.parametrize("name", ["random", "slope-greedy"])
def test_all_rules_in_one_program_are_each_rule_alone(domain, keys, together, name):
    alone = jax.jit(lambda keys: score(domain, domain.rules[name], keys))(keys)
    same = jax.tree.map(lambda x: x[NAMES.index(name)], together)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), alone, same)


def test_scores_are_means_of_the_episode(domain, keys, together):
    rule = domain.rules["random"]
    trace = jax.jit(lambda key: play(domain, rule, key))(keys[0])
    assert trace.reward.shape == (45,)
    np.testing.assert_allclose(together.reward[0, 0], jnp.mean(trace.reward), rtol=1e-5)
    np.testing.assert_allclose(
        together.series["queue"][0], trace.diagnostics["queue"], rtol=1e-5, atol=1e-6
    )
    counted = np.asarray(trace.counts)
    assert not np.any(counted[np.arange(45) % STRIDE != 0])
    assert np.any(counted)
    share = np.asarray(trace.aligned["queue"])[counted].mean()
    np.testing.assert_allclose(together.alignment["queue"][0, 0], share, rtol=1e-5)


def test_without_a_model_there_is_no_alignment(domain, keys):
    bare = replace(domain, model=None)
    scores = jax.jit(lambda keys: score(bare, bare.rules["best-fit"], keys))(keys)
    assert scores.alignment == {}


class Ends(AbstractEnv):
    """Pays its clock, ends at a given tick, and then talks nonsense."""

    spec: Spec = eqx.field(static=True)
    end: int = eqx.field(static=True)
    terminates: bool = eqx.field(static=True)

    def reset(self, key):
        return jnp.int32(0), self.observe()

    def step(self, key, state, action):
        time = state + 1
        step = Step(
            observation=self.observe(),
            reward=jnp.where(time > self.end, jnp.nan, time.astype(jnp.float32)),
            terminated=(time == self.end) & self.terminates,
            truncated=(time == self.end) & (not self.terminates),
            diagnostics={
                "clock": jnp.where(time > self.end, jnp.nan, time.astype(jnp.float32)),
                "won": (time >= self.end).astype(jnp.float32),
            },
        )
        return time, step

    def observe(self):
        world = World(entities=jnp.zeros((0, 0)), globals=jnp.zeros((0,)))
        return Observation(jnp.zeros((1, 0)), world, jnp.ones((1, 2), bool), jnp.ones((1,), bool))


@pytest.mark.parametrize("terminates", [True, False])
def test_what_comes_after_the_first_end_counts_for_nothing(terminates):
    spec = Spec(1, 2, 6, 0, 0, 0, 0, fixed=False, outcomes=("won",))
    domain = Domain("ends", Ends(spec, 3, terminates), figures=("clock",))
    scores = jax.jit(lambda keys: score(domain, always(0), keys))(scenario_keys("held-out", 0, 2))
    np.testing.assert_allclose(scores.reward, (1 + 2 + 3) / 6)
    np.testing.assert_allclose(scores.diagnostics["clock"], (1 + 2 + 3) / 3)
    np.testing.assert_array_equal(scores.diagnostics["won"], 1)
    np.testing.assert_array_equal(scores.series["clock"], [1, 2, 3, 3, 3, 3])
