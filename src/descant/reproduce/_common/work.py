"""Doing the jobs: training, scoring, and the clock and memory that go with them."""

import gc
import json
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rich.console import Console

from descant.core.errors import Diverged
from descant.evaluate.episodes import Decided, scenario_keys
from descant.evaluate.episodes import score as play
from descant.evaluate.session import SEED, evaluate_domain
from descant.session import train as train_run
from descant.train.cache import enable_compile_cache
from descant.train.facts import facts
from descant.train.folder import RunFolder
from descant.train.place import place as here
from descant.train.progress import phase
from descant.train.settings import Settings, flatten
from descant.train.signals import graceful
from descant.train.trained import load_trained


class Interrupted(Exception):
    """Somebody asked to stop; what was done is safe."""

    def __init__(self, signal: int):
        super().__init__(signal)
        self.signal = signal


def train(settings: Settings, folder: Path, console: Console) -> dict[str, Any]:
    """Train, or go on, and say how it went.

    A run that diverges is a result too: its record holds the sentence and the curve so far.

    Raises:
        Interrupted: it was stopped; the same call goes on.
    """
    jax.clear_caches()
    gc.collect()
    forget_peak()
    start, before = time.perf_counter(), _seconds(folder)
    diverged = None
    try:
        result = train_run(settings, folder, console=console)
    except Diverged as error:
        diverged = str(error)
    else:
        if result.signal is not None:
            _note_start(folder, start, before)
            raise Interrupted(result.signal)
    _note_start(folder, start, before)
    run = RunFolder(folder)
    rows = run.rows("metrics")
    known = sorted({name for row in rows for name, x in row.items() if isinstance(x, list)})
    sizes = facts(settings)
    return {
        "kind": "training",
        "settings": {"domain": settings.domain_name, "algorithm": settings.algorithm_name}
        | flatten(settings),
        "run": folder.name,
        "diverged": diverged,
        "iterations": len(rows),
        "metrics": {name: [row.get(name) for row in rows] for name in known},
        "seconds": [row["seconds"] for row in run.rows("timing")],
        "starts": _starts(folder),
        "rollout_bytes": sizes["rollout bytes"],
        "policy_weights": sizes["policy weights"],
    }


def score(
    folder: Path, scenarios: int, overrides: Mapping[str, Any], console: Console
) -> dict[str, Any]:
    """Mean reward per tick of each seed's policy in each held-out scenario."""
    enable_compile_cache()
    start = time.perf_counter()
    with graceful(idle=True), phase(console, "Playing"):
        trained = load_trained(folder, overrides)
        keys = scenario_keys("held-out", SEED, scenarios)

        def one(learner):
            rule = Decided(trained.algorithm.policy(learner), "act")
            found = play(trained.domain, rule, keys)
            return found.reward, found.diagnostics

        reward, diagnostics = jax.device_get(
            jax.jit(lambda learners: jax.lax.map(one, learners))(trained.learners)
        )
    return {
        "kind": "scores",
        "run": folder.name,
        "iteration": trained.iteration,
        "selected": list(trained.selected),
        "overrides": dict(overrides),
        "scenarios": scenarios,
        "scenario_seed": SEED,
        "values": np.asarray(reward, np.float64).tolist(),
        "diagnostics": {
            name: np.asarray(x, np.float64).mean(axis=-1).tolist()
            for name, x in diagnostics.items()
        },
        "seconds": time.perf_counter() - start,
    }


def rules(name: str, config: Any, scenarios: int, bound: bool, console: Console) -> dict[str, Any]:
    """Mean reward per tick of each rule in each held-out scenario, and what none can exceed."""
    enable_compile_cache()
    with graceful(idle=True), phase(console, "Playing"):
        found = evaluate_domain(name, config, scenarios=scenarios, bound=bound)
    return {
        "kind": "rules",
        "domain": name,
        "servers": getattr(config, "servers", None),
        "scenarios": scenarios,
        "scenario_seed": found["scenario_seed"],
        "values": {policy["name"]: policy["values"] for policy in found["policies"]},
        "bound": found["bound"],
        "seconds": found["seconds"],
    }


def place() -> dict[str, Any]:
    """Where this process runs, for the record."""
    return here(jax.devices()[0].device_kind)


def forget_peak() -> None:
    """Begin to measure the peak of resident memory anew, where the system lets us."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak() -> int | None:
    """Bytes of resident memory at the peak since `forget_peak`; None where it is not known."""
    with suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return 1024 * int(next(x for x in lines if x.startswith("VmHWM")).split()[1])
    return None


def _seconds(folder: Path) -> float:
    return sum(row["seconds"] for row in RunFolder(folder).rows("timing"))


def _starts(folder: Path) -> list[dict[str, Any]]:
    path = folder / "starts.json"
    with suppress(OSError, ValueError):
        return json.loads(path.read_text(encoding="utf-8"))
    return []


def _note_start(folder: Path, start: float, before: float) -> None:
    """Wall-clock seconds of this start, those of them spent in iterations, and memory."""
    seconds = time.perf_counter() - start
    told = {"seconds": seconds, "iterating": _seconds(folder) - before, "peak_bytes": peak()}
    RunFolder(folder).write_json("starts.json", [*_starts(folder), told])
