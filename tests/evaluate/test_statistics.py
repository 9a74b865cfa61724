import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from descant.evaluate import statistics

SKEWED = np.random.default_rng(3).exponential(size=40)


def test_interval_is_scipys_bca():
    ours = statistics.interval(SKEWED, seed=11)
    theirs = stats.bootstrap(
        (SKEWED,), np.mean, n_resamples=10_000, method="BCa", rng=np.random.default_rng(11)
    ).confidence_interval
    np.testing.assert_allclose([ours["low"], ours["high"]], theirs, rtol=1e-9)
    assert ours["mean"] == pytest.approx(SKEWED.mean())


@pytest.mark.parametrize("n", [2, 3, 5, 12])
def test_small_samples_are_treated_alike_from_both_sides(n):
    values = np.random.default_rng(n).normal(size=n)
    found, mirrored = statistics.interval(values), statistics.interval(-values)
    assert mirrored["low"] == pytest.approx(-found["high"])
    assert mirrored["high"] == pytest.approx(-found["low"])


def test_one_value_has_no_interval():
    assert statistics.interval([7.5]) == {"mean": 7.5, "low": None, "high": None}
    assert statistics.standard_error([7.5]) is None
    assert statistics.welch_difference([1.0], [2.0, 3.0])["low"] is None
    assert statistics.stratified_interval([[1.0, 2.0]])["low"] is None


def test_equal_values_have_an_interval_of_width_zero():
    assert statistics.interval([0.1] * 3) == {"mean": 0.1, "low": 0.1, "high": 0.1}
    flat = statistics.paired_difference([3.0, 4.0], [1.0, 2.0])
    assert flat == {"mean": 2.0, "low": 2.0, "high": 2.0}
    same = statistics.welch_difference([3.0, 3.0], [1.0, 1.0])
    assert same == {"mean": 2.0, "low": 2.0, "high": 2.0}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: statistics.interval([1.0, np.nan, 3.0]), r"values\[1\] is nan"),
        (lambda: statistics.interval([np.inf]), r"values\[0\] is inf"),
        (lambda: statistics.interval([]), "at least one value"),
        (lambda: statistics.interval([[1.0]]), "expected 1 axes, got 2"),
        (lambda: statistics.interval([1.0, 2.0], confidence=95), "between 0 and 1, got 95"),
        (lambda: statistics.paired_difference([1.0, 2.0], [1.0]), "2 and 1 values"),
        (lambda: statistics.paired_difference([1.0], [np.nan]), r"b\[0\] is nan"),
        (lambda: statistics.stratified_interval([[1, 2], [3, np.nan]]), r"scores\[1, 1\] is nan"),
        (lambda: statistics.probability_of_improvement([1, 2], [1]), "same scenarios"),
    ],
)
def test_bad_values_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_pairing_removes_the_scenarios_own_spread():
    rng = np.random.default_rng(0)
    scenario = rng.normal(scale=100.0, size=40)
    a, b = scenario + rng.normal(size=40) + 2.0, scenario + rng.normal(size=40)
    paired, apart = statistics.paired_difference(a, b), statistics.welch_difference(a, b)
    assert paired["low"] is not None and paired["low"] > 0
    assert apart["low"] is not None and apart["low"] < 0
    assert paired["mean"] == pytest.approx(apart["mean"])


def test_welch_is_scipys():
    a, b = SKEWED[:25], 3 * SKEWED[25:]
    ours = statistics.welch_difference(a, b, confidence=0.9)
    theirs = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.9)
    np.testing.assert_allclose([ours["low"], ours["high"]], theirs, rtol=1e-10)


def test_standard_error_by_hand():
    assert statistics.standard_error([1.0, 3.0]) == pytest.approx(1.0)
    assert statistics.standard_error(SKEWED) == pytest.approx(stats.sem(SKEWED))


def test_iqm_by_hand():
    assert statistics.iqm([100.0, 1.0, 2.0, -50.0]) == 1.5
    assert statistics.iqm([0, 1, 2, 3, 4, 5, 6, 700]) == 3.5
    assert statistics.iqm(SKEWED) == pytest.approx(stats.trim_mean(SKEWED, 0.25))


def test_stratified_interval_resamples_within_tasks():
    far_apart = np.array([[0.0, 1000.0], [1.0, 1001.0], [2.0, 1002.0], [3.0, 1003.0]])
    result = statistics.stratified_interval(far_apart)
    assert result["mean"] == pytest.approx(501.5)
    assert result["low"] is not None and result["high"] is not None
    # each task keeps its place in every draw, so the mean never wanders between 0 and 1000
    assert 500 <= result["low"] < 501.5 < result["high"] <= 503


