import jax
import jax.numpy as jnp
import numpy as np
import pytest

pytest.importorskip("gymnasium", reason="needs the extra gymnasium")

from gymnasium import spaces
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers.vector import RecordEpisodeStatistics

from descant.bridges.gymnasium import Vector
from descant.domains import cloud, particle

SCENARIOS, HORIZON = 3, 4


@pytest.fixture(scope="module")
def vector():
    return Vector(particle.make(particle.Config(horizon=HORIZON)), SCENARIOS)


def run(vector, seed, ticks):
    """Observations and rewards under random actions."""
    vector.action_space.seed(seed)
    seen, told = [vector.reset(seed=seed)[0]], []
    for _ in range(ticks):
        now, *rest = vector.step(vector.action_space.sample())
        seen.append(now)
        told.append(rest)
    return seen, told


def test_spaces_say_what_comes(vector):
    assert vector.single_action_space == spaces.MultiDiscrete([5] * 3)
    for seen in run(vector, 1, HORIZON + 2)[0]:
        assert vector.observation_space.contains(seen)


def test_scenarios_with_entities_and_agents_that_rest():
    vector = Vector(cloud.make(cloud.Config(servers=3, horizon=5, arrivals=4)), 2)
    (_, seen), ((reward, *_, infos),) = run(vector, 0, 1)
    assert vector.observation_space.contains(seen)
    assert reward.shape == infos["queue"].shape == infos["_queue"].shape == (2,)
    resting = ~seen["active"].astype(bool)
    assert resting.any()
    assert (seen["mask"][resting] == np.eye(seen["mask"].shape[-1])[0]).all()


def test_a_world_that_is_over_starts_anew_at_the_next_step(vector):
    assert vector.metadata["autoreset_mode"] == AutoresetMode.NEXT_STEP
    seen, told = run(vector, 2, HORIZON + 2)
    rewards, terminated, truncated = (np.array([t[i] for t in told]) for i in range(3))
    ends = np.arange(HORIZON + 2) == HORIZON - 1
    np.testing.assert_array_equal(truncated, np.broadcast_to(ends[:, None], truncated.shape))
    assert not terminated.any()
    assert ((rewards == 0) == (np.arange(HORIZON + 2) == HORIZON)[:, None]).all()
    assert told[HORIZON][3]["_distance"].sum() == 0
    # Particles begin at rest.
    assert (seen[HORIZON + 1]["local"][..., :2] == 0).all()
    assert (seen[HORIZON]["local"][..., :2] != 0).any()


def test_points_of_continuous_actions():
    vector = Vector(particle.make(particle.Config(push="force", horizon=HORIZON)), 2)
    assert vector.action_space.shape == (2, 3, 2)
    seen, _ = run(vector, 0, 1)
    assert vector.observation_space.contains(seen[1])
    assert "mask" not in seen[1]


def test_a_seed_names_the_scenarios(vector):
    first, again, other = (run(vector, seed, 2) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first[0][2]["local"], again[0][2]["local"])
    np.testing.assert_array_equal(first[1][1][0], again[1][1][0])
    assert (first[0][0]["local"] != other[0][0]["local"]).any()
    follows = vector.reset()[0]
    assert (follows["local"] != other[0][0]["local"]).any()


def test_scenarios_are_the_domain_s(vector):
    """Against the domain itself, scenario by scenario."""
    env = particle.make(particle.Config(horizon=HORIZON)).env
    vector.reset(seed=3)
    action, before = vector.action_space.sample(), vector.worlds.state
    _, reward, *_ = vector.step(action)
    for i in range(SCENARIOS):
        one = jax.tree.map(lambda x, i=i: x[i], before)
        _, step = env.step(jax.random.key(0), one, jnp.asarray(action[i]))
        np.testing.assert_allclose(reward[i], step.reward, rtol=1e-6)


def test_wrappers_of_gymnasium_work(vector):
    wrapped = RecordEpisodeStatistics(vector)
    wrapped.reset(seed=0)
    total = np.zeros(SCENARIOS)
    for _ in range(HORIZON):
        _, reward, _, _, infos = wrapped.step(wrapped.action_space.sample())
        total += reward
    np.testing.assert_allclose(infos["episode"]["r"], total, rtol=1e-6)
    np.testing.assert_array_equal(infos["episode"]["l"], HORIZON)
