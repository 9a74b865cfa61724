"""One target from beginning to end, small: interrupted, continued, and done only once."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from types import SimpleNamespace

import pytest
from rich.console import Console

from descant.core.errors import UserError
from descant.reproduce._common import targets
from descant.reproduce._common.drive import Shelf, reproduce
from descant.reproduce._common.jobs import Job
from descant.reproduce._common.plan import Scale
from descant.reproduce._common.shown import Shown
from descant.reproduce._common.tables import Table

QUIET = Console(quiet=True)
TINY = """\
import sys
from dataclasses import replace

from descant.cli.main import run
from descant.reproduce.dgpg import fig3

fig3.METHODS = fig3.METHODS[:1]
fig3.SCALES["quick"] = replace(
    fig3.SCALES["quick"],
    servers=(2,),
    iterations={"dgpg": 60},
    rollouts={0: 1},
    scenarios=2,
    values={
        "domain.horizon": 16,
        "domain.arrivals": 12,
        "train.select": "last",
        "train.validation": 0,
    },
)
raise SystemExit(run(sys.argv[1:]))
"""


@dataclass(frozen=True)
class Count(Job):
    """A job that only counts how often it is done."""

    number: int
    done: list

    name = property(lambda self: f"count-{self.number}")
    title = property(lambda self: f"counting {self.number}")

    def seconds(self):
        return 1.0

    def do(self, place, console):
        self.done.append(self.number)
        return {"kind": "count", "number": self.number, "seconds": 0.5}


@pytest.fixture
def toy():
    """A target of three jobs, two of them the same."""
    done = []

    def show(scale, found):
        rows = tuple((str(found.of(Count(n, done))["number"]), n) for n in (1, 2))
        table = Table("table", "Counts", ("job", "number"), rows)
        return Shown("Counting", "one and two.", ("Counted.",), (table,), ())

    module = SimpleNamespace(
        __doc__="Count.",
        SCALES={"quick": Scale("quick", (), 1)},
        jobs=lambda scale: [Count(1, done), Count(2, done), Count(1, done)],
        show=show,
        done=done,
    )
    return targets.Target("toy.count", module)  # type: ignore[arg-type]


def test_every_job_is_done_once(toy, tmp_path):
    scale = toy.scales["quick"]
    first = reproduce(toy, scale, tmp_path, QUIET)
    again = reproduce(toy, scale, tmp_path, QUIET)
    assert toy.module.done == [1, 2]
    assert (first.status, again.status) == ("finished", "already-finished")
    assert first.table == again.table
    records = (first.folder / "records.jsonl").read_text().splitlines()
    assert [json.loads(line)["number"] for line in records] == [1, 2]
    assert json.loads(records[0])["place"]["versions"]["jax"]


def test_a_lost_result_is_made_again_and_a_damaged_one_named(toy, tmp_path):
    scale = toy.scales["quick"]
    reproduce(toy, scale, tmp_path, QUIET)
    (tmp_path / "jobs" / "count-2.json").unlink()
    reproduce(toy, scale, tmp_path, QUIET)
    assert toy.module.done == [1, 2, 2]
    (tmp_path / "jobs" / "count-1.json").write_text("{")
    with pytest.raises(UserError, match=r"count-1\.json.*Remove it"):
        reproduce(toy, scale, tmp_path, QUIET)
    (tmp_path / "jobs" / "count-1.json").write_text('{"job": "count-2"}')
    with pytest.raises(UserError, match="expected the result of a job"):
        Shelf(tmp_path).get(Count(1, []))


def test_other_seeds_are_other_runs():
    target = targets.load("dgpg.fig3")
    quick = target.scales["quick"]
    few, many = ({j.name for j in target.jobs(replace(quick, seeds=n))} for n in (2, 3))
    shared = few & many
    assert shared and all(name.startswith("rules-") for name in shared)


def test_interrupted_and_continued(tmp_path):
    script = tmp_path / "tiny.py"
    script.write_text(TINY)
    command = [sys.executable, str(script), "reproduce", "dgpg.fig3", "--seeds", "2", "--json"]
    environment = {**os.environ, "NPROC": "1", "NO_COLOR": "1", "JAX_PLATFORMS": "cpu"}

    def start():
        return subprocess.Popen(
            command,
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def lines():
        found = list((tmp_path / "reproduction").glob("runs/*/metrics.jsonl"))
        return found[0].read_text().count("\n") if found else 0

    process = start()
    while lines() < 2 and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 130, err
    assert not (tmp_path / "reproduction" / "dgpg.fig3").exists()
    assert 2 <= lines() < 60

    process = start()
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    assert "resumed after iteration" in err
    (told,) = json.loads(out)["targets"]
    assert told["status"] == "finished"
    folder = tmp_path / told["folder"]
    assert {"table.md", "table.csv", "figure.svg", "index.html", "records.jsonl"} <= {
        path.name for path in folder.iterdir()
    }
    records = [json.loads(line) for line in (folder / "records.jsonl").read_text().splitlines()]
    (trained,) = [record for record in records if record["kind"] == "training"]
    assert trained["iterations"] == len(trained["metrics"]["return"]) == 60
    assert all(len(row) == 2 for row in trained["metrics"]["return"])
    assert len(trained["starts"]) >= 1
    assert trained["rollout_bytes"] > 0
    (scores,) = [record for record in records if record["kind"] == "scores"]
    assert [len(row) for row in scores["values"]] == [2, 2]
    (rules,) = [record for record in records if record["kind"] == "rules"]
    assert {"best-fit", "random"} <= rules["values"].keys()

    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "reproduction").glob("jobs/*")}
    out, err = start().communicate(timeout=300)
    assert json.loads(out)["targets"][0]["status"] == "already-finished"
    assert stamps == {path: path.stat().st_mtime_ns for path in stamps}
