import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from descant.domains.particle import tasks
from descant.domains.particle.tasks import TASKS, judge

KEYS = jax.random.split(jax.random.key(0), 2000)


def test_a_line_lies_in_the_arena_and_begins_in_its_middle():
    ends = np.asarray(jax.jit(jax.vmap(lambda key: tasks.on_line(key, 2)))(KEYS))
    assert (np.abs(ends[:, 0]) <= 0.25).all()
    assert (np.abs(ends[:, 1]) < 1).all()
    np.testing.assert_allclose(np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1), 1.25, rtol=1e-5)
    turned = np.arctan2(*(ends[:, 1] - ends[:, 0]).T)
    assert np.histogram(turned, bins=8, range=(-np.pi, np.pi))[0].min() > 150


def test_targets_on_a_line_are_evenly_spaced_with_the_ends():
    ends = jnp.array([[0.1, -0.2], [0.85, 0.8]])
    found = tasks.along(jnp.zeros((5, 2)), ends)
    np.testing.assert_allclose(found[0], ends[0])
    np.testing.assert_allclose(found[-1], ends[1], rtol=1e-6)
    gaps = np.diff(found, axis=0)
    np.testing.assert_allclose(gaps, np.broadcast_to([0.1875, 0.25], (4, 2)), rtol=1e-5)
    np.testing.assert_allclose(tasks.along(jnp.zeros((1, 2)), ends), ends[:1])


def test_targets_of_a_formation_begin_where_the_first_agent_stands():
    center = jnp.array([[0.2, -0.1]])
    angles = np.array([6.0, 0.4, 2.0, 3.5])  # from 0 to 2 pi, so 0.4 is the smallest
    position = center + 0.3 * jnp.stack([jnp.cos(angles), jnp.sin(angles)], axis=-1)
    found = tasks.around(position, center) - center
    wanted = 0.4 + np.pi / 2 * np.arange(4)
    np.testing.assert_allclose(found[:, 0], 0.5 * np.cos(wanted), atol=1e-6)
    np.testing.assert_allclose(found[:, 1], 0.5 * np.sin(wanted), atol=1e-6)


def loops(position, marks, radius, ratio):
    """The public environment's sum of rewards over agents, with plain loops."""
    gaps = [min(np.hypot(*(agent - mark)) for agent in position) for mark in marks]
    total = 0.0
    for i, agent in enumerate(position):
        others = [other for j, other in enumerate(position) if j != i]
        hits = sum(np.hypot(*(agent - other)) < 2 * radius for other in others)
        total += (1 - ratio) * -sum(gaps) + ratio * -hits
    return total, np.mean(gaps)


@pytest.mark.parametrize("ratio", [0.5, 0.2])
def test_spread_pays_what_all_agents_get_together(ratio):
    rng = np.random.default_rng(0)
    position, marks = rng.uniform(-0.5, 0.5, (2, 50, 3, 2)).astype(np.float32)
    found = jax.jit(jax.vmap(lambda p, m: judge(TASKS["spread"], p, m, ratio)))(position, marks)
    wanted = [loops(*both, 0.15, ratio) for both in zip(position, marks, strict=True)]
    np.testing.assert_allclose(found.reward, [w[0] for w in wanted], rtol=1e-4)
    np.testing.assert_allclose(found.distance, [w[1] for w in wanted], rtol=1e-4)


@pytest.mark.parametrize("name", ["assignment-spread", "line", "formation"])
def test_others_pay_the_mean_distance_of_the_best_assignment(name):
    task = TASKS[name]
    rng = np.random.default_rng(1)
    position = rng.uniform(-1, 1, (20, 5, 2)).astype(np.float32)
    # One is far away in every other world: costs are clipped, after the assignment.
    position[::2, 0] += 100
    position = jnp.asarray(position)
    marks = jax.vmap(lambda key: task.place(key, task.landmarks or 5))(KEYS[:20])
    targets = np.asarray(jax.vmap(task.targets)(position, marks))
    cost = np.linalg.norm(np.asarray(position)[:, :, None] - targets[:, None], axis=-1)
    away = np.array([c[linear_sum_assignment(c)] for c in cost])
    found = jax.jit(jax.vmap(lambda p, m: judge(task, p, m, 0.5)))(position, marks)
    spread = name == "assignment-spread"
    wanted = np.minimum(away.mean(1), 15) if spread else np.minimum(away, 2).mean(1)
    np.testing.assert_allclose(found.reward, -wanted, rtol=1e-4)
    assert not found.success.any()


@pytest.mark.parametrize("name", TASKS)
def test_success_is_to_be_near_everywhere(name):
    task, radius = TASKS[name], TASKS[name].near
    marks = task.place(KEYS[0], task.landmarks or 3)
    start = jax.random.uniform(KEYS[1], (3, 2))
    targets = task.targets(start, marks)
    near, far = (targets[::-1] + jnp.array([x * radius, 0.0])[None] for x in (0.9, 1.1))
    # Where targets follow the agents, away from the middle is away from the target.
    if name == "formation":
        near, far = (marks + (targets - marks) * (1 + x * radius / 0.5) for x in (0.9, 1.1))
    assert bool(judge(task, near, marks, 0.5).success)
    assert not bool(judge(task, far, marks, 0.5).success)
