"""One training run from its command to its report; the same call again goes on where it stopped."""

import importlib.metadata
import json
import logging
import os
import platform
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from descant.core.domain import Domain
from descant.core.errors import Diverged, PlaceError, UserError
from descant.train.cache import enable_compile_cache
from descant.train.checkpoint import flatten, latest, restore, save
from descant.train.folder import RunFolder
from descant.train.progress import Progress
from descant.train.settings import Settings, difference
from descant.train.signals import Stop, graceful
from descant.train.toml import from_toml, to_toml

log = logging.getLogger(__name__)

PACKAGES = ("descant", "jax", "jaxlib", "equinox", "optax", "numpy", "scipy")


@dataclass(frozen=True)
class Result:
    """How a training run ended."""

    status: str
    """`finished`, `already-finished` or `interrupted`."""
    signal: int | None = None
    evaluation: dict[str, Any] | None = None


def train(
    settings: Settings, folder: Path, *, fresh: bool = False, console: Console | None = None
) -> Result:
    """Train, evaluate on held-out scenarios, and write the report.

    Args:
        settings: everything that decides the run.
        folder: the run folder; one that holds the same run is continued.
        fresh: start over in it instead.
        console: where a person looks; silent if none is given.

    Raises:
        UserError: the settings cannot be used, or the folder holds a run with other settings.
        PlaceError: disk, permission or lock.
        Diverged: too many iterations in a row were not finite.
    """
    console = console or Console(quiet=True)
    run = RunFolder(Path(folder))
    run.create()
    with run.lock():
        if fresh:
            _clear(run)
        _agree(run, settings)
        with graceful() as stop:
            return _train(run, settings, console, stop)


def _train(run: RunFolder, settings: Settings, console: Console, stop: Stop) -> Result:
    total = settings.train.iterations
    checkpoint, messages = latest(run.checkpoints)
    for message in messages:
        console.print(f"Warning: {message}", markup=False, style="yellow")
    done = 0 if checkpoint is None else checkpoint.step
    if checkpoint is not None and done >= total and run.evaluation.is_file():
        console.print(f"Finished before: iteration {done} of {total}.")
        return Result("already-finished", evaluation=run.read_json("evaluation.json"))
    _, cache = enable_compile_cache()
    log.info(cache)
    import jax
    import jax.numpy as jnp

    from descant.train.loop import begin, plan
    from descant.train.trained import make

    domain, algorithm = make(settings)
    knobs = settings.train
    what = plan(
        algorithm, domain.env, rollouts=knobs.rollouts, steps=knobs.steps, iterations=total
    )
    keys = jax.random.split(jax.random.key(settings.seed), settings.seeds)
    runs = jax.jit(jax.vmap(lambda key: begin(what, key)))(keys)
    size = sum(leaf.nbytes for leaf in flatten(runs).values())
    run.check_room(size)
    if checkpoint is not None:
        runs = jax.tree.map(jnp.asarray, restore(runs, checkpoint.leaves))
    _drop_after(run, done)
    weights = sum(x.size for x in jax.tree.leaves(algorithm.policy(runs.learner)))
    record = _record(run, settings, weights // settings.seeds, console)
    _banner(console, run, settings, record, done)
    rule = _best_rule(run, domain, knobs.validation, settings.seed, record, console)
    status = _loop(run, settings, what, runs, keys, done, rule, console, stop)
    if status == "interrupted":
        return Result("interrupted", signal=stop.requested)
    return _conclude(run, settings, console, stop)


def _loop(
    run: RunFolder,
    settings: Settings,
    what: Any,
    runs: Any,
    keys: Any,
    done: int,
    rule: tuple[str, float] | None,
    console: Console,
    stop: Stop,
) -> str:
    """Train period by period until the end or a request to stop; each period ends on the disk."""
    import jax
    import jax.numpy as jnp

    from descant.train.loop import compile_period

    knobs = settings.train
    total = knobs.iterations
    compiled: dict[int, Any] = {}
    with Progress(console, total, done, rule) as progress:
        while done < total and stop.requested is None:
            length = min(knobs.period, total - done)
            if length not in compiled:
                compiled[length] = compile_period(what, runs, keys, length)
            start = time.perf_counter()
            runs, metrics = compiled[length](runs, keys, jnp.int32(done))
            metrics = jax.device_get(metrics)
            seconds = time.perf_counter() - start
            speed = length * settings.seeds * what.rollouts * what.steps / seconds
            rows = _rows(metrics, done, length, total)
            _refuse_divergence(rows, knobs.max_bad)
            done += length
            for row in rows:
                run.append("metrics", row)
                timing = {"seconds": seconds / length, "steps_per_second": speed}
                run.append("timing", {"iteration": row["iteration"], **timing})
                progress.show(row, speed)
            run.sync()
            save(run.checkpoints, done, flatten(runs), {"total": total}, keep=knobs.keep)
    return "finished" if done >= total else "interrupted"


def _conclude(run: RunFolder, settings: Settings, console: Console, stop: Stop) -> Result:
    """Parquet, the comparison on held-out scenarios, and the report."""
    from descant.evaluate.session import evaluate_run
    from descant.report.page import write_report

    run.to_parquet()
    evaluation = None
    if settings.train.scenarios:
        console.print(
            f"Comparing with every rule on {settings.train.scenarios} held-out scenarios ..."
        )
        evaluation = evaluate_run(run.path, scenarios=settings.train.scenarios)
    if stop.requested is not None:
        return Result("interrupted", signal=stop.requested)
    write_report([run.path], run.report)
    console.print(f"Report: {run.report}", markup=False)
    return Result("finished", evaluation=evaluation)


def _rows(metrics: Mapping[str, Any], done: int, length: int, total: int) -> list[dict[str, Any]]:
    """One record per iteration, with one number per seed."""
    return [
        {
            "iteration": done + i + 1,
            "progress": (done + i) / max(total - 1, 1),
            **{name: np.asarray(value[i], np.float64).tolist() for name, value in metrics.items()},
        }
        for i in range(length)
    ]


def _refuse_divergence(rows: list[dict[str, Any]], limit: int) -> None:
    from descant.train.loop import SITES

    for row in rows:
        if max(row["bad"]) >= limit:
            seed = row["bad"].index(max(row["bad"]))
            site = SITES[int(row["site"][seed]) - 1]
            raise Diverged(
                f"Iteration {row['iteration']}, seed {seed}: {limit} iterations in a row were not "
                f"finite and were left out; NaN or infinity first stood in the {site}. The last "
                f"checkpoint is from before and good. Try a smaller --algorithm.rate."
            )


def _agree(run: RunFolder, settings: Settings) -> None:
    """The folder is new, or holds this very run."""
    if not run.config.is_file():
        run.write_text("config.toml", to_toml(settings))
        return
    changes = difference(from_toml(run.config), settings)
    if changes:
        raise UserError(
            f"{run.path} holds a run with other settings; --fresh starts over, --run takes "
            f"another folder.",
            *changes,
        )


def _clear(run: RunFolder) -> None:
    """Forget the run in this folder; files that are not ours stay."""
    try:
        shutil.rmtree(run.checkpoints, ignore_errors=False)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise PlaceError(f"{run.checkpoints}: cannot be removed: {error.strerror}.") from error
    ours = (run.config, run.run, run.metrics, run.timing, run.parquet, run.evaluation)
    for path in (*ours, run.episode, run.report):
        path.unlink(missing_ok=True)


def _drop_after(run: RunFolder, done: int) -> None:
    """Records of iterations that no checkpoint holds will be made again."""
    for name in ("metrics", "timing"):
        run.truncate(name, done)


def _record(
    run: RunFolder, settings: Settings, parameters: int, console: Console
) -> dict[str, Any]:
    """Where, when and with what the run was started; kept in `run.json`."""
    import jax

    now = datetime.now(UTC).isoformat(timespec="seconds")
    here = {
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES}
        | {"python": platform.python_version()},
        "threads": os.environ.get("NPROC"),
        "device": jax.devices()[0].device_kind,
        "isa": platform.machine(),
    }
    if not run.run.is_file():
        record = {"format": 1, "command": sys.argv, "created": now, "started": [], **here}
        record["parameters"] = parameters
    else:
        record = run.read_json("run.json")
        changed = [name for name in here if record.get(name) != here[name]]
        if changed:
            console.print(
                f"Warning: {', '.join(changed)} changed since the run began; results stay valid, "
                f"but will not be the same to the last bit.",
                style="yellow",
            )
    record["started"] = [*record.get("started", []), now]
    run.write_json("run.json", record)
    return record


