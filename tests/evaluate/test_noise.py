import jax
import numpy as np
import pytest

from descant.evaluate import noise
from descant.evaluate.variance import BLOCKS, inner

SIGMA = {"world": 0.5, "own": 1.0, "others": 2.0}
DIMENSIONS = 4
INNER = jax.jit(jax.vmap(inner))
MEAN = np.array([0.3, -0.2, 0.1, 0.0])


def gradients(rng, blocks, worlds, *, correlation=0.0, scale=1.0):
    """(learning, guidance) gradients of one agent, [B, E, 1, 2, 2, 1, 2, X]: a mean, and what the
    world, the own and the others' chance add; the two parts correlate."""
    mix = np.linalg.cholesky([[1, correlation], [correlation, 1]])

    def part(name, own, others):
        shape = (blocks, worlds, 1, own, others, 1, 2, DIMENSIONS)
        return SIGMA[name] * np.einsum("pq,...qx->...px", mix, rng.normal(size=shape))

    g = MEAN + part("world", 1, 1) + part("own", 2, 1) + part("others", 2, 2)
    return g * np.array([1.0, scale])[:, None]


def moments(g):
    """As the laboratory makes them; the agent asked stands for everybody, too."""
    found = [np.asarray(x, np.float64)[:, :, 0] for x in INNER(g)]
    same, own, world, mean = (np.concatenate([x, x], axis=1) for x in found)
    return noise.Moments(same, own, world, np.einsum("bipx,ciqx->bcipq", mean, mean))


def record(seed, worlds=2, **changes):
    rng = np.random.default_rng(seed)
    given = moments(gradients(rng, BLOCKS, worlds, **changes))
    return noise.record_of(given, (0.0, 0.3, 1.0), seed)


@pytest.fixture(scope="module")
def many():
    """Learning parts of many repetitions of the same small measurement."""
    return [record(seed)["learning"] for seed in range(300)]


def mean_and_error(values):
    return np.mean(values), np.std(values) / np.sqrt(len(values))


def test_signal_and_variance_are_unbiased(many):
    signal, error = mean_and_error([m["signal"]["value"] for m in many])
    assert abs(signal - MEAN @ MEAN) < 4 * error
    variance, error = mean_and_error([m["variance"]["value"] for m in many])
    truth = DIMENSIONS * sum(s**2 for s in SIGMA.values())
    assert abs(variance - truth) < 4 * error
    assert mean_and_error([m["snr"]["value"] for m in many])[0] == pytest.approx(
        MEAN @ MEAN / truth, rel=0.2
    )


def test_the_plain_squared_mean_would_be_far_off():
    """What the products of different blocks are for."""
    rng = np.random.default_rng(0)
    plain = [
        np.sum(gradients(rng, BLOCKS, 2)[..., 0, :].mean((0, 1, 2, 3, 4, 5)) ** 2)
        for _ in range(300)
    ]
    assert np.mean(plain) > 1.5 * MEAN @ MEAN


def test_shares_are_those_of_the_law_of_total_variance(many):
    total = sum(s**2 for s in SIGMA.values())
    for name, sigma in SIGMA.items():
        share, error = mean_and_error([m["shares"][name]["value"] for m in many])
        assert abs(share - sigma**2 / total) < 4 * error + 0.01, name


def test_intervals_cover(many):
    covered = [m["signal"]["low"] <= MEAN @ MEAN <= m["signal"]["high"] for m in many]
    # 16 blocks and a skewed statistic: a bit below the 95 % of the name.
    assert 0.85 <= np.mean(covered) <= 0.99


@pytest.mark.parametrize(("correlation", "scale"), [(0.6, 1.0), (-0.5, 0.5), (0.0, 3.0)])
def test_theorem_holds_of_correlated_gradients(correlation, scale):
    said = record(7, worlds=200, correlation=correlation, scale=scale)
    found, truth = said["theorem"], sum(s**2 for s in SIGMA.values()) * DIMENSIONS
    assert said["correlation"]["value"] == pytest.approx(correlation, abs=0.05)
    sigma = np.sqrt(truth), scale * np.sqrt(truth)
    best = noise.best_alpha(*sigma, correlation)
    grid = np.linspace(0, 1, 1001)
    curve = [noise.predicted_variance(*sigma, correlation, a) for a in grid]
    assert best == pytest.approx(grid[np.argmin(curve)], abs=2e-3)
    assert found["best_predicted"] == pytest.approx(best, abs=0.05)
    assert found["best_measured"] == pytest.approx(best, abs=0.05)
    np.testing.assert_allclose(found["measured"], found["predicted"], rtol=0.1)
    lowest = min(found["measured"])
    assert found["minimum_measured"] <= lowest * (1 + 1e-9)
    assert found["measured_at_best_predicted"] == pytest.approx(found["minimum_measured"], rel=0.02)


def test_the_minimum_is_the_closed_form():
    sigma, other, rho = 2.0, 0.7, 0.4
    best = noise.best_alpha(sigma, other, rho)
    least = sigma**2 * other**2 * (1 - rho**2) / (sigma**2 + other**2 + 2 * rho * sigma * other)
    assert noise.predicted_variance(sigma, other, rho, best) == pytest.approx(least)
    assert noise.best_alpha(0.0, 0.0, 0.0) == 0.5
    assert noise.best_alpha(1.0, 1.0, -1.0) == 0.5
    assert noise.best_alpha(0.1, 1.0, -0.9) == 0.0


def sized(size, snr, spread=0.05):
    """A record with a known signal to noise."""
    draws = snr * np.exp(spread * np.random.default_rng(size).normal(size=100))
    low, high = np.quantile(draws, [0.025, 0.975])
    value = {"value": snr, "low": float(low), "high": float(high)}
    row = {
        **dict.fromkeys(("snr", "shared_snr", "variance"), value),
        "shares": {"others": value},
        "resamples": {name: draws.tolist() for name in ("snr", "shared_snr", "variance", "others")},
    }
    one = {"learning": row, "guidance": None, "mixtures": []}
    return {"agents": size, "estimators": {"mappo": one}}


def test_slopes_of_a_power_law():
    found = noise.slopes([sized(n, 3.0 / n) for n in (5, 20, 100, 1000)])["mappo"]
    assert set(found) == {"learning"}
    slope = found["learning"]["snr"]
    assert slope["slope"] == pytest.approx(-1)
    assert slope["low"] < -1 < slope["high"]
    assert slope["high"] - slope["low"] < 0.1
    assert slope["sizes"] == [5, 20, 100, 1000]
    inverse = found["learning"]["relative_variance"]
    assert inverse["slope"] == pytest.approx(1)
    assert inverse["low"] == -slope["high"]


def test_sizes_without_a_sign_of_a_signal_are_named():
    lost = sized(100, 1e-3)
    lost["estimators"]["mappo"]["learning"]["snr"]["low"] = -1e-3
    slope = noise.slopes([sized(5, 0.2), sized(20, 0.05), lost])["mappo"]["learning"]["snr"]
    assert slope["unresolved"] == [100]
    assert slope["slope"] == pytest.approx(-1)
    alone = noise.slopes([sized(5, 0.2), lost])["mappo"]["learning"]["snr"]
    assert alone["slope"] is None
