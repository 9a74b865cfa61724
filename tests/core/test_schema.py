from dataclasses import dataclass, field, replace
from typing import Literal

import pytest

from descant.core.errors import UserError
from descant.core.schema import build, check, expected, find, meanings, parse, settings_of, short


@dataclass(frozen=True)
class Inner:
    clip: float = 0.2
    """How far."""

    def __post_init__(self):
        if self.clip < 0:
            raise ValueError(f"clip: expected at least 0, got {self.clip}.")


@dataclass(frozen=True)
class Outer:
    size: int = 3
    """How many,
    on two lines."""
    inner: Inner = field(default_factory=lambda: Inner(clip=0.5))
    bare: bool = False


@dataclass(frozen=True)
class Heir(Outer):
    extra: str = ""
    """Only here."""


def test_leaves_have_dotted_names_defaults_and_meanings():
    leaves = settings_of(Heir(), "domain")
    assert list(leaves) == ["domain.size", "domain.inner.clip", "domain.bare", "domain.extra"]
    assert leaves["domain.inner.clip"].default == 0.5
    assert leaves["domain.size"].meaning == "How many, on two lines."
    assert leaves["domain.bare"].meaning == ""


def test_meanings_are_inherited():
    assert meanings(Heir) == {"size": "How many, on two lines.", "extra": "Only here."}


def test_a_type_that_cannot_be_typed_is_refused_by_name():
    @dataclass(frozen=True)
    class Bad:
        table: dict = field(default_factory=dict)

    with pytest.raises(UserError, match=r"^domain\.table: a setting cannot be of type"):
        settings_of(Bad(), "domain")


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (int, "-3", -3),
        (float, "1e-3", 1e-3),
        (float, "3", 3.0),
        (float, "inf", float("inf")),
        (bool, "true", True),
        (str, "true", "true"),
        (Literal["slots", "true"], "true", "true"),
        (Literal[1, 2], "2", 2),
        (int | None, "none", None),
        (int | None, "7", 7),
        (tuple[int, ...], "1,2, 3", (1, 2, 3)),
        (tuple[int, ...], "[1, 2]", (1, 2)),
        (tuple[int, ...], "", ()),
        (tuple[float, float], "0.8,0.85", (0.8, 0.85)),
    ],
)
def test_text_reads_as_its_type(kind, text, value):
    read = parse(kind, text)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (int, "3.0"),
        (int, "true"),
        (int, str(2**63)),
        (int, "9" * 5000),
        (float, "nan"),
        (float, "none"),
        (bool, "1"),
        (bool, "True"),
        (str, "\udc80"),
        (Literal["a", "b"], "c"),
        (int | None, "x"),
        (tuple[int, ...], "1,,2"),
        (tuple[float, float], "1"),
        (tuple[float, float], "1,2,3"),
    ],
)
def test_text_of_another_type_is_refused(kind, text):
    with pytest.raises(ValueError):
        parse(kind, text)


def test_a_whole_number_is_a_number_and_a_truth_value_is_none():
    assert check(float, 3) == 3.0
    assert type(check(float, 3)) is float
    for kind in (int, float, str, Literal[1, 0]):
        with pytest.raises(ValueError):
            check(kind, True)
    with pytest.raises(ValueError):
        check(str, 3)
    with pytest.raises(ValueError):
        check(float, 10**400)


def test_types_in_words():
    assert expected(Literal["a", 2]) == "one of 'a', 2"
    assert expected(int | None) == "a whole number or none"
    assert expected(tuple[int, ...]) == "a list, each a whole number"
    assert expected(tuple[float, float]) == "2 items (a number, a number)"


def test_a_name_may_leave_out_nesting_where_only_one_is_meant():
    known = ["a.base.clip", "a.base.actor.rate", "a.base.critic.rate", "a.rank", "b.clip"]
    assert find("a.clip", known) == ["a.base.clip"]
    assert find("a.actor.rate", known) == ["a.base.actor.rate"]
    assert find("a.rate", known) == ["a.base.actor.rate", "a.base.critic.rate"]
    assert find("a.rank", known) == ["a.rank"]
    assert find("a", known) == []
    assert find("c.clip", known) == []
    assert [short(name, known) for name in known] == [
        "a.clip",
        "a.actor.rate",
        "a.critic.rate",
        "a.rank",
        "b.clip",
    ]


def test_the_top_wins_over_what_is_nested():
    assert find("a.clip", ["a.clip", "a.base.clip"]) == ["a.clip"]
    assert short("a.base.clip", ["a.clip", "a.base.clip"]) == "a.base.clip"


def test_build_replaces_leaves_and_nothing_else():
    built = build(Outer(), {"x.inner.clip": 0.9}, "x")
    assert built == replace(Outer(), inner=Inner(clip=0.9))


def test_a_refusal_gets_its_dotted_name():
    with pytest.raises(UserError) as caught:
        build(Outer(), {"x.inner.clip": -1.0}, "x")
    assert caught.value.problems == ["x.inner.clip: expected at least 0, got -1.0."]
