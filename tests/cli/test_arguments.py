from dataclasses import dataclass

import pytest

from descant.cli.arguments import Common, either_reading, read
from descant.core.errors import UserError


@dataclass(frozen=True)
class Options(Common):
    run: str | None = None
    """Folder."""
    scenarios: int = 40
    """How many."""
    preset: tuple[str, ...] = ()
    """Names."""
    vary: tuple[str, ...] = ()
    """Settings and values."""


ROOTS = ("domain", "seed")


def line(text):
    return read(text.split(), Options(), 2, ROOTS)


def test_order_does_not_matter():
    for text in (
        "cloud dgpg --run r --domain.servers 5 --seed 1 --json",
        "--json --seed=1 cloud --domain.servers=5 --run=r dgpg",
    ):
        arguments = line(text)
        assert arguments.words == ("cloud", "dgpg")
        assert set(arguments.flags) == {"--domain.servers=5", "--seed=1"}
        assert arguments.options == Options(json=True, run="r")
        assert arguments.problems == ()


def test_values_may_be_negative_and_lists_may_grow():
    arguments = line("--domain.x -3 --preset a,b --preset c --no-color")
    assert arguments.flags == ("--domain.x=-3",)
    assert arguments.options.preset == ("a", "b", "c")
    assert arguments.options.color is False


def test_commas_of_what_is_varied_are_its_own():
    arguments = line("--vary a.b=1,2..3 --vary=c=[1,2],[3]")
    assert arguments.options.vary == ("a.b=1,2..3", "c=[1,2],[3]")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("--vary", "--vary: expected SETTING=VALUES, got nothing."),
        ("--rnu x", "--rnu: there is no such option. Did you mean '--run'?"),
        ("--sede 1", "--sede: there is no such option. Did you mean '--seed'?"),
        ("-x", "-x: there is no such option."),
        ("--run", "--run: expected a text, got nothing."),
        ("--run --json", "--run: expected a text, got nothing."),
        ("--scenarios many", "--scenarios: expected a whole number, got 'many'."),
        ("--run a --run b", "--run: is given twice, as 'a' and as 'b'."),
        ("a b c", "'c' is one word too many."),
        ("a b domain.servers=5", "domain.servers=5: write --domain.servers=5"),
        (
            "--domian.servers 5",
            "--domian.servers: settings of this command begin with domain. Did you mean 'domain'?",
        ),
        (
            "--no-domain.switch",
            "--no-domain.switch: a switch is turned off by --domain.no-switch.",
        ),
    ],
)
def test_what_cannot_be_read_is_told(text, problem):
    assert line(text).problems == (problem,)


def test_settings_where_there_are_none():
    arguments = read(["--domain.servers=5"], Options(), 1)
    assert arguments.problems == ("--domain.servers: this command takes no settings.",)


def test_a_name_after_a_switch_is_a_word_where_the_first_reading_fails():
    arguments = line("--domain.switch cloud")

    def use(read):
        if read.flags == ("--domain.switch=cloud",):
            raise UserError("no switch")
        return read

    assert either_reading(arguments, use).words == ("cloud",)
    assert either_reading(arguments, lambda read: read.flags) == ("--domain.switch=cloud",)


def test_when_both_readings_fail_the_first_speaks():
    def use(read):
        raise UserError(*read.flags)

    with pytest.raises(UserError) as caught:
        either_reading(line("--domain.switch cloud"), use)
    assert caught.value.problems == ["--domain.switch=cloud"]
