"""Trials in their folders: found again by their settings, and done when nothing would change."""

import signal

import pytest

from descant.sweep.trials import placed
from descant.train.folder import RunFolder
from descant.train.toml import from_toml


def test_every_trial_has_a_folder_with_its_settings(trial, tmp_path):
    jobs = placed([trial(0.1), trial(0.2)], tmp_path)
    assert [job.folder.name[:4] for job in jobs] == ["001-", "002-"]
    for job in jobs:
        assert from_toml(job.folder / "config.toml") == job.trial.settings
        assert job.result() == {
            "state": "open",
            "code": None,
            "message": "",
            "rewards": None,
            "utility": None,
            "violation": None,
            "ranked_by": None,
            "seconds": None,
        }


def test_a_changed_sweep_finds_what_is_there(trial, tmp_path):
    first = placed([trial(0.1), trial(0.2)], tmp_path)
    (tmp_path / "trials" / "notes").mkdir()
    second = placed([trial(0.2), trial(0.3), trial(0.1)], tmp_path)
    assert [job.folder for job in (second[0], second[2])] == [first[1].folder, first[0].folder]
    assert second[1].folder.name.startswith("003-")


def test_digests_tell_settings_apart(trial):
    assert trial(0.1).digest == trial(0.1).digest != trial(0.2).digest


@pytest.fixture
def job(trial, tmp_path):
    (job,) = placed([trial(0.1)], tmp_path)
    return job


def test_a_trial_is_an_ordinary_run(job):
    assert job.command[1:4] == ["-m", "descant", "train"]
    assert job.command[4:8] == [
        *("--config", str(job.folder / "config.toml")),
        *("--run", str(job.folder)),
    ]


def test_a_finished_trial_has_rewards_and_seconds(job):
    run = RunFolder(job.folder)
    run.write_json("validation.json", {"values": [[1.0, 2.0], [3.0, 4.0]]})
    assert job.result()["state"] == "open", "its process has not ended yet"
    for seconds in (1.5, 2.0):
        run.append("timing", {"iteration": 1, "seconds": seconds})
    job.note(0)
    assert job.done
    result = job.result()
    assert (result["state"], result["seconds"]) == ("finished", 3.5)
    assert result["rewards"] == [[1.0, 2.0], [3.0, 4.0]]
    assert (result["ranked_by"], result["utility"]) == (["reward"], None)


def test_a_finished_trial_says_what_it_was_after(job):
    told = {"ranked_by": ["violation", "utility"], "utility": [0.5, 0.25], "violation": [0.0, 1.0]}
    wanted = {"utility": [0.1, 0.2, 0.3]}
    values = {"values": [[1.0], [3.0]], **told, "wanted": wanted}
    RunFolder(job.folder).write_json("validation.json", values)
    job.note(0)
    result = job.result()
    assert {name: result[name] for name in told} == told and job.wanted() == wanted
    lost = values | {"violation": [0.0, float("nan")]}
    RunFolder(job.folder).write_json("validation.json", lost)
    assert (job.result()["state"], job.result()["message"]) == (
        "diverged",
        "A violation is not a finite number.",
    )


@pytest.mark.parametrize(
    ("code", "state", "done"),
    [(4, "diverged", True), (2, "failed", False), (5, "failed", False), (-9, "failed", False)],
)
def test_only_divergence_would_come_again(job, code, state, done):
    job.log.write_text('Warning: x\n{"kind": "error", "message": "It broke."}\n')
    job.note(code)
    result = job.result()
    assert (result["state"], job.done, result["rewards"]) == (state, done, None)
    said = f"Its process was ended by {signal.SIGKILL.name}." if code < 0 else "It broke."
    assert result["message"] == said


@pytest.mark.parametrize("text", ["", "Killed\n", "[1]\n", None])
def test_a_process_that_says_nothing_is_told_by_its_code(job, text):
    if text is not None:
        job.log.write_text(text)
    job.note(5)
    assert job.result()["message"] == f"Its process ended with exit code 5; see {job.log}."


def test_a_reward_that_is_not_finite_is_no_rank(job):
    RunFolder(job.folder).write_json("validation.json", {"values": [[1.0, float("nan")]]})
    job.note(0)
    result = job.result()
    assert (result["state"], result["code"], result["rewards"]) == ("diverged", 4, None)


@pytest.mark.parametrize("name", ["trial.json", "validation.json"])
def test_a_damaged_file_lets_the_trial_be_done_again(job, name):
    RunFolder(job.folder).write_json("validation.json", {"values": [[1.0]]})
    job.note(0)
    assert job.done
    (job.folder / name).write_text("{")
    assert not job.done


def test_rules_are_those_of_the_run(job):
    assert job.rules() is None
    RunFolder(job.folder).write_json("run.json", {"rules": {"random": 1.0}})
    assert job.rules() == {"random": 1.0}
