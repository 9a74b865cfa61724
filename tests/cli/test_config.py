import re
from pathlib import Path

import pytest

from descant.cli import config
from descant.core.errors import UserError
from descant.presets import PRESETS, Preset

TOYS = Path(__file__).parents[1] / "toys"
DISPATCH, CLIMB = str(TOYS / "dispatch.py"), str(TOYS / "climb.py")


def resolved(*flags, presets=(), file=None):
    return config.resolve(DISPATCH, CLIMB, presets, file, flags)


def refused(*flags, **options):
    with pytest.raises(UserError) as caught:
        resolved(*flags, **options)
    return caught.value.problems


@pytest.fixture
def presets(monkeypatch):
    for name in list(PRESETS):
        monkeypatch.delitem(PRESETS, name)
    monkeypatch.setitem(
        PRESETS, "big", Preset("Many.", DISPATCH, {"domain.servers": 100, "domain.weight": 9.0})
    )
    monkeypatch.setitem(
        PRESETS,
        "sized",
        Preset("By size.", DISPATCH, lambda s: {"train.iterations": s.domain.servers}),
    )
    monkeypatch.setitem(PRESETS, "other", Preset("Elsewhere.", "cloud", {}))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text("seed = 5\n[settings.domain]\nservers = 50\ngroups = 5\n")
    return path


def test_defaults_then_preset_then_file_then_flags(presets, file):
    settings = resolved("--domain.groups=10", presets=["big"], file=file)
    assert settings.domain.groups == 10
    assert settings.domain.servers == 50
    assert settings.domain.weight == 9.0
    assert settings.domain.load == "slots"
    assert settings.seed == 5


def test_a_preset_may_depend_on_what_is_asked_for(presets):
    assert resolved("--domain.servers=7", presets=["big", "sized"]).train.iterations == 7
    assert resolved(presets=["big", "sized"]).train.iterations == 100
    assert resolved("--train.iterations=2", presets=["sized"]).train.iterations == 2


def test_presets_are_checked_by_name_and_domain(presets):
    assert refused(presets=["bg", "other"]) == [
        "--preset: there is no preset 'bg'. Did you mean 'big'? Known: big, sized, other.",
        f"preset other: is for the domain 'cloud', not '{DISPATCH}'.",
    ]


@pytest.mark.parametrize(
    ("flag", "name", "value"),
    [
        ("--domain.bursts", "domain.bursts", True),
        ("--domain.no-bursts", "domain.bursts", False),
        ("--domain.bursts=true", "domain.bursts", True),
        ("--algorithm.no-normalise", "algorithm.base.normalise", False),
        ("--algorithm.base.no_normalise", "algorithm.base.normalise", False),
        ("--algorithm.clip=0.5", "algorithm.base.clip", 0.5),
        ("--algorithm.actor.width=32,16", "algorithm.base.actor.width", (32, 16)),
        ("--train.max-bad=3", "train.max_bad", 3),
        ("--domain.limit=none", "domain.limit", None),
        ("--domain.trace=", "domain.trace", ""),
        ("--seeds=4", "seeds", 4),
    ],
)
def test_flags(flag, name, value):
    assert config.flatten(resolved(flag))[name] == value


def test_all_problems_of_all_sources_come_at_once(presets, tmp_path):
    path = tmp_path / "run.toml"
    path.write_text("seeds = 1.5\n[settings.domain]\nweight = -1\n")
    problems = refused("--domain.server=3", "--domain.load", presets=["small"], file=path)
    assert [re.sub(r" Known.*", "", problem) for problem in problems] == [
        "--preset: there is no preset 'small'.",
        "--domain.load: expected one of 'slots', 'true', got nothing.",
        f"{path}:1: seeds: expected a whole number, got 1.5.",
        "--domain.server: there is no such setting. Did you mean 'domain.servers'?",
        f"{path}:3: domain.weight: expected at least 0, got -1.0.",
    ]


def test_a_file_names_domain_and_algorithm_and_words_win(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text(f'domain = "cloud"\nalgorithm = "{CLIMB}"\n')
    assert config.resolve(None, None, file=path).domain_name == "cloud"
    assert config.resolve(DISPATCH, None, file=path).domain_name == DISPATCH


def test_files_of_the_users_are_kept_by_full_path(monkeypatch):
    monkeypatch.chdir(TOYS)
    settings = config.resolve("dispatch.py", "climb.py")
    assert (settings.domain_name, settings.algorithm_name) == (DISPATCH, CLIMB)


def test_the_usual_folder_names_the_run():
    folder = config.folder(resolved("--domain.servers=50", "--seed=1"))
    assert folder == Path("runs/dispatch-climb-50-s1")


def test_the_usual_folder_of_a_preset_is_not_that_of_the_defaults():
    """Two commands of the README that differ in the preset are two runs."""
    folder = config.folder(resolved("--domain.servers=50"), ["descant"])
    assert folder == Path("runs/dispatch-climb-50-descant-s0")


def test_overrides_are_what_changes():
    settings = resolved("--domain.servers=50")
    assert config.overrides(settings, ["--domain.servers=60", "--domain.weight=1"]) == {
        "domain.servers": 60
    }
    with pytest.raises(UserError, match=r"--domain\.servers: expected a whole number"):
        config.overrides(settings, ["--domain.servers=many"])
