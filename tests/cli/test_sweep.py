"""`descant sweep`: what a command line asks to try, what it prints, and a small one for real."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from descant.cli.main import run
from descant.train.settings import with_values
from descant.train.toml import from_toml

ROOT = Path(__file__).parents[2]
LINE = "sweep matrix mappo --vary algorithm.rate=1e-3,1e-2"
EVALUATION = {
    "domain": "matrix",
    "scenarios": 4,
    "seeds": 2,
    "reference": "learned",
    "policies": [
        {"name": "learned", "kind": "learned", "mean": 1.5, "std": 1.0, "difference": None}
    ],
}


def row(name, rate, rank, mean=None, **more):
    return {
        "trial": name,
        "run": f"out/trials/{name}",
        "values": {"algorithm.rate": rate},
        "flags": [f"--algorithm.rate={rate}"],
        "state": "finished",
        "code": 0,
        "message": "",
        "seconds": 1.25,
        "mean": mean,
        "low": None if mean is None else mean - 0.5,
        "high": None if mean is None else mean + 0.5,
        "rank": rank,
        "behind": None,
        **more,
    }


BROKEN = {"state": "diverged", "code": 4, "message": "Iteration 2: not finite."}
ROWS = [
    row("002-b", 0.01, 1, 2.0),
    row("001-a", 0.001, 2, 1.0, behind={"mean": 1.0, "low": -0.5, "high": 2.5}),
    row("003-c", 100.0, None, **BROKEN),
]


@pytest.fixture
def asked(stand_in):
    """What a sweep is asked for; it ends as told."""

    class Asked(list):
        status, rows, signal, comparable, by = "finished", ROWS, None, True, ["reward"]

    asked = Asked()

    def sweep(trials, out, about, train, pool, console, stop):
        asked.append((trials, out, train, pool))
        stop.requested = asked.signal
        held_out = {"mean": 1.5, "low": 1.0, "high": 2.0, "evaluation": EVALUATION}
        held_out["violation"] = 0.25 if "violation" in asked.by else None
        return {
            "kind": "sweep",
            "status": asked.status,
            "out": str(out),
            **about,
            "ranked_by": asked.by,
            "trials": asked.rows,
            "ties": ["001-a"],
            "comparable": asked.comparable,
            "held_out": held_out if asked.status == "finished" else None,
        }

    stand_in("descant.sweep.drive", sweep=sweep)
    return asked


def test_trials_are_runs_that_meet_no_held_out_scenario(descant, asked):
    flags = "--seeds 2 --train.iterations 7 --train.scenarios 4 --workers 3"
    assert descant(f"{LINE} --vary algorithm.net=mlp,linear {flags}").code == 0
    ((trials, out, train, pool),) = asked
    assert (str(out), train.scenarios, pool.workers) == ("sweeps/matrix-mappo-s0", 4, 3)
    assert [tuple(trial.values.values()) for trial in trials] == [
        *((0.001, "mlp"), (0.001, "linear")),
        *((0.01, "mlp"), (0.01, "linear")),
    ]
    for trial in trials:
        settings = trial.settings
        assert (settings.train.scenarios, settings.train.iterations, settings.seeds) == (0, 7, 2)
        assert (settings.algorithm.rate, settings.algorithm.net) == tuple(trial.values.values())


def test_the_line_of_a_trial_is_the_run_it_was(descant, asked):
    """What is varied may decide what a preset says."""
    line = (
        "sweep cloud dgpg --preset published --train.scenarios 4 --vary domain.servers=20,200 "
        "--vary algorithm.norm=0.1..0.3 --trials 4"
    )
    descant(line)
    ((trials, _, _, _),) = asked
    lines = descant(f"{line} --dry-run").out.splitlines()
    assert {trial.settings.algorithm.base.minibatch for trial in trials} == {31, 12}
    for trial, said in zip(trials, lines, strict=True):
        assert said.startswith("descant train cloud dgpg --preset published --train.scenarios=4 ")
        dry = descant(f"{said.removeprefix('descant ')} --dry-run")
        assert from_toml(dry.out) == with_values(trial.settings, {"train.scenarios": 4})


def test_the_table_and_what_is_said_of_it(descant, asked, snapshot):
    result = descant(f"{LINE} --seeds 2 --algorithm.hidden 4")
    assert result.code == 0
    snapshot("sweep", result.out)
    assert "Next: descant report out/trials/002-b\n" in result.err
    markdown = descant(f"{LINE} --seeds 2 --md").out
    assert "| 1 | 002-b | 0.01 | 2.000 | [1.500, 2.500] | 1.2 | finished |  |" in markdown


def test_a_table_says_what_it_ranks_by(descant, asked):
    asked.rows = [
        row("002-b", 0.01, 1, 2.0, violation=0.0),
        row(
            "001-a",
            0.001,
            2,
            3.0,
            violation=1.5,
            behind={"mean": -1.0, "low": -1.5, "high": -0.5},
            violates_more={"mean": 1.5, "low": 1.0, "high": 2.0},
        ),
    ]
    asked.by = ["violation", "utility"]
    out = descant(f"{LINE} --seeds 2").out
    assert (
        "matrix with mappo: violation of constraints, lower is better, then utility on 8 "
        "validation scenarios, 2 learners each, higher is better"
    ) in out
    first, second = (line.split() for line in out.splitlines() if "finished" in line)
    assert first[3:5] == ["0.000", "2.000"] and second[3:5] == ["1.500", "3.000"]
    assert second[-1] == "better", "by what it violates, not by what it has"
    assert (
        "002-b on 4 held-out scenarios: utility 1.5, 95 % interval [1, 2], violation 0.25." in out
    )


def test_what_ranks_cannot_tell_is_said(descant, asked):
    asked.comparable = False
    out = descant(LINE).out
    assert "One learner each tells no setting from luck" in out
    assert "Trials may have met different worlds" in out


def test_json(descant, asked):
    record = json.loads(descant(f"{LINE} --json").out)
    assert (record["format"], record["kind"], record["status"]) == (1, "sweep", "finished")
    assert record["line"] == ["descant", "train", "matrix", "mappo"]
    assert record["vary"] == ["algorithm.rate=1e-3,1e-2"]
    planned = json.loads(descant(f"{LINE} --json --dry-run").out)
    assert planned["status"] == "planned"
    assert [trial["values"] for trial in planned["trials"]] == [
        {"algorithm.rate": 0.001},
        {"algorithm.rate": 0.01},
    ]


def test_an_interruption_ends_with_the_shell_s_code(descant, asked):
    asked.status, asked.signal = "interrupted", signal.SIGTERM
    asked.rows = [row("001-a", 0.1, None, state="open")]
    result = descant(LINE)
    assert result.code == 143
    assert "the same command goes on from here" in result.err


@pytest.mark.parametrize(("codes", "code"), [((4, 4), 4), ((3, 4), 5), ((-9,), 5)])
def test_where_all_fail_the_code_is_theirs(descant, asked, codes, code):
    asked.status = "failed"
    asked.rows = [row(f"00{i}", 0.1, None, state="failed", code=c) for i, c in enumerate(codes)]
    result = descant(LINE)
    assert result.code == code
    assert "No trial was finished" in result.err and "Best:" not in result.out


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("sweep matrix mappo", "--vary: expected at least one, as in --vary algorithm.rate="),
        (f"{LINE} --vary", "--vary: expected SETTING=VALUES, got nothing."),
        (f"{LINE} --vary algorithm.rate=1", "--vary algorithm.rate: is given twice."),
        (f"{LINE} --algorithm.rate 1", "--vary algorithm.rate: is given twice."),
        (f"{LINE} --vary algorithm.clop=1", "--vary algorithm.clop: there is no such setting."),
        (f"{LINE} --vary algorithm.clip=-1,1", "--vary algorithm.clip: expected above 0, got -1.0"),
        (f"{LINE} --vary algorithm.hidden=-9..0", "--vary algorithm.hidden: expected at least 1"),
        (f"{LINE} --trials 3", "--trials: is for ranges; lists are tried in all combinations."),
        (f"{LINE} --trials 0", "--trials: expected at least 1, got 0."),
        (f"{LINE} --workers 0", "--workers: expected at least 1, got 0."),
        (f"{LINE} --train.validation 0", "--train.validation: expected at least 1 to rank trials"),
        (f"{LINE} --train.iterations x", "--train.iterations: expected a whole number, got 'x'."),
        (f"{LINE} --on mars", "--on: expected one of 'local', 'ray', got 'mars'."),
        ("sweep matrx --vary seed=1", "matrx"),
    ],
)
def test_refusals(descant, asked, line, said):
    result = descant(line)
    assert (result.code, result.out, asked) == (2, "", [])
    assert said in result.err


def test_all_that_is_wrong_is_told_at_once(descant, asked):
    result = descant("sweep matrix mappo --vary algorithm.rate=a --vary algorithm.net=b")
    assert [line.split(":")[0] for line in result.err.splitlines()] == [
        "--vary algorithm.rate",
        "--vary algorithm.net",
    ]


def test_planning_imports_nothing_heavy():
    program = (
        "import sys; from descant.cli.main import run; code = run(sys.argv[1:]); "
        "heavy = {'jax', 'scipy', 'numpy', 'polars'} & set(sys.modules); "
        "sys.exit(f'imported {heavy}' if heavy or code else 0)"
    )
    words = [*LINE.split(), "--dry-run"]
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """A sweep with one rate that learns and one that diverges, and the same command again."""
    home = tmp_path_factory.mktemp("sweep")
    line = (
        "sweep matrix mappo --vary algorithm.rate=1e-2,1e38 --algorithm.net linear --seeds 2 "
        "--train.iterations 2 --train.rollouts 2 --train.max-bad 1 --train.validation 2 "
        "--train.scenarios 3 --train.rules random --out out --json"
    )

    def call():
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
        done = subprocess.run(
            [sys.executable, "-m", "descant", *line.split()],
            cwd=home,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout), done.stderr

    return home, call(), call()


def test_a_sweep_for_real(real):
    home, (record, said), _ = real
    best, other = record["trials"]
    assert (best["rank"], best["values"], best["state"]) == (
        1,
        {"algorithm.rate": 0.01},
        "finished",
    )
    assert (other["rank"], other["state"]) == (None, "diverged"), other
    assert len(best["seed_means"]) == 2 and best["low"] <= best["mean"] <= best["high"]
    assert "2 trials, 0 of them done before" in said
    validation = json.loads((home / best["run"] / "validation.json").read_text())
    assert (validation["scenarios"], validation["scenario_seed"]) == (2, 0)
    evaluation = json.loads((home / best["run"] / "evaluation.json").read_text())
    assert evaluation["scenarios"] == 3
    assert evaluation["policies"] == record["held_out"]["evaluation"]["policies"]
    assert not (home / other["run"] / "evaluation.json").exists()
    assert json.loads((home / "out" / "sweep.json").read_text()) == record
    rows = list(csv.DictReader((home / "out" / "table.csv").open()))
    assert [r["state"] for r in rows] == ["finished", "diverged"]


def test_the_same_command_does_nothing_again(real):
    _, (record, _), (again, said) = real
    assert again == record
    assert "2 trials, 2 of them done before" in said
    assert "Meeting" not in said


def test_the_best_line_is_that_run(real, monkeypatch, capsys):
    home, (record, _), _ = real
    monkeypatch.chdir(home)
    best = record["trials"][0]
    line = [*record["line"], *best["flags"]]
    assert run([*line[1:], "--dry-run"]) == 0
    settings = from_toml(capsys.readouterr().out)
    kept = from_toml(Path(best["run"], "config.toml"))
    assert settings.algorithm == kept.algorithm and settings.domain == kept.domain
    assert settings.train.scenarios == 3 and kept.train.scenarios == 0
