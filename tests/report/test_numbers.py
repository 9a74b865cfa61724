import math

import pytest

from descant.report.numbers import count, digits, duration, number, percent, plural


@pytest.mark.parametrize(
    ("value", "decimals", "written"),
    [
        (-38.04, 1, "−38.0"),
        (-0.004, 2, "0.00"),
        (0.0, None, "0.00"),
        (3.14159, None, "3.14"),
        (314.159, None, "314"),
        (28417, 0, "28\u202f417"),
        (1.5e9, 0, "1.50 × 10⁹"),
        (-2e-7, 3, "−2.00 × 10⁻⁷"),
        (None, 2, "–"),
        (math.nan, 2, "–"),
    ],
)
def test_numbers_read_well(value, decimals, written):
    assert number(value, decimals) == written


def test_signs_are_written_where_asked():
    assert number(2, 1, sign=True) == "+2.0"
    assert number(-2, 1, sign=True) == "−2.0"
    assert number(0.001, 1, sign=True) == "0.0"
    assert percent(0.0861, sign=True) == "+8.6\u00a0%"
    assert percent(None) == "–"


@pytest.mark.parametrize(("scale", "places"), [(0.65, 2), (6.5, 1), (65, 0), (6500, 0), (0, 2)])
def test_digits_follow_the_uncertainty(scale, places):
    assert digits(scale) == places


def test_counts_and_durations():
    assert (plural(1, "seed"), plural(4, "seed"), count(1200)) == (
        "1 seed",
        "4 seeds",
        "1\u202f200",
    )
    assert (duration(74.5), duration(499), duration(7300)) == ("74.5 s", "8 min 19 s", "2 h 1 min")
    assert duration(None) == "–"