def test_band_holds_the_mean_and_is_flat_for_equal_curves():
    curves = np.random.default_rng(5).normal(size=(6, 30)).cumsum(1)
    low, high = statistics.band(curves)
    assert ((low < curves.mean(0)) & (curves.mean(0) < high)).all()
    assert ((curves.min(0) <= low) & (high <= curves.max(0))).all()
    low, high = statistics.band(np.ones((5, 3)))
    assert (low == 1).all() and (high == 1).all()


def test_probability_of_improvement_by_hand():
    assert statistics.probability_of_improvement([1, 2, 3, 4], [0, 2, 5, 1]) == 0.625
    assert statistics.probability_of_improvement([[1], [3]], [[2], [2], [0]]) == pytest.approx(
        4 / 6
    )


def test_probability_of_improvement_is_mann_whitney_on_one_task():
    a, b = SKEWED[:15, None], SKEWED[15:, None]
    u = stats.mannwhitneyu(a[:, 0], b[:, 0]).statistic
    assert statistics.probability_of_improvement(a, b) == pytest.approx(u / (a.size * b.size))


def test_performance_profile_by_hand():
    profile = statistics.performance_profile([[1, 2], [3, 4]], [0, 1, 2.5, 4])
    np.testing.assert_allclose(profile, [1, 0.75, 0.5, 0])


def test_intervals_cover_the_truth_as_often_as_they_say():
    rng, covered, trials = np.random.default_rng(8), 0, 400
    for _ in range(trials):
        found = statistics.interval(rng.exponential(size=40), resamples=1000)
        assert found["low"] is not None and found["high"] is not None
        covered += found["low"] <= 1 <= found["high"]
    # a 95 % interval of 40 skewed values covers about 93 %; 3 standard errors around that
    assert 0.89 <= covered / trials <= 0.97


def test_memory_bound_does_not_change_the_draws(monkeypatch):
    whole = statistics.interval(SKEWED)
    monkeypatch.setattr(statistics, "CHUNK", 4_000)
    assert statistics.interval(SKEWED) == pytest.approx(whole)


def test_forty_values_take_under_fifty_milliseconds():
    def seconds() -> float:
        start = time.perf_counter()
        statistics.interval(SKEWED)
        return time.perf_counter() - start

    assert min(seconds() for _ in range(5)) < 0.05


numbers = st.lists(st.floats(-1e3, 1e3, width=32), min_size=2, max_size=20)


@settings(max_examples=50, deadline=None)
@given(numbers)
def test_the_interval_lies_within_the_values(values):
    found = statistics.interval(values, resamples=200)
    assert found["low"] is not None and found["high"] is not None
    slack = 1e-9 * (1 + max(map(abs, values)))
    assert min(values) - slack <= found["low"] <= found["high"] <= max(values) + slack


@settings(max_examples=50, deadline=None)
@given(numbers, st.floats(0.1, 100), st.floats(-1e3, 1e3))
def test_the_interval_moves_with_its_unit(values, scale, shift):
    values = np.round(values, 3)
    found = statistics.interval(values, resamples=200)
    moved = statistics.interval(scale * values + shift, resamples=200)
    slack = 1e-9 * (1 + scale * np.abs(values).max() + abs(shift))
    for end in ("mean", "low", "high"):
        assert found[end] is not None
        assert moved[end] == pytest.approx(scale * found[end] + shift, abs=slack)


def test_pseudo_values_of_a_mean_are_the_values():
    left_out = (SKEWED.sum() - SKEWED) / (SKEWED.size - 1)
    found = statistics.pseudo_values(SKEWED.mean(), left_out)
    np.testing.assert_allclose(found, SKEWED)


def test_pseudo_values_take_off_what_a_square_of_a_mean_is_off_by():
    """Exactly, for quadratic functions: the square of a sample's mean is too large by its
    variance."""
    left_out = ((SKEWED.sum() - SKEWED) / (SKEWED.size - 1)) ** 2
    found = statistics.pseudo_values(SKEWED.mean() ** 2, left_out)
    unbiased = SKEWED.mean() ** 2 - SKEWED.var(ddof=1) / SKEWED.size
    assert found.mean() == pytest.approx(unbiased)
    with pytest.raises(ValueError, match=r"left_out\[1\]"):
        statistics.pseudo_values(1.0, [0.0, np.nan])
