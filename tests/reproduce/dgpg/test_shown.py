"""Tables, figures and sentences of all targets, from made-up results."""

import json

import pytest

from descant.reproduce._common import targets
from descant.reproduce._common.drive import conclude
from descant.reproduce._common.found import Found
from descant.reproduce.dgpg import _paper as paper
from reproduce import made_up

NAMES = targets.names()


def shown(name, size="quick", change=None):
    target = targets.load(name)
    scale = target.scales[size]
    results = made_up.results(target, scale)
    if change:
        change(results)
    return target.show(scale, Found(results))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", ["quick", "full"])
def test_every_target_shows_something(name, size):
    found = shown(name, size)
    assert found.findings and found.tables and found.figures and found.claim
    for table in found.tables:
        assert all(len(row) == len(table.head) for row in table.rows)
        assert table.rows
    text = found.markdown()
    assert "nan" not in text and "None" not in text
    assert "seed" in text
    keys = [part.key for part in (*found.tables[1:], *found.figures[1:])]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("name", NAMES)
def test_every_target_writes_its_files(name, tmp_path):
    target = targets.load(name)
    scale = target.scales["quick"]
    results = made_up.results(target, scale)
    outcome = conclude(target, scale, tmp_path, results, "finished")
    page = (tmp_path / "index.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "http://" not in page.replace("http://www.w3.org", "") and "https://" not in page
    assert (tmp_path / "table.md").read_text() == outcome.table
    assert (tmp_path / "figure.svg").read_text().startswith("<svg")
    assert (tmp_path / "table.csv").read_text().count("\n") > 1
    records = [json.loads(line) for line in (tmp_path / "records.jsonl").read_text().splitlines()]
    assert len(records) == len(results)
    assert json.loads((tmp_path / "result.json").read_text())["target"] == name


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("dgpg.fig2", ["−39.9", "−40.3", "−40.8"]),
        ("dgpg.fig3", ["−14.20", "−34.10", "−39.80", "−49.30", "−11.70", "−12.6"]),
        ("dgpg.table1", ["−44.9", "−46.4", "−46.3", "−84.2", "−60.0"]),
        ("dgpg.fig4", ["−44.9", "−46.4", "−41.0", "−60.0"]),
        ("dgpg.table8", ["−87.0", "−57.0", "3\u202f064", "−198"]),
        ("dgpg.table9", ["9.00", "45.00", "2\u202f100.00", "210.00"]),
    ],
)
def test_published_numbers_stand_beside_ours(name, numbers):
    found = shown(name, "full")
    text = "\n".join([found.claim, *(table.markdown() for table in found.tables), *found.findings])
    if name == "dgpg.fig3":
        text = text.replace("−14.2 ", "−14.20 ")
    for number in numbers:
        short = number.removesuffix("0") if name in ("dgpg.fig3", "dgpg.table8") else number
        assert number in text or short in text, number


def test_published_numbers_are_those_of_the_paper():
    assert paper.TABLE1["DG-PG"] == {
        5: (-44.9, 9.8),
        10: (-43.5, 8.2),
        20: (-40.5, 4.7),
        50: (-41.7, 4.5),
        100: (-41.5, 3.2),
        200: (-46.4, 3.3),
    }
    assert [row[7] for row in paper.TABLE8] == [-87, -78, -80, -92, -71, -77, -57, -80]
    assert [row[2] for row in paper.TABLE8] == [256] * 4 + [50_000, 20_000, 10_000, 10_000]
    assert [row[6] for row in paper.TABLE8] == [726, 58, 73, 176, 170, 95, 1000, 164]


def test_losing_is_said_because_the_numbers_say_it():
    def lose(results):
        for result in results.values():
            if result["kind"] == "scores":
                result["values"] = [[-90.0 + 0.01 * i for i in range(len(result["values"][0]))]] * 2

    def win(results):
        for result in results.values():
            if result["kind"] == "scores":
                result["values"] = [[-10.0 + 0.01 * i for i in range(len(result["values"][0]))]] * 2

    for name in ("dgpg.table1", "dgpg.scaling"):
        losing, winning = (" ".join(shown(name, change=c).findings) for c in (lose, win))
        assert "worse" in losing and "worse than" not in winning
        assert "better than" in winning
    first = shown("dgpg.table1", change=lose).findings[0]
    assert first.endswith("against the best of all rules: worse at N = 5, 20, 50, 200.")


def test_the_order_of_methods_is_said_as_it_is():
    def baselines_first(results):
        for result in results.values():
            if result["kind"] == "training" and result["settings"]["algorithm"] == "mappo":
                result["metrics"]["return"] = [[-1.0, -1.0]] * 5

    said = shown("dgpg.fig3").findings[0]
    other = shown("dgpg.fig3", change=baselines_first).findings[0]
    assert said.startswith("Training ends highest with DG-PG at N = 2, 5, 10. ")
    assert "DG-PG at no size" in other and "MAPPO at N = 2" in other


def test_a_slope_that_contradicts_the_claim_is_called_so():
    def flat(results):
        for result in results.values():
            for name in ("mappo", "ippo"):
                part = result["record"]["estimators"][name]["learning"]
                part["snr"] = {"value": 0.3, "low": 0.2, "high": 0.4}
                part["resamples"]["snr"] = [0.3 + 0.001 * i for i in range(200)]

    agrees, contradicts = shown("dgpg.variance"), shown("dgpg.variance", change=flat)
    assert "MAPPO on cloud: this is consistent with the claimed slope of −1." in agrees.findings
    assert "MAPPO on cloud: this contradicts the claimed slope of −1." in contradicts.findings


def test_a_run_that_diverged_is_shown_as_far_as_it_came():
    def diverge(results):
        trained = [r for r in results.values() if r["kind"] == "training"]
        trained[0]["diverged"] = "Iteration 3: not finite."
        trained[0]["metrics"] = {k: v[:2] for k, v in trained[0]["metrics"].items()}
        trained[1]["diverged"] = "Iteration 1: not finite."
        trained[1]["metrics"] = {}

    (table,) = shown("dgpg.table8", change=diverge).tables
    assert "diverged" in table.rows[0][0]
    assert table.rows[1][2] is None
