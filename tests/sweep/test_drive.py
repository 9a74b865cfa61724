"""Sweeps with a pool that only pretends: ranks, what goes on, and who meets held-out scenarios."""

import json
import signal
from types import SimpleNamespace

import pytest
from rich.console import Console

from descant.core.errors import UserError
from descant.evaluate.session import SEED
from descant.sweep import drive
from descant.train.config import Train
from descant.train.folder import RunFolder
from descant.train.signals import Stop

GOOD, BETTER = [[1.0, 3.0], [2.0, 2.0]], [[5.0, 6.0], [5.0, 4.0]]


@pytest.fixture
def met(monkeypatch):
    """Runs that met held-out scenarios, in order."""
    met = []

    def evaluate_run(run, *, scenarios, bound, replace, rules):
        met.append(run.name)
        learned = {"kind": "learned", "values": [1.0, 2.0, 6.0]}
        world = {"scenarios": scenarios, "scenario_seed": SEED, "mode": "act"}
        evaluation = world | {"policies": [learned]}
        RunFolder(run).write_json("evaluation.json", evaluation)
        return evaluation

    monkeypatch.setattr("descant.evaluate.session.evaluate_run", evaluate_run)
    monkeypatch.setattr(drive, "enable_compile_cache", lambda: None)
    return met


@pytest.fixture
def sweep(tmp_path, pretended, met):
    def sweep(trials, outcomes, scenarios=3, stop=None, **more):
        pool = pretended(outcomes, **more)
        found = drive.sweep(
            trials,
            tmp_path / "out",
            {"seeds": 2},
            Train(scenarios=scenarios),
            pool,
            Console(quiet=True),
            Stop() if stop is None else stop,
        )
        assert found == json.loads((tmp_path / "out" / "sweep.json").read_text())
        return SimpleNamespace(**found, pool=pool, names=[row["trial"] for row in found["trials"]])

    return sweep


def test_the_best_by_validation_alone_meets_held_out_scenarios(sweep, trial, met):
    trials = [trial(0.1), trial(0.2), trial(0.3)]
    found = sweep(trials, {0.1: GOOD, 0.2: BETTER, 0.3: 4})
    assert found.status == "finished"
    assert [name[:3] for name in found.names] == ["002", "001", "003"]
    assert met == [found.names[0]]
    assert found.held_out["mean"] == 3.0
    assert found.held_out["low"] < 3 < found.held_out["high"]
    states = [row["state"] for row in found.trials]
    assert states == ["finished", "finished", "diverged"]
    assert found.trials[2]["message"] == "It broke."


def test_ranks_know_nothing_of_held_out_scenarios(sweep, trial, met, tmp_path):
    """Whatever lies there: an evaluation in a folder changes no rank."""
    trials = [trial(0.1), trial(0.2)]
    before = sweep(trials, {0.1: GOOD, 0.2: BETTER}, scenarios=0)
    assert met == [] and before.held_out is None
    for path in (tmp_path / "out" / "trials").iterdir():
        value = 100.0 if path.name == before.names[1] else -100.0
        policies = [{"kind": "learned", "values": [value], "mean": value}]
        RunFolder(path).write_json("evaluation.json", {"scenarios": 9, "policies": policies})
    assert sweep(trials, {}, scenarios=0).trials == before.trials


def test_what_is_done_is_not_done_again(sweep, trial, met):
    trials = [trial(0.1), trial(0.2), trial(0.3), trial(0.4)]
    first = sweep(trials, {0.1: GOOD, 0.2: BETTER, 0.3: 4, 0.4: 5})
    assert len(first.pool.started) == 4
    again = sweep(trials, {0.4: GOOD})
    assert [name[:3] for name in again.pool.started] == ["004"], "only what may go better now"
    assert met == [first.names[0]], "the comparison is kept, too"
    changed = sweep([trial(0.5), trial(0.2)], {0.5: GOOD})
    assert [name[:3] for name in changed.pool.started] == ["005"]
    assert [name[:3] for name in changed.names] == ["002", "005"]


def test_other_held_out_scenarios_are_met_anew(sweep, trial, met, tmp_path):
    sweep([trial(0.1)], {0.1: GOOD}, scenarios=3)
    sweep([trial(0.1)], {}, scenarios=4)
    assert len(met) == 2
    (path,) = (tmp_path / "out" / "trials").iterdir()
    run = RunFolder(path)
    run.write_json("evaluation.json", run.read_json("evaluation.json") | {"scenario_seed": 1})
    sweep([trial(0.1)], {}, scenarios=4)
    assert len(met) == 3, "somebody has put another evaluation there"


def test_a_sweep_that_is_stopped_ranks_what_it_has_and_goes_on(sweep, trial, met):
    trials, stop = [trial(0.1), trial(0.2)], Stop()

    def ask():
        stop.requested = signal.SIGINT

    found = sweep(trials, {0.1: GOOD, 0.2: BETTER}, stop=stop, then=ask)
    assert found.status == "interrupted" and met == []
    assert [row["state"] for row in found.trials] == ["finished", "open"]
    rest = sweep(trials, {0.2: BETTER})
    assert [name[:3] for name in rest.pool.started] == ["002"]
    assert rest.status == "finished"


def test_trials_that_were_stopped_stay_open(sweep, trial):
    found = sweep([trial(0.1), trial(0.2)], {0.1: 130, 0.2: GOOD})
    assert [row["state"] for row in found.trials] == ["finished", "open"]
    assert sweep([trial(0.1)], {0.1: GOOD}).status == "finished"


def test_where_all_fail_none_is_best(sweep, trial, met):
    found = sweep([trial(0.1), trial(0.2)], {0.1: 4, 0.2: 4})
    assert found.status == "failed" and met == []
    assert [row["rank"] for row in found.trials] == [None, None]


def test_other_worlds_are_told(sweep, trial, tmp_path):
    trials = [trial(0.1, **{"domain.penalty": -5.0}), trial(0.2, **{"domain.penalty": -6.0})]
    assert not sweep(trials, {0.1: GOOD, 0.2: GOOD}).comparable, "no rules are on record"
    for path in (tmp_path / "out" / "trials").iterdir():
        RunFolder(path).write_json("run.json", {"rules": {"random": 1.0}})
    assert sweep(trials, {}).comparable
    assert sweep([trial(0.3), trial(0.4)], {0.3: GOOD, 0.4: GOOD}).comparable


def test_files_of_others_are_left_alone(sweep, trial, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "table.csv").write_text("mine")
    with pytest.raises(UserError, match=r"holds table.csv, and no sweep of descant wrote that"):
        sweep([trial(0.1)], {0.1: GOOD})
    assert (tmp_path / "out" / "table.csv").read_text() == "mine"
