from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from descant.core.errors import UserError
from descant.train.settings import defaults, with_values
from descant.train.toml import from_toml, of_run, to_toml

TOYS = Path(__file__).parents[1] / "toys"
DISPATCH, CLIMB = str(TOYS / "dispatch.py"), str(TOYS / "climb.py")
USUAL = defaults(DISPATCH, CLIMB)
HEAD = f'domain = "{DISPATCH}"\nalgorithm = "{CLIMB}"\n'

WORD = st.text(st.characters(exclude_categories=["Cs"]))
WHOLE = st.integers(1, 2**31 - 1)
REAL = st.floats(min_value=0, max_value=1e30, exclude_min=True)
VALUES = st.fixed_dictionaries(
    {},
    optional={
        "domain.servers": WHOLE,
        "domain.load": st.sampled_from(["slots", "true"]),
        "domain.band": st.tuples(REAL, REAL),
        "domain.weight": REAL,
        "domain.limit": st.none() | st.integers(-(2**31) + 1, 2**31 - 1),
        "domain.trace": WORD,
        "domain.bursts": st.booleans(),
        "algorithm.base.clip": REAL,
        "algorithm.base.actor.width": st.lists(WHOLE).map(tuple),
        "algorithm.base.normalise": st.booleans(),
        "train.iterations": WHOLE,
        "seed": st.integers(0, 2**32 - 1),
        "seeds": WHOLE,
    },
)


@given(VALUES)
def test_what_is_written_reads_back_as_the_same_value(values):
    settings = with_values(USUAL, values)
    assert from_toml(to_toml(settings)) == settings


def test_the_text_is_the_one_people_would_write():
    text = to_toml(USUAL)
    assert text.startswith(f"{HEAD}seed = 0\nseeds = 1\n\n[settings.domain]\nservers = 20\n")
    assert '\nlimit = "none"\n' in text
    assert "\n[settings.algorithm]\nguidance = " in text
    assert "\n[settings.algorithm.base.actor]\nwidth = [64, 64]\nrate = 0.0003\n" in text


def test_what_is_left_out_is_usual():
    assert from_toml(HEAD) == USUAL
    assert from_toml(f"{HEAD}[settings.algorithm.base]\n") == USUAL


def test_every_problem_has_its_line(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text(
        f"{HEAD}sed = 1\n"
        "[settings.domain]\n"
        "servers = '20'\n"
        "  limit = true\n"
        'load="slot"\n'
        "[settings.algorithm]\n"
        "base.clip = -1\n"
        "[train]\n"
        "[settings.train]\n"
        "iterations = 1979-05-27\n"
        "[settings.trian]\n"
    )
    with pytest.raises(UserError) as caught:
        from_toml(path)
    assert caught.value.problems == [
        f"{path}:3: sed: there is no such key. Did you mean 'seed'?",
        f"{path}:10: train: its settings belong under [settings.train].",
        f"{path}:5: domain.servers: expected a whole number, got '20'.",
        f"{path}:6: domain.limit: expected a whole number or none, got true.",
        f"{path}:7: domain.load: expected one of 'slots', 'true', got 'slot'. "
        "Did you mean 'slots'?",
        f"{path}:12: train.iterations: expected a whole number, got 1979-05-27.",
        f"{path}:13: trian: there is no such setting. Did you mean 'train'?",
        f"{path}:9: algorithm.base.clip: expected above 0, got -1.0.",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("domain = ", r"^config:1: this is not valid TOML"),
        ("a = 1\na = 2", r"^config:2: this is not valid TOML"),
        ("x = " + "[" * 10_000, "this is not valid TOML"),
        ("x = " + "9" * 5_000, r"^config:1: this is not valid TOML"),
        (f"{HEAD}[settings.{'a.' * 5_000}b]\nx=1", "there is no such setting"),
        ("seed = 1", "domain: is missing; expected a name"),
        ("domain = 3", "domain: expected a text, got 3"),
        (f"{HEAD}settings = 3", "settings: expected a table, got 3"),
    ],
)
def test_what_is_no_configuration_is_said_so(text, said):
    with pytest.raises(UserError, match=said):
        from_toml(text)


def test_unreadable_files_are_the_users_error(tmp_path):
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"seed = 1\xff")
    for path, said in [
        (binary, "expected a TOML file in UTF-8; byte 8 is not"),
        (tmp_path, "cannot be read: is a directory"),
        (tmp_path / "none.toml", "cannot be read: no such file"),
    ]:
        with pytest.raises(UserError, match=said):
            from_toml(path)


def test_a_run_says_all_that_it_went_by(tmp_path):
    """A default that came later, or changed, would be taken for what the run had."""
    config = tmp_path / "config.toml"
    config.write_text(to_toml(USUAL))
    assert of_run(config) == USUAL
    text = config.read_text()
    config.write_text(text.replace('limit = "none"\n', "").replace("rate = 0.0003\n", ""))
    assert from_toml(config) == USUAL
    with pytest.raises(UserError, match=r"config\.toml: lacks domain\.limit, algorithm\.base\."):
        of_run(config)