def _banner(
    console: Console, run: RunFolder, settings: Settings, record: Mapping[str, Any], done: int
) -> None:
    total = settings.train.iterations
    threads = record["threads"] or os.cpu_count()
    state = f"resumed after iteration {done}" if done else "fresh"
    for line in (
        f"{settings.domain_name} with {settings.algorithm_name}, {state}, {total} iterations, "
        f"seed {settings.seed}, {settings.seeds} learner{'s' * (settings.seeds > 1)} of "
        f"{record['parameters']:,} policy weights",
        f"On {record['device']}, {threads} threads. Ctrl-C saves and stops; the same command "
        f"goes on.",
    ):
        console.print(line, markup=False, soft_wrap=True)


def _best_rule(
    run: RunFolder,
    domain: Domain,
    count: int,
    seed: int,
    record: dict[str, Any],
    console: Console,
) -> tuple[str, float] | None:
    """The rule to keep an eye on while training, measured once on scenarios of its own."""
    if not count or not domain.rules:
        return None
    if "rules" not in record:
        import jax

        from descant.evaluate.episodes import scenario_keys, score_rules

        console.print(f"Measuring {len(domain.rules)} rules on {count} validation scenarios ...")
        keys = scenario_keys("validation", seed, count)
        scores = jax.jit(lambda k: score_rules(domain, k, alignment=False).reward)(keys)
        means = np.asarray(scores, np.float64).mean(axis=1)
        record["rules"] = dict(zip(domain.rules, means.tolist(), strict=True))
        run.write_json("run.json", record)
    rules = record["rules"]
    best = max(rules, key=rules.get)
    log.info("rules on validation scenarios: %s", json.dumps(rules))
    return best, rules[best]
