"""A run folder as training and evaluation leave it, made of random walks."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from descant.evaluate import statistics
from descant.report import records

RULES = {
    "best-fit": (-41.6, 0.82, 11.4),
    "first-fit": (-43.9, 0.80, 13.0),
    "round-robin": (-47.2, 0.74, 16.9),
    "join-shortest-queue": (-44.4, 0.78, 12.1),
    "most-efficient-first": (-37.1, 0.86, 9.9),
    "random": (-96.3, 0.61, 58.2),
}

Fabricate = Callable[..., Path]


@pytest.fixture
def fabricate(tmp_path: Path) -> Fabricate:
    def inside(name: str = "guided", **options: Any) -> Path:
        return make_run(tmp_path / name, **options)

    return inside


@pytest.fixture
def wanted(fabricate: Fabricate) -> Callable[..., records.Record]:
    """The record of a run that was after a utility."""

    def wanted(name: str, *, exact: bool, kept: bool) -> records.Record:
        path = fabricate(name) / "evaluation.json"
        found = wanting(json.loads(path.read_text()), exact=exact, kept=kept)
        _write(path, json.dumps(found))
        return records.read(path.parent)

    return wanted


def make_run(
    path: Path,
    *,
    seed: int = 0,
    seeds: int = 4,
    iterations: int = 60,
    score: float = -38.0,
    algorithm: str = "dgpg",
    settings: dict[str, dict[str, Any]] | None = None,
) -> Path:
    rng = np.random.default_rng(seed)
    (path / "checkpoints" / f"{iterations:08d}").mkdir(parents=True)
    _write(path / "config.toml", _config(seed, seeds, iterations, algorithm, settings or {}))
    _write(path / "run.json", json.dumps(_facts(path, algorithm, iterations)))
    rows = _metrics(rng, iterations, seeds, score)
    _write(path / "metrics.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    times = [
        {"iteration": i + 1, "seconds": s, "steps_per_second": 4e4 / s}
        for i, s in enumerate(1.2 + 0.1 * rng.random(iterations))
    ]
    _write(path / "timing.jsonl", "".join(json.dumps(row) + "\n" for row in times))
    _write(path / "evaluation.json", json.dumps(evaluation(rng, score, iterations, algorithm)))
    _write(path / "episode.json", json.dumps(_episode(rng)))
    return path


def evaluation(
    rng: np.random.Generator, score: float, iterations: int = 60, algorithm: str = "dgpg"
) -> dict[str, Any]:
    scenario = np.random.default_rng(99).gamma(4, 1.1, 40)
    scores = {"learned": (score, 0.84, 9.6)} | RULES
    values = {
        name: mean - (scenario - 4.4) * (mean / -40) + rng.normal(0, 0.9 + abs(mean) / 60, 40)
        for name, (mean, _, _) in scores.items()
    }
    policies = [_policy(n, v, values["learned"], *scores[n][1:]) for n, v in values.items()]
    return {
        "format": 1,
        "kind": "evaluation",
        "domain": "cloud",
        "algorithm": algorithm,
        "run": "runs/guided",
        "iteration": iterations,
        "seeds": 1,
        "scenarios": 40,
        "scenario_seed": 2026,
        "mode": "greedy",
        "reference": "learned",
        "policies": policies,
        "alignment": {
            "model": "capacity-proportional",
            "policies": {
                "learned": {"queue": 0.97, "energy": 0.45, "total": 0.63},
                "best-fit": {"queue": 0.94, "energy": 0.52, "total": 0.71},
            },
        },
        "fidelity": {},
        "seconds": 12.3,
    }


def wanting(found: dict[str, Any], *, exact: bool, kept: bool) -> dict[str, Any]:
    """An evaluation of a run that was after a utility, and `kept` constraints: the worse a rule's
    reward, the more it has."""
    measures = ["violation", "utility"] if kept else ["utility"]
    found["ranked_by"] = measures
    found["measures"] = {n: {"exact": exact, "discount": 0.9} for n in measures}
    learned, *rules = found["policies"]
    for i, policy in enumerate([learned, *rules]):
        for measure in measures:
            value = 0.1 * i if measure == "utility" else max(0.0, 0.5 * (i - 2))
            own = 0.25 if measure == "utility" else 0.0
            ends = {"low": own - value - 0.125, "high": own - value + 0.125}
            ends = {"low": own - value, "high": own - value} if exact else ends
            gap = None if policy is learned else {"mean": own - value, **ends}
            mean = own if policy is learned else value
            policy[measure] = {"mean": mean, "low": None, "high": None, "difference": gap}
        policy["utility"]["groups"] = {"kl": -0.5 - i, "linear": 0.5}
    return found


def _policy(
    name: str, values: np.ndarray, learned: np.ndarray, utilisation: float, queue: float
) -> dict[str, Any]:
    own = name == "learned"
    return {
        "name": name,
        "kind": "learned" if own else "rule",
        "mean": float(values.mean()),
        "std": float(values.std(ddof=1)),
        "standard_error": statistics.standard_error(values),
        "values": values.tolist(),
        "difference": None if own else dict(statistics.paired_difference(learned, values)),
        "probability_of_improvement": None
        if own
        else statistics.probability_of_improvement(learned, values),
        "diagnostics": {
            "queue": queue,
            "utilisation": utilisation,
            "energy": 1200 / (1 + utilisation),
        },
    }


def _config(
    seed: int, seeds: int, iterations: int, algorithm: str, settings: dict[str, dict[str, Any]]
) -> str:
    tables: dict[str, dict[str, Any]] = {
        "settings.domain": {"servers": 50, "horizon": 288, "arrivals": 0.8, "reward": "mixed"},
        "settings.algorithm": {"guidance": "sampled", "start": 0.9, "stop": 0.2},
        "settings.algorithm.base": {"clip": 0.2, "discount": 0.99, "trace": 0.95, "epochs": 4},
        "settings.train": {"iterations": iterations, "rollouts": 4, "keep": 3},
    }
    for name, changed in settings.items():
        tables[name] = tables.get(name, {}) | changed
    top = {"domain": "cloud", "algorithm": algorithm, "seed": seed, "seeds": seeds}
    lines = [f"{key} = {json.dumps(value)}" for key, value in top.items()]
    for name, table in tables.items():
        lines += [f"\n[{name}]", *(f"{key} = {json.dumps(v)}" for key, v in table.items())]
    return "\n".join(lines) + "\n"


def _facts(path: Path, algorithm: str, iterations: int) -> dict[str, Any]:
    return {
        "format": 1,
        "command": [
            *("descant", "train", "cloud", algorithm, "--domain.servers", "50"),
            *("--train.iterations", str(iterations), "--seeds", "4", "--run", f"runs/{path.name}"),
        ],
        "created": "2026-11-20T08:12:45+00:00",
        "versions": {"descant": "0.1.0", "python": "3.11.7", "jax": "0.10.2", "numpy": "2.4.6"},
        "threads": 1,
        "device": "cpu (AMD EPYC 9B14)",
        "isa": "avx512f",
        "started": ["2026-11-20T08:12:45+00:00", "2026-11-20T08:31:02+00:00"],
        "parameters": 28_417,
    }


def _metrics(
    rng: np.random.Generator, iterations: int, seeds: int, score: float
) -> list[dict[str, Any]]:
    t = np.arange(iterations)[:, None]
    gain = np.exp(-t / (iterations * (0.08 + 0.05 * rng.random(seeds))))
    returns = score - 1.2 - 55 * gain + rng.normal(0, 0.7, (iterations, seeds))
    norms = 0.4 + 3 * gain + rng.gamma(2, 0.15, (iterations, seeds))
    skipped = (rng.random((iterations, seeds)) < 0.01).astype(float)
    return [
        {
            "iteration": i + 1,
            "progress": (i + 1) / iterations,
            "return": returns[i].tolist(),
            "reward": (returns[i] / 288).tolist(),
            "gradient_norm": norms[i].tolist(),
            "skipped": skipped[i].tolist(),
        }
        for i in range(iterations)
    ]


def _episode(rng: np.random.Generator) -> dict[str, Any]:
    t = np.arange(288)
    day = 0.72 + 0.18 * np.sin(2 * np.pi * (t - 80) / 288)

    def series(shift: float, queue: float) -> dict[str, list[float]]:
        load = np.clip(day + shift + rng.normal(0, 0.015, 288), 0, 1)
        waiting = np.maximum(0, queue * (load - 0.72) * 60 + rng.normal(0, 1, 288))
        return {"utilisation": load.tolist(), "queue": waiting.tolist()}

    return {
        "names": ["utilisation", "queue"],
        "horizon": 288,
        "series": {"learned": series(0.03, 0.8), "best-fit": series(0.0, 1.5)},
    }


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
