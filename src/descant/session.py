"""One training run from its command to its report; the same call again goes on where it stopped."""

import logging
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console

from descant.core.domain import Domain
from descant.core.errors import PlaceError, UserError
from descant.report.numbers import plural
from descant.train.cache import enable_compile_cache
from descant.train.checkpoint import Checkpoint, clear, latest, save
from descant.train.devices import Devices
from descant.train.folder import RunFolder
from descant.train.hosts import Hosts, Team, joined
from descant.train.place import moved, place
from descant.train.progress import Progress, phase
from descant.train.settings import Settings, difference
from descant.train.signals import Stop, graceful
from descant.train.storage import explained
from descant.train.toml import from_toml, of_run, to_toml

if TYPE_CHECKING:
    from descant.train.training import Training

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Result:
    """How a training run ended."""

    status: str
    """`finished`, `already-finished` or `interrupted`."""
    signal: int | None = None
    evaluation: dict[str, Any] | None = None


def train(
    settings: Settings,
    folder: Path,
    *,
    fresh: bool = False,
    console: Console | None = None,
    devices: Devices = 1,
    hosts: Hosts | None = None,
    last: Callable[[int], None] | None = None,
) -> Result:
    """Train, evaluate on held-out scenarios, and write the report.

    Args:
        settings: everything that decides the run.
        folder: the run folder; one that holds the same run is continued.
        fresh: start over in it instead.
        console: where a person looks; silent if none is given.
        devices: over how many devices of this process, or `all`, scenarios are spread. Results
            are the same up to rounding.
        hosts: the processes that train together, of which rank 0 alone evaluates and writes; see
            `descant.train.worker` for what becomes of them when one is lost.
        last: what to do before a signal ends the process at once.

    Raises:
        UserError: the settings cannot be used, or the folder holds a run with other settings.
        PlaceError: disk, permission or lock.
        Diverged: too many iterations in a row were not finite.
        WorkerLost: another process of `hosts` is gone.
    """
    console = console or Console(quiet=True)
    with graceful(idle=True, last=last) as stop, joined(hosts, settings) as team:
        if team.rank:
            return _follow(settings, devices, team, stop)
        return _lead(RunFolder(Path(folder)), settings, fresh, devices, team, console, stop)


def estimate(settings: Settings, folder: Path, devices: Devices = 1) -> dict[str, Any]:
    """Seconds of the iterations that are left, by those on record in the run folder, or else by one
    that is computed now and forgotten. Measuring rules, comparing and reporting come on top.

    Raises:
        UserError: the settings cannot be used.
    """
    run, knobs = RunFolder(folder), settings.train
    ours = run.config.is_file() and not difference(from_toml(run.config), settings)
    rows = run.rows("timing") if ours else []
    if taken := [row["seconds"] for row in rows if isinstance(row.get("seconds"), float)]:
        each, found = float(np.median(taken)), f"recorded in {run.timing}"
        return {
            "iteration": each,
            "iterations left": each * max(knobs.iterations - len(rows), 0),
            "found": found,
        }
    enable_compile_cache()
    from descant.train.training import Training

    one = replace(settings, train=replace(knobs, period=1))
    training = Training(one, devices, Team(), _judged(settings))
    start = time.perf_counter()
    training.compile()
    compiling = time.perf_counter() - start
    each = next(training.periods(Stop())).seconds
    return {
        "compiling": compiling,
        "iteration": each,
        "iterations left": each * knobs.iterations,
        "found": "measured now, by one iteration",
    }


def _lead(
    run: RunFolder,
    settings: Settings,
    fresh: bool,
    devices: Devices,
    team: Team,
    console: Console,
    stop: Stop,
) -> Result:
    """The whole run, as the process that holds its folder."""
    made = run.create()
    with run.lock(), _withdrawn(run, made):
        _refuse_foreign(run)
        if fresh:
            _clear(run)
        _agree(run, settings)
        checkpoint, messages = latest(run.checkpoints)
        done = 0 if checkpoint is None else checkpoint.step
        _warn(console, messages)
        if done > settings.train.iterations:
            raise UserError(
                f"{run.path} holds a checkpoint of iteration {done}, beyond train.iterations = "
                f"{settings.train.iterations}; it is of another run. --fresh starts over."
            )
        team.told(done)
        if done < settings.train.iterations:
            signal = _advance(run, settings, checkpoint, devices, team, console, stop)
            if signal is not None:
                return Result("interrupted", signal=signal)
        elif _complete(run, settings):
            _tell(console, f"Finished before: iteration {done} of {done}.")
            return Result("already-finished", evaluation=_evaluation(run, settings))
        team.part()
        return _conclude(run, settings, console)


