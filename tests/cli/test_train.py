import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from descant.train.toml import from_toml

TOYS = "dispatch.py climb.py"
EVALUATION = {
    "format": 1,
    "kind": "evaluation",
    "domain": "dispatch",
    "scenarios": 8,
    "seeds": 1,
    "reference": "learned",
    "policies": [
        {"name": "learned", "kind": "learned", "mean": -3.0, "std": 1.0, "difference": None}
    ],
}


class Calls(list):
    devices = None


@pytest.fixture
def session(stand_in):
    """A training session that only records how it was called."""
    calls = Calls()

    def put(status="finished", signal=None, evaluation=EVALUATION):
        def train(settings, folder, *, fresh, console, devices, hosts, last):
            calls.append((settings, folder, fresh))
            calls.devices = devices
            return SimpleNamespace(status=status, signal=signal, evaluation=evaluation)

        stand_in("descant.session", train=train)
        return calls

    return put


def test_train_hands_over_settings_and_folder(descant, session):
    calls = session()
    result = descant(f"train --fresh {TOYS} --domain.servers 50 --seed=2 --algorithm.clip 0.3")
    ((settings, folder, fresh),) = calls
    assert (settings.domain.servers, settings.seed, settings.algorithm.base.clip) == (50, 2, 0.3)
    assert (folder, fresh) == (Path("runs/dispatch-climb-50-s2"), True)
    assert result.code == 0
    assert "learned  -3.000" in result.out
    assert result.err == (
        "Run folder: runs/dispatch-climb-50-s2\nNext: descant report runs/dispatch-climb-50-s2\n"
    )


@pytest.mark.parametrize(
    ("status", "signal", "code"),
    [("finished", None, 0), ("already-finished", None, 0), ("interrupted", 2, 130)],
)
def test_status_is_the_exit_code(descant, session, status, signal, code):
    session(status, signal, evaluation=None)
    result = descant(f"train {TOYS} --run here --json")
    assert result.code == code
    assert json.loads(result.out) == {
        "format": 1,
        "kind": "training",
        "run": "here",
        "status": status,
        "signal": signal,
        "evaluation": None,
    }


def test_learners_are_scored_on_request(descant, session, stand_in):
    session(evaluation=None)
    scored = []
    found = {
        "scenarios": 3,
        "ranked_by": ["violation", "utility"],
        "values": [[1.0], [2.0]],
        "utility": [0.25, 0.5],
        "violation": [0.0, 0.5],
    }
    stand_in("descant.evaluate.session", validate_run=lambda run: scored.append(run) or found)
    assert "validation" not in json.loads(descant(f"train {TOYS} --run here --json").out)
    result = descant(f"train {TOYS} --run here --score --json")
    assert json.loads(result.out)["validation"] == found
    assert "On 3 validation scenarios: violation 0.25, utility 0.375." in result.err
    assert scored == [Path("here")]
    session("interrupted", 2, evaluation=None)
    assert descant(f"train {TOYS} --run here --score").code == 130
    assert len(scored) == 1


def test_devices_and_hosts_are_no_settings_of_the_run(descant, session):
    calls = session()
    for given, wanted in (("", 1), ("--devices 2", 2), ("--devices all", "all")):
        assert descant(f"train {TOYS} {given}").code == 0
        assert calls.devices == wanted
    assert calls[0] == calls[1] == calls[2]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("--devices 0", "--devices: expected at least 1, got 0."),
        ("--devices some", "--devices: expected "),
        ("--hosts here,0,2", "--hosts: expected HOST:PORT,RANK,SIZE as in 10.0.0.1:4711,0,2, got"),
        ("--hosts here:1,2,2", "--hosts: expected ranks 0 to SIZE - 1 = 1, got rank 2."),
    ],
)
def test_devices_and_hosts_that_make_no_sense(descant, session, given, said):
    calls = session()
    result = descant(f"train {TOYS} {given}")
    assert (result.code, calls) == (2, [])
    assert result.err.startswith(said)


def test_quiet_says_nothing_but_results(descant, session):
    session()
    result = descant(f"train {TOYS} --quiet")
    assert result.err == ""
    assert "learned" in result.out


def test_verbose_tells_what_is_unusual(descant, session):
    session()
    result = descant(f"train {TOYS} --verbose --domain.servers 50")
    assert "domain.servers: 20 -> 50" in result.err


def test_a_dry_run_prints_what_config_reads(descant, session, place):
    calls = session()
    flags = "--domain.servers 50 --domain.limit 3 --algorithm.actor.width 8"
    dry = descant(f"train {TOYS} {flags} --dry-run")
    assert calls == []
    (place / "dry.toml").write_text(dry.out)
    descant("train --config dry.toml")
    descant(f"train {TOYS} {flags}")
    assert calls[0][0] == calls[1][0] == from_toml(place / "dry.toml")
    record = json.loads(descant(f"train {TOYS} {flags} --dry-run --json").out)
    assert record["settings"]["domain.servers"] == 50


def test_a_word_after_a_switch_is_a_name(descant, session):
    calls = session()
    descant("train dispatch.py --domain.bursts climb.py --seed 1")
    ((settings, _, _),) = calls
    assert settings.domain.bursts is True
    assert Path(settings.algorithm_name).name == "climb.py"


def test_a_verbose_dry_run_tells_sizes_and_seconds(descant, stand_in, place):
    seconds = {"iteration": 0.51234, "iterations left": 5.1234, "found": "measured"}
    stand_in("descant.session", estimate=lambda settings, folder, devices: seconds)
    line = "train balance.py mappo --seeds 2 --train.rollouts 3 --domain.horizon 6 --dry-run"
    result = descant(f"{line} --verbose")
    assert result.code == 0, result.err
    assert from_toml(result.out).seeds == 2
    assert "# ticks per iteration: 36\n" in result.out
    assert "#   reward: float32[6, 3]\n" in result.out
    assert "# seconds:\n#   iteration: 0.512\n#   iterations left: 5.12\n" in result.out
    facts = json.loads(descant(f"{line} --verbose --json").out)["facts"]
    assert facts["seconds"] == seconds
    assert facts["agents"] == 3
    assert facts["checkpoint bytes"] > 2 * 4 * facts["policy weights"]
    assert facts["rollout"]["action"] == "int32[6, 3, 3]"
    assert "facts" not in json.loads(descant(f"{line} --json").out)
