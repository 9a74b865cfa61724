"""A sweep from its trials to its table; what is done already is not done again."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from descant.core.errors import UserError
from descant.evaluate.statistics import interval
from descant.sweep.pool import Pool
from descant.sweep.ranking import Row, measured, ranked, same_wants, same_world, ties, to_csv
from descant.sweep.trials import STOPPED, Job, Trial, placed, record
from descant.train.cache import enable_compile_cache
from descant.train.config import Train
from descant.train.folder import RunFolder
from descant.train.progress import phase, span
from descant.train.signals import Stop

if TYPE_CHECKING:
    from rich.console import Console

FILES = ("sweep.json", "table.csv")


def sweep(
    trials: Sequence[Trial],
    out: Path,
    about: Mapping[str, Any],
    asked: Train,
    pool: Pool,
    console: "Console",
    stop: Stop,
) -> dict[str, Any]:
    """Do what is not done, rank on validation scenarios, and meet held-out ones with the best.

    Args:
        trials: what to try.
        out: the folder of the sweep; trials that are there already are reused.
        about: what else its record says.
        asked: scenarios, rules and bound of the comparison at the end.
        pool: who does the trials.
        console: where a person looks.
        stop: whether somebody asked to stop.

    Returns:
        The record, also in `sweep.json`. Its `status` is `finished`, `interrupted`, or `failed`
        where no trial was finished; `trials` are ranked; `ties` are those not shown to be behind
        the best; `comparable` says whether all met the same world; `held_out` is the best one's
        `mean`, `low` and `high` of what is `ranked_by` last, and its `violation` where that counts,
        on scenarios that no choice has seen, with the `evaluation`.

    Raises:
        UserError: the folder is in use, or holds something else.
        PlaceError: disk, permission or lock.
    """
    folder = RunFolder(out)
    folder.create()
    with folder.lock():
        _refuse_foreign(folder)
        jobs = placed(trials, out)
        keep = partial(_keep, jobs, folder, about)
        _work(jobs, keep, pool, console, stop)
        if stop.requested:
            return keep("interrupted")
        rows = keep("open")["trials"]
        if rows[0]["rank"] is None:
            return keep("failed")
        best = next(job for job in jobs if job.folder.name == rows[0]["trial"])
        held_out = _held_out(best, asked, console) if asked.scenarios else None
        return keep("finished", held_out)


def _refuse_foreign(folder: RunFolder) -> None:
    """Files of our names that no sweep has written are not ours to replace."""
    taken = [name for name in FILES if (folder.path / name).exists()]
    if taken and record(folder, "sweep.json").get("kind") != "sweep":
        raise UserError(
            f"{folder.path} holds {', '.join(taken)}, and no sweep of descant wrote that. Choose "
            f"another --out."
        )


def _work(
    jobs: Sequence[Job],
    keep: Callable[[str], dict[str, Any]],
    pool: Pool,
    console: "Console",
    stop: Stop,
) -> None:
    """Do the jobs that are not done; the record is kept up to date."""
    waiting = [job for job in jobs if not job.done]
    done = len(jobs) - len(waiting)
    _tell(console, f"{len(jobs)} trials, {done} of them done before; {pool.workers} at a time.")
    stop.idle = False
    with closing(pool.run(waiting, stop)) as ends:
        for job, code in ends:
            if code in STOPPED:
                continue
            job.note(code)
            done += 1
            _tell(console, f"[{done}/{len(jobs)}] {_told(job, keep('open')['trials'])}")
    stop.idle = True


def _keep(
    jobs: Sequence[Job],
    folder: RunFolder,
    about: Mapping[str, Any],
    status: str,
    held_out: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Rank what there is, and write it down."""
    rows = ranked([_row(job) for job in jobs])
    found = {
        "format": 1,
        "kind": "sweep",
        "status": status,
        "out": str(folder.path),
        **about,
        "ranked_by": measured([job.result() for job in jobs]),
        "trials": rows,
        "ties": ties(rows),
        "comparable": _comparable(jobs),
        "held_out": held_out,
    }
    folder.write_text("table.csv", to_csv(rows))
    folder.write_json("sweep.json", found)
    return found


def _row(job: Job) -> Row:
    return {
        "trial": job.folder.name,
        "run": str(job.folder),
        "values": dict(job.trial.values),
        "flags": list(job.trial.flags),
        **job.result(),
    }


def _held_out(best: Job, asked: Train, console: "Console") -> dict[str, Any]:
    """The best trial's policies beside the rules, on scenarios that no choice has seen."""
    from descant.evaluate.session import SEED, evaluate_run

    world = {"scenarios": asked.scenarios, "scenario_seed": SEED, "mode": "act"}
    evaluation = record(RunFolder(best.folder), "evaluation.json")
    # Of an earlier start; somebody may have put another one there since.
    if any(evaluation.get(name) != value for name, value in world.items()):
        enable_compile_cache()
        with phase(console, f"Meeting {asked.scenarios} held-out scenarios with {best.folder}"):
            evaluation = evaluate_run(
                best.folder,
                scenarios=asked.scenarios,
                bound=asked.bound,
                replace=True,
                rules=asked.rules,
            )
    (learned,) = (policy for policy in evaluation["policies"] if policy["kind"] == "learned")
    utility, short = learned.get("utility"), learned.get("violation")
    by = evaluation.get("ranked_by") or ["reward"]
    if "utility" in by and utility:
        ends = {name: utility[name] for name in ("mean", "low", "high")}
    else:
        ends = interval(learned["values"])
    violation = short["mean"] if "violation" in by and short else None
    return {**ends, "violation": violation, "evaluation": evaluation}


def _comparable(jobs: Sequence[Job]) -> bool:
    """Only what is varied of the domain can make another world."""
    varied = {name for job in jobs for name in job.trial.values}
    finished = [job for job in jobs if job.result()["state"] == "finished"]
    if not any(name.startswith("domain.") for name in varied):
        return True
    wanted = same_wants([job.wanted() for job in finished])
    return wanted and same_world([job.rules() for job in finished])


def _told(job: Job, rows: Sequence[Row]) -> str:
    row = next(row for row in rows if row["trial"] == job.folder.name)
    took = "" if row["seconds"] is None else f", {span(row['seconds'])}"
    what = row["state"] if row["mean"] is None else f"{row['mean']:.5g}"
    return f"{row['trial']} {' '.join(job.trial.flags)}: {what}{took}"


def _tell(console: "Console", text: str) -> None:
    console.print(text, markup=False, soft_wrap=True)