@contextmanager
def _withdrawn(run: RunFolder, made: Sequence[Path]) -> Iterator[None]:
    """A run that is refused before it has learnt anything leaves no folder that was not there."""
    try:
        yield
    except (UserError, PlaceError):
        if made and not _begun(run):
            run.withdraw(made, [run.config, run.run])
        raise


def _follow(settings: Settings, devices: Devices, team: Team, stop: Stop) -> Result:
    """The same computation as rank 0's, without its folder."""
    done = team.told(0)
    if done >= settings.train.iterations:
        return Result("already-finished")
    enable_compile_cache()
    from descant.train.training import Training

    training = Training(settings, devices, team, _judged(settings))
    training.resume(done, None)
    for _ in training.periods(stop):
        pass
    return Result("interrupted", signal=training.signal) if training.signal else Result("finished")


def _advance(
    run: RunFolder,
    settings: Settings,
    checkpoint: Checkpoint | None,
    devices: Devices,
    team: Team,
    console: Console,
    stop: Stop,
) -> int | None:
    """Train to the end, or until a signal, which is returned."""
    folder, cache = enable_compile_cache()
    log.info(cache)
    with phase(console, "Starting JAX and building the first learner"):
        from descant.train.training import Training

        training = Training(settings, devices, team, _judged(settings))
    run.check_room(training.size)
    done = 0 if checkpoint is None else checkpoint.step
    training.resume(done, None if checkpoint is None else checkpoint.leaves)
    # Records of iterations that no checkpoint holds will be made again.
    _warn(console, [*run.mend("metrics", done), *run.mend("timing", done)])
    record = _record(run, settings, training.weights, training.devices, console)
    _banner(console, settings, record, training.devices, done, "" if folder else cache)
    rule = _best_rule(run, training.domain, settings, record, console)
    _write(run, settings, training, rule, console, stop)
    return training.signal


def _write(
    run: RunFolder,
    settings: Settings,
    training: "Training",
    rule: tuple[str, float] | None,
    console: Console,
    stop: Stop,
) -> None:
    """Train period by period; each ends on the disk."""
    total = settings.train.iterations
    with phase(console, "Compiling (a while the first time at this size, then seconds)"):
        training.compile()
    returns = [_mean(row.get("return", [])) for row in run.rows("metrics")]
    with Progress(console, total, training.done, rule, returns) as progress, progress.heard(stop):
        for period in training.periods(stop):
            for row in period.rows:
                run.append("metrics", row)
                timing = {"seconds": period.seconds, "steps_per_second": period.speed}
                run.append("timing", {"iteration": row["iteration"], **timing})
                progress.show(row, period.seconds, period.speed)
            if period.leaves is not None:
                run.sync()
                keep = settings.train.keep
                save(run.checkpoints, period.done, period.leaves, {"total": total}, keep=keep)
    if training.signal is not None:
        _tell(console, f"Saved: iteration {training.done} of {total}.")


def _judged(settings: Settings) -> Callable[..., Any]:
    """What scores learners on the validation scenarios, on which the rules are measured, too."""

    def judged(domain: Domain, algorithm: Any, mesh: Any) -> Any:
        import jax.numpy as jnp
        from jax.sharding import PartitionSpec as Spec

        from descant.evaluate.episodes import Decided, scenario_keys, score
        from descant.evaluate.verdicts import verdict
        from descant.train.collect import AXIS, spread

        # Nobody asks for alignment or for curves here.
        world, count = replace(domain, model=None, figures=()), settings.train.validation
        shared = None if mesh is None or count % mesh.size else mesh

        def rewards(learner, keys):
            return score(world, Decided(algorithm.policy(learner), "act"), keys).reward

        def judge(learner):
            keys = scenario_keys("validation", settings.seed, count)
            places = (Spec(), Spec(AXIS)), Spec(AXIS)
            return verdict(
                world,
                algorithm,
                settings.algorithm,
                learner,
                keys,
                lambda: jnp.mean(spread(rewards, shared, *places)(learner, keys)),
            )

        return judge

    return judged


def _complete(run: RunFolder, settings: Settings) -> bool:
    """Whether everything that follows training is there, too."""
    evaluated = not settings.train.scenarios or _evaluation(run, settings) is not None
    return evaluated and run.parquet.is_file() and run.report.is_file()


