import json

from descant.cli import doctor
from descant.cli.doctor import Finding


def test_a_healthy_machine(descant, monkeypatch):
    monkeypatch.setattr(doctor, "FREE", 0.0)
    result = descant("doctor --json")
    record = json.loads(result.out)
    assert result.code == 0, record
    assert record["healthy"] is True
    assert list(record["checks"]) == list(doctor.CHECKS)
    assert len(set(record["checks"]["repeatability"]["fingerprints"])) == 1


def test_one_bad_check_is_told_and_the_others_still_run(descant, monkeypatch):
    def broken():
        raise RuntimeError("no device")

    checks = {"devices": broken, "disk": lambda: Finding("enough", {})}
    monkeypatch.setattr(doctor, "CHECKS", checks)
    result = descant("doctor")
    assert result.code == 1
    assert result.out.splitlines() == [
        "BAD  devices       RuntimeError: no device",
        "ok   disk          enough",
    ]


def test_bits_that_differ_are_bad(monkeypatch):
    answers = iter([(doctor.ANSWER, "a"), (doctor.ANSWER, "b"), (doctor.ANSWER, "a")])
    monkeypatch.setattr(doctor, "_canary", lambda: next(answers))
    finding = doctor._repeatability()
    assert not finding.ok
    assert "DIFFERENT bits (a, b)" in finding.said


def test_a_wrong_answer_is_bad(monkeypatch):
    monkeypatch.setattr(doctor, "_canary", lambda: (0.5, "a"))
    assert not doctor._repeatability().ok
