"""Ranks by validation rewards: seeds are what counts, ties are told, failures come last."""

import csv
import io

import pytest

from descant.sweep.ranking import measured, ranked, same_wants, same_world, ties, to_csv


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


def after(name, by, utility=None, violation=None):
    seeds = len(utility or violation)
    told = {"ranked_by": by, "utility": utility, "violation": violation}
    return row(name, flat(*[9.0] * seeds)) | told


def test_what_algorithms_climb_ranks_and_not_the_reward():
    found = ranked(
        [after("a", ["utility"], [0.1, 0.2]), after("b", ["utility"], [0.3, 0.4]), row("c", None)]
    )
    assert measured(found) == ["utility"]
    assert [(r["trial"], r["rank"], r["mean"]) for r in found[:2]] == [
        ("b", 1, pytest.approx(0.35)),
        ("a", 2, pytest.approx(0.15)),
    ]
    assert found[1]["behind"]["mean"] == pytest.approx(0.2) and found[0]["violation"] is None
    assert measured([row("a", flat(1))]) == ["reward"] == measured([row("a", None)])


def test_the_least_violation_comes_first_then_the_rest():
    by = ["violation", "utility"]
    found = ranked(
        [
            after("rich", by, [5.0, 5.2, 5.1], [2.0, 2.1, 2.2]),
            after("kept", by, [1.0, 1.2, 1.1], [0.0, 0.0, 0.0]),
            after("poor", by, [0.1, 0.2, 0.3], [0.0, 0.0, 0.0]),
            after("near", by, [2.0, 2.1, 2.0], [0.0, 0.1, 0.0]),
            # Prices that nobody asks for: still measured, and judged by what the others keep.
            after("free", ["utility"], [9.0, 9.0, 9.0], [3.0, 3.0, 3.0]),
        ]
    )
    assert measured(found) == by
    assert [r["trial"] for r in found] == ["kept", "poor", "near", "rich", "free"]
    assert [r["violation"] for r in found] == pytest.approx([0, 0, 1 / 30, 2.1, 3])
    assert ties(found) == ["near"], "it is not shown to violate more, and has more"
    assert found[1]["violates_more"]["low"] == 0 < found[1]["behind"]["low"]
    assert found[3]["violates_more"]["low"] > 0 > found[3]["behind"]["high"]


def test_who_has_no_constraints_violates_none():
    found = ranked(
        [after("a", ["violation", "reward"], None, [1.0, 1.0]), row("b", flat(0.0, 0.0))]
    )
    assert [(r["trial"], r["violation"], r["mean"]) for r in found] == [("b", 0, 0), ("a", 1, 9)]


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


@pytest.mark.parametrize(
    ("wants", "same"),
    [
        ([{}, {}], True),
        ([{"utility": [1.0, 2.0]}, {"utility": [1.0, 2.0 + 1e-5]}], True),
        ([{"utility": [1.0, 2.0]}, {"utility": [1.0, 2.1]}], False),
        ([{"utility": [1.0]}, {"utility": [1.0], "violation": [0.0]}], False),
        ([{"utility": [1.0]}, {}], False),
    ],
)
def test_wants_are_the_same_where_they_say_the_same_of_occupancies(wants, same):
    assert same_wants(wants) is same


def test_the_table_for_programs():
    text = to_csv(ranked([row("a", None), row("b", flat(1, 3))]))
    first, second = csv.DictReader(io.StringIO(text))
    assert (first["rank"], first["trial"], first["mean"]) == ("1", "b", "2.0")
    assert first["algorithm.rate"] == "0.1"
    assert (second["rank"], second["mean"], second["message"]) == ("", "", "It broke, sadly.")
