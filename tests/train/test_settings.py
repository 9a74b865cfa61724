from pathlib import Path

import pytest

from descant.core.errors import UserError
from descant.train.settings import Given, assemble, defaults, difference, flatten, with_values

TOYS = Path(__file__).parents[1] / "toys"
DISPATCH, CLIMB = str(TOYS / "dispatch.py"), str(TOYS / "climb.py")
USUAL = defaults(DISPATCH, CLIMB)


def problems_of(*given, **options):
    with pytest.raises(UserError) as caught:
        assemble(USUAL, list(given), **options)
    return caught.value.problems


def test_later_layers_win():
    low = [Given("domain.servers", 10), Given("seed", 3)]
    high = [Given("domain.servers", 40)]
    settings = assemble(USUAL, low, high)
    assert (settings.domain.servers, settings.seed) == (40, 3)


def test_nesting_may_be_left_out():
    settings = with_values(USUAL, {"algorithm.clip": 0.3, "algorithm.actor.rate": 1})
    assert settings.algorithm.base.clip == 0.3
    assert settings.algorithm.base.actor.rate == 1.0
    assert settings.algorithm.base.critic == USUAL.algorithm.base.critic


def test_an_ambiguous_name_asks_which():
    assert problems_of(Given("algorithm.rate", 1.0)) == [
        "algorithm.rate: say which: algorithm.base.actor.rate or algorithm.base.critic.rate."
    ]


def test_all_problems_come_at_once():
    problems = problems_of(
        Given("domain.sevrers", 3, "f:1: "),
        Given("domain.load", True, "f:2: "),
        Given("domain.weight", -1, "f:3: "),
        Given("domain.groups", 0, "f:4: "),
        Given("algorithm.clip", 0, "f:5: "),
        Given("train.iterations", 0, "f:6: "),
        Given("seed", -1, "f:7: "),
        Given("seed", 0, "f:8: "),
        problems=["before"],
    )
    assert problems == [
        "before",
        "f:1: domain.sevrers: there is no such setting. Did you mean 'domain.servers'?",
        "f:2: domain.load: expected one of 'slots', 'true', got true.",
        "f:8: seed: is given twice.",
        "f:4: domain.groups: expected at least 1, got 0.",
        "f:3: domain.weight: expected at least 0, got -1.0.",
        "f:5: algorithm.base.clip: expected above 0, got 0.0.",
        "f:6: train.iterations: expected at least 1, got 0.",
        "f:7: seed: expected 0 to 4294967295, got -1.",
    ]


def test_an_impossible_combination_names_its_table():
    assert problems_of(Given("domain.groups", 3), Given("seeds", 0)) == [
        "domain: 20 servers do not divide into 3 groups.",
        "seeds: expected at least 1, got 0.",
    ]


def test_a_table_is_no_value():
    assert problems_of(Given("algorithm.base", 3)) == [
        "algorithm.base: expected a table of settings, got 3."
    ]


def test_difference_is_told_by_dotted_name():
    assert difference(USUAL, USUAL) == []
    new = with_values(USUAL, {"domain.servers": 50, "algorithm.clip": 0.5, "domain.limit": 4})
    assert difference(USUAL, new) == [
        "domain.servers: 20 -> 50",
        "domain.limit: none -> 4",
        "algorithm.base.clip: 0.2 -> 0.5",
    ]


def test_another_domain_is_one_difference():
    cloud = defaults("cloud", CLIMB)
    assert difference(USUAL, cloud) == [f"domain: {DISPATCH} -> cloud"]


def test_with_own_values_nothing_changes():
    assert with_values(USUAL, flatten(USUAL)) == USUAL


def test_unknown_members_are_told_together():
    with pytest.raises(UserError) as caught:
        defaults("clod", "nothing.py")
    domain, algorithm = caught.value.problems
    assert "'clod'. Did you mean 'cloud'?" in domain
    assert algorithm.startswith("nothing.py: there is no such file")


def test_a_broken_file_of_the_users_is_their_error(tmp_path):
    broken = tmp_path / "broken.py"
    broken.write_text("def make(:\n")
    with pytest.raises(UserError, match=r"broken\.py: cannot be loaded: SyntaxError"):
        defaults(str(broken), CLIMB)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("train.rollouts", 2**31, "train.rollouts: expected at most 2,147,483,647, got 2147483648"),
        ("domain.band", (0.0, float("inf")), "domain.band: expected a number of at most 3.4e\\+38"),
        (
            "domain.weight",
            -1e39,
            "domain.weight: expected a number of at most 3.4e\\+38 either way",
        ),
    ],
)
def test_numbers_that_nothing_can_be_are_refused(name, value, sentence):
    with pytest.raises(UserError, match=sentence):
        with_values(USUAL, {name: value})
