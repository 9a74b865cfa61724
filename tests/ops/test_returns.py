import jax
import jax.numpy as jnp
import numpy as np
import pytest

from descant.ops.returns import gae, lambda_returns

run = jax.jit(gae, static_argnums=(5, 6))
targets = jax.jit(lambda_returns, static_argnums=(4, 5))


def by_hand(reward, value, bootstrap, terminated, truncated, discount, trace):
    advantage, later = np.zeros(len(reward)), 0.0
    for t in reversed(range(len(reward))):
        after = 0.0 if terminated[t] else discount * bootstrap[t]
        if terminated[t] or truncated[t]:
            later = 0.0
        later = reward[t] + after - value[t] + discount * trace * later
        advantage[t] = later
    return advantage


def trajectory(seed, ticks=12, ends=0.2):
    rng = np.random.default_rng(seed)
    reward, value, bootstrap = rng.normal(size=(3, ticks)).astype(np.float32)
    terminated, truncated = rng.random((2, ticks)) < ends
    return reward, value, bootstrap, terminated, truncated


def test_worked_example():
    reward, value, bootstrap = jnp.array([[1.0, 2, 3], [0.5, 0.5, 0.5], [0.5, 0.5, 1]])
    never = jnp.zeros(3, bool)
    # Errors 0.75, 1.75 and 3; each later one counts a quarter of the one after it.
    result = run(reward, value, bootstrap, never, never, 0.5, 0.5)
    assert result.tolist() == [1.375, 2.5, 3.0]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("discount", "trace"), [(0.99, 0.95), (0.9, 0.0), (1.0, 1.0)])
def test_scan_is_the_plain_loop(seed, discount, trace):
    given = trajectory(seed)
    np.testing.assert_allclose(
        run(*given, discount, trace), by_hand(*given, discount, trace), rtol=2e-5, atol=2e-5
    )


def test_trace_zero_is_the_error_of_one_step():
    reward, value, bootstrap, terminated, truncated = trajectory(0)
    error = reward + 0.9 * bootstrap * ~terminated - value
    result = run(reward, value, bootstrap, terminated, truncated, 0.9, 0.0)
    np.testing.assert_allclose(result, error, rtol=1e-5, atol=1e-6)


def test_trace_one_is_the_discounted_return():
    reward, value, _, _, _ = trajectory(1)
    bootstrap = np.append(value[1:], 0.0).astype(np.float32)
    never = np.zeros(12, bool)
    last = never.copy()
    last[-1] = True
    returns = [sum(0.9**k * r for k, r in enumerate(reward[t:])) for t in range(12)]
    result = run(reward, value, bootstrap, last, never, 0.9, 1.0) + value
    np.testing.assert_allclose(result, returns, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["terminated", "truncated"])
def test_nothing_crosses_the_end_of_an_episode(kind):
    reward, value, bootstrap, _, _ = trajectory(2)
    never, ends = np.zeros(12, bool), np.arange(12) == 5
    marks = (ends, never) if kind == "terminated" else (never, ends)
    before = run(reward, value, bootstrap, *marks, 0.99, 0.95)
    reward[6:] += 100
    after = run(reward, value, bootstrap, *marks, 0.99, 0.95)
    np.testing.assert_array_equal(before[:6], after[:6])
    assert (np.abs(after[6:] - before[6:]) > 1).all()
    bootstrap[5] += 1
    moved = float(run(reward, value, bootstrap, *marks, 0.99, 0.95)[5] - after[5])
    assert moved == pytest.approx(0.0 if kind == "terminated" else 0.99, abs=1e-5)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("trace", [0.0, 0.8, 1.0])
def test_targets_are_advantages_plus_values(seed, trace):
    """Where the value of what follows is that of the next tick, but at ends."""
    reward, value, bootstrap, terminated, truncated = trajectory(seed)
    ends = terminated | truncated
    ends[-1] = True
    bootstrap[:-1] = np.where(ends[:-1], bootstrap[:-1], value[1:])
    advantage = run(reward, value, bootstrap, terminated, truncated, 0.9, trace)
    target = targets(reward, bootstrap, terminated, truncated, 0.9, trace)
    np.testing.assert_allclose(target, advantage + value, rtol=2e-5, atol=2e-5)


def test_targets_with_trace_one_sum_the_rewards_of_the_window():
    reward, following, _, _, _ = trajectory(2, ticks=3)
    never = np.zeros(3, bool)
    first = reward[0] + 0.9 * (reward[1] + 0.9 * (reward[2] + 0.9 * following[2]))
    result = targets(reward, following, never, never, 0.9, 1.0)
    np.testing.assert_allclose(result[0], first, rtol=1e-5)


def test_a_truncation_keeps_what_would_follow_and_a_termination_does_not():
    reward, following = jnp.ones(2), jnp.array([10.0, 20.0])
    never, first = jnp.zeros(2, bool), jnp.array([True, False])
    assert targets(reward, following, never, first, 0.5, 1.0).tolist() == [6.0, 11.0]
    assert targets(reward, following, first, never, 0.5, 1.0).tolist() == [1.0, 11.0]
