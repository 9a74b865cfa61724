import re

import numpy as np
import pytest

from descant.report import figures, records


@pytest.fixture
def record(fabricate):
    return records.read(fabricate(iterations=20))


def curve(values, label="learned"):
    values = np.asarray(values, dtype=float)
    return figures.Curve(label, np.arange(1.0, len(values) + 1), values)


def test_the_label_says_the_numbers(record):
    drawn = figures.differences(record.evaluation, "a")
    found = record.evaluation.find("best-fit").difference
    assert f"Best-Fit +{found['mean']:.2f}" in drawn


def test_a_far_away_rule_becomes_an_arrow(record):
    rows = [p for p in record.evaluation.policies if p.difference is not None]
    _, high = figures._reach(rows)
    near = max(p.difference["high"] for p in rows if p.name != "random")
    assert near < high < record.evaluation.find("random").difference["mean"]


def test_band_is_the_range_below_five_seeds_and_an_interval_from_five():
    values = np.random.default_rng(0).normal(size=(3, 8))
    _, low, high = figures.spread(values[:, :4])
    np.testing.assert_array_equal(low, values[:, :4].min(1))
    np.testing.assert_array_equal(high, values[:, :4].max(1))
    mean, low, high = figures.spread(values)
    assert (values.min(1) < low).all() and (low < mean).all() and (high < values.max(1)).all()


def test_a_missing_seed_leaves_the_mean_and_ends_the_band():
    mean, low, _ = figures.spread(np.array([[1.0, 3.0], [2.0, np.nan], [np.nan, np.nan]]))
    np.testing.assert_array_equal(mean, [2, 2, np.nan])
    np.testing.assert_array_equal(low, [1, np.nan, np.nan])


def test_one_seed_has_no_band():
    assert np.isnan(figures.spread(np.ones((4, 1)))[1]).all()


def test_long_curves_are_averaged_in_bins():
    x, values = figures.thin(np.arange(1.0, 1001), np.arange(1.0, 1001)[:, None], 250)
    assert len(x) == 250 and x[-1] == 1000
    assert values[0, 0] == 2.5
    gaps = np.full((1000, 1), np.nan)
    gaps[0] = 7
    assert figures.thin(np.arange(1000.0), gaps, 250)[1][0, 0] == 7


def test_labels_are_moved_apart_and_keep_their_order():
    placed = figures._apart(np.array([0.0, 1.0, 2.0, 90.0, 99.0]), 16, 0, 100)
    assert (np.diff(placed) >= 16 - 1e-9).all() and placed[-1] <= 100
    np.testing.assert_allclose(figures._apart(np.array([0.0, 50.0]), 16, 0, 100), [0, 50])
    np.testing.assert_allclose(figures._apart(np.array([50.0, 50.0]), 16, 0, 100), [42, 58])


def test_a_label_stands_where_its_line_ends():
    drawn = figures.learning([curve([[-90.0], [-40.0]])], [], "return", "l")
    wide = drawn[: drawn.index("</svg>")]
    at = float(re.search(r'y="([\d.]+)"[^>]*>learned<', wide)[1])
    assert at < 60  # near the top of 340 pixels, where the curve ends


@pytest.mark.parametrize(
    "values", [[[1.0]], [[np.nan], [1.0], [np.nan]], [[1e99], [-1e99]], [[0.0], [0.0]]]
)
def test_odd_curves_are_drawn(values):
    drawn = figures.learning([curve(values)], [figures.Level("rule", 0.0)], "return", "l")
    assert not re.search(r"\b(nan|inf)\b", drawn)
