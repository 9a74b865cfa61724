import json

import pytest


@pytest.fixture
def calls(stand_in, place):
    calls = []

    def write_report(runs, out):
        calls.append(([str(run) for run in runs], str(out)))
        told = [{"run": str(run), "problems": {"metrics.jsonl": "is torn."}} for run in runs]
        return {"format": 1, "kind": "report", "path": str(out), "runs": told}

    stand_in("descant.report.page", write_report=write_report)
    for name in ("one", "two"):
        (place / name).mkdir()
        (place / name / "config.toml").touch()
    return calls


def test_the_page_goes_into_the_run_folder_or_here(descant, calls):
    assert descant("report one").out == "one/report.html\n"
    assert descant("report one two").out == "report.html\n"
    assert descant("report one --out x.html").out == "x.html\n"
    assert calls == [
        (["one"], "one/report.html"),
        (["one", "two"], "report.html"),
        (["one"], "x.html"),
    ]


def test_what_is_missing_is_said(descant, calls):
    assert "one: is torn.\n" in descant("report one").err
    assert json.loads(descant("report one --json").out)["kind"] == "report"


def test_no_runs_and_a_folder_as_file_are_refused(descant, calls):
    assert descant("report").code == 2
    assert "--out: expected a file, got the folder two." in descant("report one --out two").err
