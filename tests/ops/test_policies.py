import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from descant.ops.policies import chosen, entropy, invert, masked_log_softmax, relaxed, rows, seeded

LOGITS = jnp.array([0.3, -1.0, 2.0, 0.0, 1.0])
MASK = jnp.array([True, True, False, True, False])


def test_probabilities_are_those_among_legal_actions():
    rows = masked_log_softmax(LOGITS, MASK)
    legal = np.exp(np.asarray(LOGITS)[MASK])
    np.testing.assert_allclose(np.exp(rows)[MASK], legal / legal.sum(), rtol=1e-5)
    assert (np.exp(rows)[~np.asarray(MASK)] == 0).all()


@pytest.mark.parametrize("mask", [MASK, jnp.ones(5, bool), jnp.arange(5) > 2])
def test_frequencies_follow_probabilities(mask):
    rows = masked_log_softmax(LOGITS, mask)
    draws = 20_000
    levels = jax.random.uniform(jax.random.key(0), (draws,))
    actions = invert(jnp.broadcast_to(rows, (draws, 5)), levels)
    count = np.bincount(actions, minlength=5)
    legal = np.asarray(mask)
    assert count[~legal].sum() == 0
    chances = np.exp(np.asarray(rows, np.float64))[legal]
    assert stats.chisquare(count[legal], draws * chances / chances.sum()).pvalue > 1e-3


@pytest.mark.parametrize("level", [0.0, 0.5, np.nextafter(np.float32(1), np.float32(0))])
@pytest.mark.parametrize("seed", range(4))
def test_no_level_gives_an_illegal_action(level, seed):
    logits_key, mask_key = jax.random.split(jax.random.key(seed))
    logits = 30 * jax.random.normal(logits_key, (200, 7))
    mask = jax.random.bernoulli(mask_key, 0.4, (200, 7))
    mask = mask.at[jnp.arange(200), jnp.arange(200) % 7].set(True)
    actions = invert(masked_log_softmax(logits, mask), jnp.full((200,), level))
    assert bool(jnp.all(chosen(mask.astype(jnp.float32), actions) == 1))


def test_chosen_and_entropy():
    rows = jnp.log(jnp.array([[0.5, 0.25, 0.25], [1.0, 1e-30, 1e-30]]))
    np.testing.assert_allclose(entropy(rows), [1.5 * np.log(2), 0.0], atol=1e-6)
    np.testing.assert_allclose(chosen(rows, jnp.array([1, 0])), [np.log(0.25), 0.0], rtol=1e-6)
    uniform = masked_log_softmax(jnp.zeros(5), MASK)
    assert float(entropy(uniform)) == pytest.approx(np.log(3), rel=1e-5)


def test_a_hard_row_is_one_hot_and_moves_like_a_soft_one():
    logs, noise = masked_log_softmax(LOGITS, MASK), jax.random.gumbel(jax.random.key(0), (5,))
    pull = jnp.arange(5.0)

    def climbed(hard):
        return jax.value_and_grad(lambda x: relaxed(x, noise, 0.7, hard) @ pull)(logs)

    (hard, one), (soft, other) = climbed(True), climbed(False)
    assert float(hard) == float(jnp.argmax(logs + noise))
    assert 0 < float(soft) < 4
    np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    assert float(relaxed(logs, 0 * noise, 1.0, True) @ pull) == float(jnp.argmax(logs))


def test_without_noise_at_temperature_one_a_soft_row_is_the_policy():
    logs = masked_log_softmax(LOGITS, MASK)
    np.testing.assert_allclose(relaxed(logs, jnp.zeros(5), 1.0, False), jnp.exp(logs), rtol=1e-5)


def test_rows_of_choices_and_of_points():
    assert rows(jnp.array([2, 0]), 3).tolist() == [[0, 0, 1], [1, 0, 0]]
    points = jnp.array([[0.5, -2.0]])
    assert rows(points, 2) is points


def test_a_number_is_a_seed():
    draws = [float(jax.random.uniform(seeded(jnp.float32(x)))) for x in (0.25, 0.25, 0.2500001)]
    assert draws[0] == draws[1] != draws[2]