def _evaluation(run: RunFolder, settings: Settings) -> dict[str, Any] | None:
    """The kept comparison if it is whole and of the last iteration."""
    if not run.evaluation.is_file():
        return None
    try:
        evaluation = run.read_json("evaluation.json")
    except UserError:
        return None
    if not isinstance(evaluation, dict) or not isinstance(evaluation.get("policies"), list):
        return None
    return evaluation if evaluation.get("iteration") == settings.train.iterations else None


def _conclude(run: RunFolder, settings: Settings, console: Console) -> Result:
    """Parquet, the comparison on held-out scenarios, and the report."""
    total = settings.train.iterations
    _warn(console, [*run.mend("metrics", total), *run.mend("timing", total)])
    run.to_parquet()
    evaluation, scenarios = _evaluation(run, settings), settings.train.scenarios
    if evaluation is None and scenarios:
        enable_compile_cache()
        rules = ", ".join(settings.train.rules) or "every rule"
        with phase(console, f"Comparing with {rules} on {scenarios} held-out scenarios"):
            from descant.evaluate.session import evaluate_run

            evaluation = evaluate_run(
                run.path,
                scenarios=scenarios,
                bound=settings.train.bound,
                replace=True,
                rules=settings.train.rules,
            )
    _report(run, console)
    return Result("finished", evaluation=evaluation)


def _report(run: RunFolder, console: Console) -> None:
    """The page; training and its comparison are safe, so nothing here may end them."""
    try:
        with phase(console, "Writing the report"):
            from descant.report.page import write_report

            write_report([run.path], run.report)
    except Exception as error:
        log.info("the report failed", exc_info=True)
        said = str(error) if isinstance(error, UserError | PlaceError) else repr(error)
        _warn(
            console,
            [f"there is no report: {said} `descant report {run.path}` tries again."],
        )
    else:
        _tell(console, f"Report: {run.report}")


def _refuse_foreign(run: RunFolder) -> None:
    """A folder that is no run's may hold files of our names, and they are not ours to replace."""
    taken = [path.name for path in _ours(run) if path.exists()]
    if not taken or _is_run(run):
        return
    raise UserError(
        f"{run.path} holds {', '.join(taken)}, and no run of descant wrote that. "
        f"Choose another --run."
    )


def _is_run(run: RunFolder) -> bool:
    """Whether training has been here: its record or its settings, damaged perhaps, are there."""
    marks = {run.run: b'"started"', run.config: b"[settings.train]"}
    with explained(f"Reading {run.path}", run.path):
        if any(path.is_file() and mark in path.read_bytes() for path, mark in marks.items()):
            return True
    return latest(run.checkpoints, readonly=True)[0] is not None


def _ours(run: RunFolder) -> tuple[Path, ...]:
    """All files of a run but its checkpoints; the settings come last, for they tell what it is."""
    records = (run.metrics, run.timing)
    damaged = (path.with_name(f"{path.name}.damaged") for path in (*records, run.run))
    results = (run.parquet, run.evaluation, run.episode, run.report)
    return (*results, *records, *damaged, run.run, run.config)


def _agree(run: RunFolder, settings: Settings) -> None:
    """The folder is new, or holds this very run."""
    if not run.config.is_file():
        if latest(run.checkpoints, readonly=True)[0] is not None:
            raise UserError(
                f"{run.path} holds checkpoints and no config.toml, which would tell what they are "
                f"of. Put it back, or start over with --fresh."
            )
        run.write_text("config.toml", to_toml(settings))
        return
    begun = _begun(run)
    changes = difference((of_run if begun else from_toml)(run.config), settings)
    if changes and begun:
        raise UserError(
            f"{run.path} holds a run with other settings; --fresh starts over, --run takes "
            f"another folder.",
            *changes,
        )
    if changes:
        _clear(run)
        run.write_text("config.toml", to_toml(settings))


def _begun(run: RunFolder) -> bool:
    """Whether anything was learnt here; settings that were refused at the start bind nobody."""
    return run.metrics.exists() or (run.checkpoints.is_dir() and any(run.checkpoints.iterdir()))


def _clear(run: RunFolder) -> None:
    """Forget the run in this folder; files that are not ours stay."""
    clear(run.checkpoints)
    with explained(f"Starting over in {run.path}", run.path):
        for path in _ours(run):
            path.unlink(missing_ok=True)


