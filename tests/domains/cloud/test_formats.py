import json
import subprocess
import sys
from pathlib import Path

import pytest

from descant.core.errors import PlaceError, UserError
from descant.domains.cloud.formats import FORMATS, run_import
from descant.domains.cloud.trace import load

DATA = Path(__file__).parents[3] / "data" / "openb"
NODES = "name,cpu\na,4\nb,8\n"
JOBS = "name,arrival,duration,cpu\nx,0,10,1\ny,5,20,8\n"


@pytest.fixture
def files(tmp_path):
    nodes, jobs = tmp_path / "nodes.csv", tmp_path / "jobs.csv"
    nodes.write_text(NODES)
    jobs.write_text(JOBS)
    return nodes, jobs


def test_real_import_is_whole(tmp_path):
    out = tmp_path / "openb"
    result = run_import(
        "openb",
        DATA / "openb_node_list_all_node.csv",
        DATA / "openb_pod_list_default.csv",
        out,
    )
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert (result["format"], result["kind"], result["out"]) == (1, "import", str(out))
    for kind, rows_in in (("nodes", 1523), ("jobs", 8152)):
        count = result["rows"][kind]
        assert count["rows_in"] == rows_in == count["accepted"] + count["rejected"]
    trace = load(out)
    assert (len(trace.names), len(trace.time)) == (1523, 8151)
    assert result["summary"]["jobs"] == 8151
    assert trace.source["notes"] == result["notes"]
    (reject,) = (out / "rejects.jsonl").read_text().splitlines()
    assert [json.loads(reject)] == result["rejects"]
    assert str(DATA) not in (out / "trace.json").read_text()


def test_own_cluster(tmp_path, files):
    result = run_import("csv", *files, tmp_path / "t")
    assert result["summary"]["resources"]["cpu"]["capacity"] == 12_000
    assert (result["rejects"], result["rejects_total"]) == ([], 0)
    assert (tmp_path / "t" / "rejects.jsonl").read_text() == ""


def test_no_reject_is_lost(tmp_path, files):
    nodes, jobs = files
    jobs.write_text(JOBS + "".join(f"z{i},0,-1,1\n" for i in range(1234)))
    result = run_import("csv", nodes, jobs, tmp_path / "t", max_reject_share=1.0)
    assert (len(result["rejects"]), result["rejects_total"]) == (1000, 1234)
    lines = (tmp_path / "t" / "rejects.jsonl").read_text().splitlines()
    rejects = [json.loads(line) for line in lines]
    assert [r["line"] for r in rejects] == list(range(4, 1238))
    assert rejects[0] == {
        "file": str(jobs),
        "line": 4,
        "column": "duration",
        "value": "-1",
        "reason": "expected 0.001 to 10,000,000,000",
    }


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": "opnb"}, "Did you mean 'openb'?"),
        ({"max_reject_share": 1.5}, "expected 0 to 1"),
        ({"max_reject_share": float("nan")}, "expected 0 to 1"),
        ({"jobs": "name,arrival,duration,cpu\nx,0,-1,1\n"}, "1 of 1 rows cannot be used"),
        ({"jobs": ""}, "is empty"),
        ({"nodes": "name,gpu\na,1\n"}, "has no counterpart"),
    ],
)
def test_an_import_that_fails_writes_nothing(tmp_path, files, change, words):
    nodes, jobs = files
    nodes.write_text(change.pop("nodes", NODES))
    jobs.write_text(change.pop("jobs", JOBS))
    with pytest.raises(UserError) as caught:
        run_import(
            **({"format": "csv", "nodes": nodes, "jobs": jobs, "out": tmp_path / "t"} | change)
        )
    assert words in str(caught.value)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["jobs.csv", "nodes.csv"]


def test_a_disk_that_fails_leaves_nothing(tmp_path, files, monkeypatch):
    def full(_handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(PlaceError, match="No space left"):
        run_import("csv", *files, tmp_path / "t")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["jobs.csv", "nodes.csv"]


def test_a_taken_place_is_told_before_files_are_read(tmp_path):
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "notes.txt").touch()
    with pytest.raises(UserError, match="other content"):
        run_import("csv", Path("/no/nodes"), Path("/no/jobs"), tmp_path / "work", replace=True)


def test_importing_needs_no_jax():
    code = (
        "import sys\n"
        "import descant.domains.cloud.formats\n"
        "sys.exit(any(m in sys.modules for m in ('jax', 'equinox')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_formats_are_named():
    assert sorted(FORMATS) == ["csv", "openb"]
