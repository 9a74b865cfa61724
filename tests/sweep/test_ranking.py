"""Ranks by validation rewards: seeds are what counts, ties are told, failures come last."""

import csv
import io

import pytest

from descant.sweep.ranking import ranked, same_world, ties, to_csv


def row(name, rewards):
    return {
        "trial": name,
        "values": {"algorithm.rate": 0.1},
        "rewards": rewards,
        "seconds": 1.25,
        "state": "finished" if rewards else "failed",
        "message": "" if rewards else "It broke, sadly.",
    }


def flat(*seeds):
    """Rewards of seeds that are the same in each of two scenarios."""
    return [[seed, seed] for seed in seeds]


def test_the_best_mean_over_seeds_is_first_and_failures_are_last():
    found = ranked([row("a", None), row("b", flat(1, 2, 3)), row("c", flat(4, 4, 7))])
    assert [(r["trial"], r["rank"], r["mean"]) for r in found] == [
        ("c", 1, 5.0),
        ("b", 2, 2.0),
        ("a", None, None),
    ]
    assert found[0]["seed_means"] == [4, 4, 7]
    assert found[0]["low"] < 5 < found[0]["high"]


def test_scenarios_are_averaged_before_seeds():
    (found,) = ranked([row("a", [[0.0, 10.0], [4.0, 6.0]])])
    assert found["seed_means"] == [5, 5] and found["low"] == found["high"] == 5


def test_equal_means_share_a_rank_in_the_order_of_the_sweep():
    found = ranked([row("a", flat(1, 1)), row("b", flat(2, 2)), row("c", flat(2, 2))])
    assert [(r["trial"], r["rank"]) for r in found] == [("b", 1), ("c", 1), ("a", 3)]


def test_a_tie_is_what_the_interval_of_the_difference_does_not_decide():
    found = ranked(
        [row("near", flat(3, 5, 4)), row("far", flat(0, 1, 0)), row("best", flat(4, 5, 6))]
    )
    assert [r["trial"] for r in found] == ["best", "near", "far"]
    assert ties(found) == ["near"]
    assert found[1]["behind"]["mean"] == pytest.approx(1)
    assert found[1]["behind"]["low"] < 0 < found[2]["behind"]["low"]


def test_one_seed_tells_no_tie_but_an_exact_one():
    found = ranked([row("a", flat(1)), row("b", flat(1)), row("c", flat(0))])
    assert ties(found) == ["b"]
    assert found[0]["low"] is None and found[2]["behind"]["low"] is None


def test_nothing_finished_is_no_tie():
    assert ties(ranked([row("a", None), row("b", None)])) == []


@pytest.mark.parametrize(
    ("rules", "same"),
    [
        ([{"r": 1.0}, {"r": 1.0 + 1e-6}], True),
        ([{"r": 1.0}, {"r": 1.1}], False),
        ([{"r": 1.0}, {"q": 1.0}], False),
        ([{"r": 1.0}, None], False),
        ([{}, {}], False),
        ([None], False),
    ],
)
def test_worlds_are_the_same_where_rules_get_the_same(rules, same):
    assert same_world(rules) is same


def test_the_table_for_programs():
    text = to_csv(ranked([row("a", None), row("b", flat(1, 3))]))
    first, second = csv.DictReader(io.StringIO(text))
    assert (first["rank"], first["trial"], first["mean"]) == ("1", "b", "2.0")
    assert first["algorithm.rate"] == "0.1"
    assert (second["rank"], second["mean"], second["message"]) == ("", "", "It broke, sadly.")
