"""A cluster of one's own as two CSV files.

`nodes.csv` has `name`, optionally `model`, and a column for each resource; `jobs.csv` has `name`,
`arrival` and `duration` in seconds, and the same resources. The suffix of a resource column is its
unit: `cpu` cores or `cpu_milli`, `gpu` GPUs or `gpu_milli`, `memory_gib` or `memory_mib`; any other
resource works alike (`disk_gib`, `licences`). Units may differ between the files. Parts of a
millicore, a MiB or a milli-GPU are rounded up for jobs and down for nodes.
"""

import math
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from descant.core.errors import nearest
from descant.domains.cloud import rows
from descant.domains.cloud.rows import LARGEST, LATEST, Fault, Job, Node, Parser, Report, Sheet
from descant.domains.cloud.trace import Trace

NODES: dict[str, Parser] = {"name": rows.name, "model": rows.text}
JOBS: dict[str, Parser] = {
    "name": rows.name,
    "arrival": rows.number(0, LATEST),
    "duration": rows.number(rows.BRIEFEST, rows.LONGEST),
}
FACTORS = {"": 1000, "milli": 1, "gib": 1024, "mib": 1}
"""Whole units in one unit of a column, by its suffix."""
USUAL = ("cpu", "memory", "gpu")
"""These resources come first, in this order; others follow as the node file has them."""


@dataclass(frozen=True)
class Column:
    """A resource column of one file."""

    name: str
    resource: str
    suffix: str

    @property
    def unit(self) -> str:
        """Whole unit of the trace."""
        if self.suffix in ("gib", "mib"):
            return "MiB"
        return {"cpu": "millicore", "gpu": "milli-GPU"}.get(self.resource, f"milli-{self.resource}")

    @property
    def parser(self) -> Parser:
        """A number that an int32 of whole units can hold."""
        return rows.number(0, LARGEST // FACTORS[self.suffix])

    def whole(self, value: float, rounding: Callable[[float], int]) -> int:
        """The value in whole units, its binary noise removed before rounding."""
        return rounding(round(value * FACTORS[self.suffix], 6))


def read(nodes: Path, jobs: Path, *, max_reject_share: float = 0.5) -> tuple[Trace, Report]:
    """Read a node file and a job file.

    Raises:
        UserError: a file or its header cannot be read, the resources of the files differ, or more
            than `max_reject_share` of the rows of a file are rejected.
    """
    node_sheet, job_sheet = rows.open_sheets(nodes, jobs)
    offered, node_problems = _columns(node_sheet, NODES)
    asked, job_problems = _columns(job_sheet, JOBS)
    rows.refuse(
        rows.header_problems(node_sheet, ["name"], ["model", *node_sheet.header])
        + rows.header_problems(job_sheet, JOBS, job_sheet.header)
        + node_problems
        + job_problems
        + _differences(node_sheet, job_sheet, offered, asked)
    )
    resources = tuple(sorted(offered, key=lambda r: USUAL.index(r) if r in USUAL else len(USUAL)))
    supply, demand = [offered[r] for r in resources], [asked[r] for r in resources]
    units = tuple(column.unit for column in supply)

    parsers = NODES if "model" in node_sheet.header else {"name": rows.name}
    node_table = rows.read(node_sheet, parsers | _parsers(supply), partial(_node, supply))
    rows.enough(node_table, max_reject_share)
    fits = rows.fitting(node_table, (column.name for column in demand), units)
    job_table = rows.read(job_sheet, JOBS | _parsers(demand), partial(_job, demand, fits))
    rows.enough(job_table, max_reject_share)
    return rows.assemble(
        node_table, job_table, resources=resources, units=units, source={"format": "csv"}
    )


def _columns(sheet: Sheet, known: dict[str, Parser]) -> tuple[dict[str, Column], list[str]]:
    """Resource columns of a sheet by resource, and what is wrong with them."""
    columns, problems = [], []
    for name in dict.fromkeys(column for column in sheet.header if column not in known):
        if match := _RESOURCE.fullmatch(name):
            columns.append(Column(name, match[1], match[2] or ""))
        else:
            spellings = [*known, *(f"{name.split('_')[0]}_{s}" for s in FACTORS if s)]
            problems.append(
                f"column {rows.shown(name)!r} is not known.{nearest(name, spellings)} A resource "
                "is written as small letters, with no unit or one of _milli, _mib, _gib."
            )
    if not columns and not problems:
        problems.append("a column for a resource is missing, such as cpu, memory_gib or gpu.")
    for resource, count in Counter(column.resource for column in columns).items():
        if count > 1:
            problems.append(f"resource {resource!r} has {count} columns.")
    if any(column.name == "memory" for column in columns):
        problems.append("column 'memory' needs a unit: memory_gib or memory_mib.")
    return {column.resource: column for column in columns}, [
        f"{sheet.path}: {problem}" for problem in problems
    ]


def _differences(
    nodes: Sheet, jobs: Sheet, offered: dict[str, Column], asked: dict[str, Column]
) -> list[str]:
    problems = []
    for here, sheet, there, other in ((offered, nodes, asked, jobs), (asked, jobs, offered, nodes)):
        for resource in here.keys() - there.keys():
            problems.append(
                f"{sheet.path}: column {here[resource].name!r} has no counterpart in {other.path}."
                + nearest(resource, (there.keys() - here.keys()) | NODES.keys() | JOBS.keys())
            )
    for resource in offered.keys() & asked.keys():
        if offered[resource].unit != asked[resource].unit:
            problems.append(
                f"{jobs.path}: column {asked[resource].name!r} cannot be compared with "
                f"{offered[resource].name!r} in {nodes.path}."
            )
    return sorted(problems)


def _parsers(columns: list[Column]) -> dict[str, Parser]:
    return {column.name: column.parser for column in columns}


def _node(supply: list[Column], row: dict[str, Any]) -> Node:
    capacity = tuple(column.whole(row[column.name], math.floor) for column in supply)
    if not any(capacity):
        raise Fault("", "expected a capacity above zero for some resource")
    return Node(row["name"], capacity, row.get("model", ""))


def _job(demand: list[Column], fits: Callable[[tuple[int, ...]], None], row: dict[str, Any]) -> Job:
    asked = tuple(column.whole(row[column.name], math.ceil) for column in demand)
    fits(asked)
    return Job(row["name"], row["arrival"], row["duration"], asked)


_RESOURCE = re.compile(r"([a-z][a-z0-9]*)(?:_(milli|mib|gib))?")
