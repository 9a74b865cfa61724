import json

SUMMARY = {
    "format": 1,
    "kind": "import",
    "rows": {"nodes": {"file": "n.csv", "rows_in": 3, "accepted": 2, "rejected": 1}},
    "rejects": [
        {"file": "n.csv", "line": 4, "column": "cpu", "value": "x", "reason": "expected a number"}
    ],
    "rejects_total": 2,
    "notes": ["one note"],
    "out": "trace",
    "summary": {"nodes": 2, "resources": {"cpu": {"load": 0.25, "unit": "cores"}}},
}
LINE = "import cloud --format openb --nodes n.csv --jobs p.csv --out trace"


def test_an_import_is_told(descant, stand_in):
    calls = []

    def run_import(format, nodes, jobs, out, **options):
        calls.append((format, str(nodes), str(jobs), str(out), options))
        return SUMMARY

    stand_in("descant.domains.cloud.formats", run_import=run_import)
    result = descant(f"{LINE} --replace")
    options = {"replace": True, "max_reject_share": 0.5}
    assert calls == [("openb", "n.csv", "p.csv", "trace", options)]
    assert result.out.splitlines() == [
        "nodes: 3 rows, 2 accepted, 1 rejected",
        "  n.csv:4:cpu: expected a number, got 'x'",
        "  and 1 more, all in trace",
        "note: one note",
        "nodes: 2",
        "cpu: load 0.25, unit cores",
        "written: trace",
    ]
    assert result.err == "Next: descant train cloud --preset trace --domain.trace trace\n"
    assert json.loads(descant(f"{LINE} --json").out) == SUMMARY


def test_all_that_is_missing_is_told_at_once(descant):
    result = descant("import cloud --format openb --max-reject-share 2")
    assert result.code == 2
    assert result.err.splitlines() == [
        "--max-reject-share: expected 0 to 1, got 2.0.",
        "--nodes: is missing.",
        "--jobs: is missing.",
        "--out: is missing.",
    ]
