"""Lists and ranges: read as meant, every grid point once, draws in range and the same again."""

import math
from collections import Counter
from itertools import product

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from descant.core.errors import UserError
from descant.core.schema import parse
from descant.sweep.space import Choices, Range, points, read
from descant.train.settings import defaults, schema

KNOWN = schema(defaults("cloud", "dgpg"))
NUMBERS = st.floats(-1e6, 1e6).map(lambda x: float(f"{x:.4g}"))


@pytest.mark.parametrize(
    ("text", "varied"),
    [
        ("algorithm.rate=1e-3, 3e-3", Choices("algorithm.base.rate", ("1e-3", "3e-3"))),
        ("--algorithm.critic-rate=1", Choices("algorithm.base.critic_rate", ("1",))),
        ("algorithm.net=mlp,gru", Choices("algorithm.base.net", ("mlp", "gru"))),
        ("algorithm.trust=none,1", Choices("algorithm.base.trust", ("none", "1"))),
        ("train.servers=[5,10],[10..100]", Choices("train.servers", ("[5,10]", "[10..100]"))),
        ("algorithm.entropy=1e-4..1e-1", Range("algorithm.base.entropy", 1e-4, 0.1, whole=False)),
        ("algorithm.trust=1..2", Range("algorithm.base.trust", 1, 2, whole=False)),
        ("algorithm.hidden=8..64", Range("algorithm.base.hidden", 8, 64, whole=True)),
    ],
)
def test_what_is_asked_for(text, varied):
    assert read(text, KNOWN) == varied


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rate", "--vary: expected SETTING=VALUES as in algorithm.rate=1e-3,3e-3, got 'rate'."),
        ("algorithm.rate=", "--vary: expected SETTING=VALUES"),
        ("algorithm.rte=1", "--vary algorithm.rte: there is no such setting. Did you mean"),
        ("algorithm.rate=fast", "--vary algorithm.base.rate: expected a number, got 'fast'."),
        ("algorithm.rate=1,,2", "--vary algorithm.base.rate: expected a number, got ''."),
        ("algorithm.rate=1,1.0", "--vary algorithm.base.rate: '1.0' is given twice."),
        ("algorithm.hidden=1.5..3", "expected low..high, each a whole number and low below high"),
        ("algorithm.rate=2..1", "low below high, got '2..1'."),
        ("algorithm.rate=1..inf", "low below high, got '1..inf'."),
        ("algorithm.rate=1,2..3", "expected a list or one range, got '1,2..3'."),
        ("algorithm.net=mlp..gru", "expected one of 'pointer', 'mlp', 'linear', 'gru', got"),
        ("seed=1,2", "--vary seed: ranks would be luck; --seeds trains several learners"),
        ("train.validation=1,2", "--vary train.validation: is the same for all trials"),
    ],
)
def test_what_makes_no_sense_is_told(text, said):
    with pytest.raises(UserError) as refused:
        read(text, KNOWN)
    assert said in str(refused.value)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.integers(1, 5))
def test_lists_make_a_grid_with_every_point_once(sizes, trials):
    space = [Choices(f"s{i}", tuple(f"v{k}" for k in range(n))) for i, n in enumerate(sizes)]
    found = [tuple(point.values()) for point in points(space, trials, seed=0)]
    assert sorted(found) == sorted(product(*(varied.texts for varied in space)))


@given(NUMBERS, NUMBERS, st.integers(0, 2**32 - 1))
@example(1e-4, 1e-1, 0)
@example(100000.0, 100001.0, 0)
def test_draws_are_within_their_range_and_spread(a, b, seed):
    low, high = sorted((a, b))
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        return
    drawn = [float(p["x"]) for p in points([Range("x", low, high, whole=False)], 40, seed)]
    assert all(low <= x <= high for x in drawn)
    assert len(drawn) == len(set(drawn)) > 20


@given(st.integers(-50, 50), st.integers(1, 3000), st.integers(0, 2**32 - 1))
def test_whole_numbers_stay_whole_and_reach_both_ends(low, width, seed):
    varied = Range("x", low, low + width, whole=True)
    drawn = [parse(int, p["x"]) for p in points([varied], 30, seed)]
    assert all(low <= x <= low + width for x in drawn)
    assert [varied.at(0.0), varied.at(1 - 2**-53)] == [str(low), str(low + width)]


def test_wide_positive_ranges_are_drawn_by_magnitude():
    wide = points([Range("x", 1e-4, 1e-1, whole=False)], 600, seed=0)
    decades = Counter(math.floor(math.log10(float(p["x"]))) for p in wide)
    assert set(decades) <= {-4, -3, -2, -1} and min(decades[-4], decades[-3], decades[-2]) > 100
    narrow = [float(p["x"]) for p in points([Range("x", 1.0, 9.0, whole=False)], 400, seed=0)]
    assert sum(narrow) / len(narrow) == pytest.approx(5, abs=0.4)


def test_draws_are_reproducible_and_more_trials_go_on_with_them():
    space = [Choices("a", ("1", "2")), Range("x", 0.0, 1.0, whole=False)]
    few, many = points(space, 5, seed=3), points(space, 12, seed=3)
    assert few == points(space, 5, seed=3) == many[:5]
    assert [p["x"] for p in points(space, 5, seed=4)] != [p["x"] for p in few]
    beside = points([*space, Range("y", 0.0, 1.0, whole=False)], 5, seed=3)
    assert [p["x"] for p in beside] == [p["x"] for p in few]


@given(st.integers(1, 20), st.integers(0, 1000))
def test_lists_beside_ranges_come_up_equally_often(trials, seed):
    space = [Choices("a", ("1", "2", "3")), Range("x", 0.0, 1e6, whole=False)]
    found = points(space, trials, seed)
    assume(len(found) == trials)
    counts = Counter(point["a"] for point in found)
    assert max(counts.values()) - min(counts[a] for a in ("1", "2", "3")) <= 1


def test_equal_draws_are_one_trial():
    found = points([Range("x", 1, 2, whole=True)], 20, seed=0)
    assert sorted(point["x"] for point in found) == ["1", "2"]