def _record(
    run: RunFolder, settings: Settings, parameters: int, devices: int, console: Console
) -> dict[str, Any]:
    """Where, when and with what the run was started; kept in `run.json`."""
    import jax

    now = datetime.now(UTC).isoformat(timespec="seconds")
    names = (settings.domain_name, settings.algorithm_name)
    files = [name for name in names if name.endswith(".py")]
    here = place(jax.local_devices()[0].device_kind, files, devices)
    record = _old_record(run, console)
    if record is None:
        record = {"format": 1, "command": sys.argv, "created": now, "started": [], **here}
    elif changes := moved(record, here):
        _warn(
            console,
            [
                f"since the run began, {'; '.join(changes)}. Results stay valid, but will not be "
                f"the same to the last bit."
            ],
        )
    started = record.get("started")
    record["started"] = [*(started if isinstance(started, list) else []), now]
    record["parameters"] = parameters
    run.write_json("run.json", record)
    return record


def _old_record(run: RunFolder, console: Console) -> dict[str, Any] | None:
    """The record of earlier starts; a damaged one is set aside, for training does not need it."""
    if not run.run.is_file():
        return None
    try:
        record = run.read_json("run.json")
    except UserError:
        record = None
    if isinstance(record, dict):
        return record
    aside = run.run.with_name(f"{run.run.name}.damaged")
    with explained(f"Setting {run.run} aside", run.path):
        run.storage.rename(run.run, aside)
    _warn(console, [f"{run.run} is damaged; kept as {aside.name}, and begun anew."])
    return None


def _banner(
    console: Console,
    settings: Settings,
    record: Mapping[str, Any],
    devices: int,
    done: int,
    cache: str,
) -> None:
    total, seeds = settings.train.iterations, settings.seeds
    length = plural(total, "iteration")
    state = f"resumed after iteration {done} of {total}" if done else f"fresh, {length}"
    learners = f"{seeds} learners, each" if seeds > 1 else "a learner"
    threads = record["threads"] or record.get("cores")
    where = f"{devices} devices {record['device']}" if devices > 1 else record["device"]
    for line in (
        f"{Path(settings.domain_name).stem} with {Path(settings.algorithm_name).stem}: {state}, "
        f"seed {settings.seed}, {learners} of {record['parameters']:,} policy weights",
        f"On {where} ({record['isa']}), {threads} thread{'s' * (str(threads) != '1')}. "
        f"Ctrl-C saves and stops, twice leaves at once; the same command goes on.",
        *([f"Every start compiles anew: {cache}."] if cache else []),
    ):
        _tell(console, line)


def _best_rule(
    run: RunFolder,
    domain: Domain,
    settings: Settings,
    record: dict[str, Any],
    console: Console,
) -> tuple[str, float] | None:
    """The rule to keep an eye on while training, measured once where training is, on scenarios of
    its own."""
    from descant.evaluate.episodes import scenario_keys, score_rules
    from descant.evaluate.session import with_rules

    # A name that is no rule's is refused here, before hours of training.
    domain, rules = with_rules(domain, settings.train.rules, "train.rules"), record.get("rules")
    count, seed = settings.train.validation, settings.seed
    if not count or not domain.rules:
        return None
    if not isinstance(rules, dict) or rules.keys() != domain.rules.keys():
        import jax

        named = plural(len(domain.rules), "rule")
        with phase(console, f"Measuring {named} on {count} validation scenarios"):
            keys = scenario_keys("validation", seed, count)
            scores = jax.jit(lambda k: score_rules(domain, k).reward)(keys)
            means = np.asarray(scores, np.float64).mean(axis=1)
        rules = dict(zip(domain.rules, means.tolist(), strict=True))
        record["rules"] = rules
        run.write_json("run.json", record)
    known = {name: mean for name, mean in rules.items() if isinstance(mean, float)}
    known = {name: mean for name, mean in known.items() if math.isfinite(mean)}
    if not known:
        return None
    best = max(known, key=known.__getitem__)
    log.info("rules on validation scenarios: %s", rules)
    return best, known[best]


def _mean(values: Iterable[float | None]) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else math.nan


def _warn(console: Console, messages: Iterable[str]) -> None:
    for message in messages:
        _tell(console, f"Warning: {message}", style="yellow")


def _tell(console: Console, text: str, style: str = "") -> None:
    """One remark; only a terminal needs its lines broken."""
    console.print(text, markup=False, style=style, soft_wrap=not console.is_terminal)
