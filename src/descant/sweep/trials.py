"""The trials of a sweep and their run folders: each an ordinary run, named by all its settings."""

import hashlib
import json
import re
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from descant.core.errors import Diverged, UserError
from descant.train.folder import RunFolder
from descant.train.settings import Settings
from descant.train.toml import to_toml

STOPPED = tuple(128 + number for number in (signal.SIGINT, signal.SIGTERM))
"""Exit codes of a trial that somebody asked to stop; it goes on some other time."""


@dataclass(frozen=True)
class Trial:
    """One point of a sweep."""

    values: Mapping[str, Any]
    """What is varied, by dotted name."""
    flags: tuple[str, ...]
    """The same as flags of `descant train`."""
    settings: Settings
    """Of its run; it is not compared on held-out scenarios, so `train.scenarios` is 0."""

    @property
    def digest(self) -> str:
        """Eight letters that stand for all settings."""
        return hashlib.sha256(to_toml(self.settings).encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Job:
    """A trial in its run folder."""

    trial: Trial
    folder: Path

    @property
    def log(self) -> Path:
        """What its process said."""
        return self.folder / "trial.log"

    @property
    def command(self) -> list[str]:
        """Train, or go on, and score the learners on validation scenarios."""
        options = ("--score", "--quiet", "--json", "--no-color")
        places = ("--config", str(self.folder / "config.toml"), "--run", str(self.folder))
        return [sys.executable, "-m", "descant", "train", *places, *options]

    @property
    def done(self) -> bool:
        """Whether another start would change nothing: it is finished, or it diverged."""
        return self.result()["state"] in ("finished", "diverged")

    def rules(self) -> dict[str, float] | None:
        """What rules got on the validation scenarios of its run; None before they are measured."""
        return record(RunFolder(self.folder), "run.json").get("rules")

    def wanted(self) -> dict[str, list[float]]:
        """What its domain wants beyond reward, as some occupancies have it."""
        return record(RunFolder(self.folder), "validation.json").get("wanted") or {}

    def note(self, code: int) -> None:
        """Keep how its process ended.

        Raises:
            PlaceError: the disk did not take it.
        """
        said = _last_words(self.log, code) if code else ""
        RunFolder(self.folder).write_json(
            "trial.json", {"format": 1, "kind": "trial", "code": code, "message": said}
        )

    def result(self) -> dict[str, Any]:
        """How it went so far: `state`, exit `code`, `message`, `seconds`, and once it is finished
        `rewards` `[S][E]` of seeds and validation scenarios, each seed's `utility` and `violation`
        where there are such, and what it is `ranked_by`.

        A file that is missing or damaged leaves the trial `open`; it is then done again.
        """
        run = RunFolder(self.folder)
        ended, scored = (record(run, f"{name}.json") for name in ("trial", "validation"))
        code, rewards = ended.get("code"), scored.get("values")
        found = {"state": "open", "code": code, "message": "", "rewards": None}
        found |= {"utility": None, "violation": None, "ranked_by": None}
        if code == 0 and rewards is not None:
            names = ("utility", "violation")
            more = {name: scored[name] for name in names if scored.get(name) is not None}
            by = scored.get("ranked_by", ["reward"])
            lost = [n for n, x in {"reward": rewards, **more}.items() if not _finite(x)]
            if not lost:
                found |= {"state": "finished", "rewards": rewards, "ranked_by": by, **more}
            else:
                said = f"A {lost[0]} is not a finite number."
                lost = {"code": Diverged.code, "message": said}
                found |= {"state": "diverged", **lost}
        elif code:
            state = "diverged" if code == Diverged.code else "failed"
            found |= {"state": state, "message": str(ended.get("message", ""))}
        return found | {"seconds": _seconds(run)}


def placed(trials: Sequence[Trial], out: Path) -> list[Job]:
    """Each trial in `OUT/trials/NNN-DIGEST`: where it is already, or under the next free number.

    Raises:
        PlaceError: the disk or a permission does not allow it.
    """
    found = re.compile(r"(\d{3,})-([0-9a-f]{8})")
    names = (found.fullmatch(path.name) for path in sorted((out / "trials").glob("*")))
    known = {match[2]: int(match[1]) for match in names if match}
    jobs = []
    for trial in trials:
        number = known.setdefault(trial.digest, 1 + max(known.values(), default=0))
        run = RunFolder(out / "trials" / f"{number:03}-{trial.digest}")
        run.create()
        if not run.config.is_file():
            run.write_text("config.toml", to_toml(trial.settings))
        jobs.append(Job(trial, run.path))
    return jobs


def record(run: RunFolder, name: str) -> dict[str, Any]:
    """A JSON object of a folder; empty where it is missing or damaged."""
    with suppress(UserError):
        found = run.read_json(name)
        return found if isinstance(found, dict) else {}
    return {}


def _finite(values: Any) -> bool:
    """Numbers that are not finite are null in JSON."""
    return all(map(_finite, values)) if isinstance(values, list) else values is not None


def _seconds(run: RunFolder) -> float | None:
    """Spent in iterations, compilation not among them; None before the first."""
    with suppress(UserError):
        return sum(row["seconds"] for row in run.rows("timing")) or None
    return None


def _last_words(log: Path, code: int) -> str:
    """Why a process ended, as it said itself."""
    if code < 0:
        return f"Its process was ended by {signal.Signals(-code).name}."
    with suppress(OSError, ValueError, TypeError, KeyError, IndexError):
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return json.loads(lines[-1])["message"]
    return f"Its process ended with exit code {code}; see {log}."
