"""One target from its jobs to its page; what is done already is not done again."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from descant import __version__
from descant.core.errors import UserError
from descant.reproduce._common import costs
from descant.reproduce._common.jobs import Job
from descant.reproduce._common.plan import Scale
from descant.reproduce._common.targets import Target
from descant.train.folder import RunFolder
from descant.train.place import versions

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class Outcome:
    """How a target ended."""

    status: str
    """`finished`, `already-finished` or `interrupted`."""
    folder: Path
    table: str = ""
    """The table as Markdown, with the findings; empty if interrupted."""
    findings: tuple[str, ...] = ()
    signal: int | None = None


def reproduce(target: Target, scale: Scale, out: Path, console: "Console") -> Outcome:
    """Do what is not done, then write records, table, figure and page.

    Results of jobs lie in `out/jobs`, training runs in `out/runs`, where other targets find them.

    Raises:
        UserError: a file there is not what this function writes.
        PlaceError: disk, permission or lock.
    """
    jobs = target.jobs(scale)
    folder = out / target.name / scale.folder
    shelf = Shelf(out)
    open_jobs = [job for job in jobs if not shelf.has(job)]
    if open_jobs:
        console.print(
            f"{target.name} --{scale.name}: {len(open_jobs)} of {len(jobs)} jobs to do, about "
            f"{costs.rough(costs.total(open_jobs))} on two quiet cores.",
            markup=False,
            soft_wrap=True,
        )
        from descant.reproduce._common.work import Interrupted

        try:
            for i, job in enumerate(open_jobs, start=1):
                console.print(f"[{i}/{len(open_jobs)}] {job.title}", markup=False, soft_wrap=True)
                shelf.put(job, job.do(out, console))
        except Interrupted as stopped:
            return Outcome("interrupted", folder, signal=stopped.signal)
    found = {job.name: shelf.get(job) for job in jobs}
    return conclude(target, scale, folder, found, "finished" if open_jobs else "already-finished")


class Shelf:
    """Results of jobs on the disk."""

    def __init__(self, out: Path):
        self._folder = RunFolder(out / "jobs")

    def has(self, job: Job) -> bool:
        """Whether it is done."""
        return self._path(job).is_file()

    def get(self, job: Job) -> dict[str, Any]:
        """Its result.

        Raises:
            UserError: the file is damaged; removing it lets the job be done again.
        """
        try:
            result = self._folder.read_json(f"{job.name}.json")
        except UserError as error:
            raise UserError(f"{error} Remove it, and the job will be done again.") from error
        if not isinstance(result, dict) or result.get("job") != job.name:
            raise UserError(f"{self._path(job)}: expected the result of a job; remove it.")
        return result

    def put(self, job: Job, result: Mapping[str, Any]) -> None:
        """Keep a result.

        Raises:
            PlaceError: the disk did not take it.
        """
        from descant.reproduce._common.work import place

        self._folder.create()
        record = {"format": 1, "job": job.name, "title": job.title, **result, "place": place()}
        self._folder.write_json(f"{job.name}.json", record)

    def _path(self, job: Job) -> Path:
        return self._folder.path / f"{job.name}.json"


def conclude(
    target: Target, scale: Scale, folder: Path, results: Mapping[str, Any], status: str
) -> Outcome:
    """Write all that a target shows into its folder.

    Raises:
        PlaceError: the disk did not take it.
    """
    from descant.report.document import write
    from descant.reproduce._common.found import Found
    from descant.reproduce._common.page import page, standalone

    shown = target.show(scale, Found(results))
    records = "".join(json.dumps(record) + "\n" for record in results.values())
    kept = RunFolder(folder)
    kept.create()
    kept.write_text("records.jsonl", records)
    kept.write_text("table.md", shown.markdown())
    kept.write_text("table.csv", shown.tables[0].csv())
    for table in shown.tables[1:]:
        kept.write_text(f"{table.key}.csv", table.csv())
    for i, figure in enumerate(shown.figures):
        kept.write_text(f"{figure.key if i else 'figure'}.svg", standalone(figure))
    kept.write_json(
        "result.json",
        {"format": 1, "kind": "reproduction", "target": target.name, "scale": scale.name}
        | {"findings": list(shown.findings), "versions": versions()}
        | {"tables": [table.plain() for table in shown.tables]},
    )
    write(folder / "index.html", page(target.name, scale, shown, __version__, _took(results)))
    return Outcome(status, folder, shown.markdown(), shown.findings)


def _took(results: Mapping[str, Mapping[str, Any]]) -> float:
    """Seconds that all jobs took, as far as they are recorded."""
    found: Sequence[Mapping[str, Any]] = list(results.values())
    scored = sum(record["seconds"] for record in found if isinstance(record.get("seconds"), float))
    return scored + sum(s["seconds"] for record in found for s in record.get("starts", []))
