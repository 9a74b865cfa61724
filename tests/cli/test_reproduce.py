import json
import re

import pytest

from descant.cli.reproduce import MOST
from descant.reproduce._common import figures, targets
from descant.reproduce._common.drive import Outcome


@pytest.fixture
def reproduce(monkeypatch):
    """A stand-in for the work; it keeps what it was asked for and ends as told."""
    asked = []

    def stand_in(target, scale, out, console):
        stand_in.scale = scale
        asked.append((target.name, scale.name, scale.seeds, str(out)))
        if target.name == reproduce.stopped_at:
            return Outcome("interrupted", out, signal=2)
        return Outcome("finished", out / target.name / scale.name, "| table |\n", ("A finding.",))

    reproduce = stand_in
    reproduce.stopped_at = None
    monkeypatch.setattr("descant.reproduce._common.drive.reproduce", stand_in)
    stand_in.asked = asked
    return stand_in


def test_list_says_what_every_target_costs(descant):
    text = descant("reproduce list").out
    for name in targets.names():
        assert re.search(rf"^  {name} +\d+ \w+ +\d+ \w+  \w", text, re.MULTILINE), name
    assert "all together" in text
    record = json.loads(descant("reproduce list --json").out)
    assert (record["format"], record["kind"]) == (1, "targets")
    assert [row["name"] for row in record["targets"]] == targets.names()
    assert all(0 < row["quick"] < row["full"] for row in record["targets"])
    assert record["total"]["quick"] < sum(row["quick"] for row in record["targets"])


def test_quick_is_the_default(descant, reproduce):
    result = descant("reproduce dgpg.fig3 dgpg.fig2 dgpg.fig3")
    assert result.code == 0
    quick = [targets.load(name).scales["quick"] for name in ("dgpg.fig3", "dgpg.fig2")]
    assert reproduce.asked == [
        ("dgpg.fig3", "quick", quick[0].seeds, "reproduction"),
        ("dgpg.fig2", "quick", quick[1].seeds, "reproduction"),
    ]
    assert "| table |" in result.out
    assert "Page: reproduction/dgpg.fig3/quick/index.html" in result.err
    assert "Next: descant reproduce dgpg.fig3 dgpg.fig2 --full" in result.err


def test_full_size_seeds_and_folder(descant, reproduce):
    result = descant("reproduce dgpg.table1 --full --seeds 3 --out elsewhere --json")
    assert reproduce.asked == [("dgpg.table1", "full", 3, "elsewhere")]
    (record,) = json.loads(result.out)["targets"]
    assert record["status"] == "finished"
    assert record["findings"] == ["A finding."]


def test_as_many_sizes_are_taken_as_a_figure_has_colours():
    assert len(figures.SIZES) == MOST


def test_other_sizes_are_taken_in_ascending_order(descant, reproduce):
    result = descant("reproduce compare --sizes 100,5")
    assert result.code == 0
    assert (reproduce.scale.servers, reproduce.scale.folder) == ((5, 100), "quick-5-100")
    assert "Next: descant reproduce compare --sizes 100,5 --full" in result.err


def test_an_interruption_ends_with_the_shell_s_code(descant, reproduce):
    reproduce.stopped_at = "dgpg.fig2"
    result = descant("reproduce dgpg.fig3 dgpg.fig2 dgpg.table1")
    assert result.code == 130
    assert [name for name, *_ in reproduce.asked] == ["dgpg.fig3", "dgpg.fig2"]
    assert "| table |" in result.out
    assert "the same command goes on from here" in result.err


def test_a_file_is_no_place_for_results(descant, reproduce, place):
    (place / "taken").write_text("mine")
    result = descant("reproduce dgpg.fig2 --out taken")
    assert (result.code, reproduce.asked) == (2, [])
    assert "--out: taken is a file; expected a folder." in result.err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("reproduce", "expected list or a target, got nothing"),
        ("reproduce dgpg.fig", "There is no target 'dgpg.fig'. Did you mean 'dgpg.fig"),
        ("reproduce list dgpg.fig2", "list: stands alone."),
        ("reproduce dgpg.fig2 --quick --full", "--quick: cannot be given together with --full."),
        ("reproduce dgpg.fig2 --seeds 0", "--seeds: expected at least 1, got 0."),
        ("reproduce dgpg.fig2 --seeds 99999", "--seeds: expected at most 1,000, got 99999."),
        ("reproduce compare --sizes 5,1", "--sizes: expected at least 2 agents, got 1."),
        ("reproduce compare --sizes 2,3,4,5,6,7,8,9,10", "--sizes: expected at most 8, got 9."),
        ("reproduce compare --sizes 5,5", "--sizes: expected each one once."),
        ("reproduce curves maipg.fig1 --sizes 5", "--sizes: maipg.fig1 takes no other numbers of"),
        ("reproduce utilities.scaling --sizes 9", "--sizes: utilities.scaling takes no other"),
        ("reproduce compare --full --sizes 100", "runs happo up to 20 agents; expected a size"),
    ],
)
def test_refusals(descant, reproduce, line, said):
    result = descant(line)
    assert (result.code, result.out) == (2, "")
    assert said in result.err
    assert not reproduce.asked


def test_a_missing_package_is_told_before_anything_is_run(descant, reproduce, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = descant("reproduce dgpg.fig3 maipg.smac")
    assert (result.code, result.out) == (2, "")
    assert result.err == (
        "maipg.smac: This needs the package jaxmarl, which is not installed: "
        "pip install 'descant[jaxmarl]'.\n"
    )
    assert not reproduce.asked
