"""The openb trace: a production GPU cluster; Weng et al., USENIX ATC 2023.

A pod is one job: it arrives when it is created and runs until it is deleted. The GPUs of a node are
one pool of milli-GPUs; which GPU a pod sits on, and which models it accepts, is not modelled.
"""

from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from descant.domains.cloud import rows
from descant.domains.cloud.rows import LARGEST, LATEST, Fault, Job, Node, Parser, Report
from descant.domains.cloud.trace import Trace

RESOURCES = ("cpu", "memory", "gpu")
UNITS = ("millicore", "MiB", "milli-GPU")
GPU = 1000
"""Milli-GPUs in a GPU."""
DAY = 86_400
ATTRIBUTION = (
    "openb trace: Weng et al., Beware of Fragmentation, USENIX ATC 2023; Apache License 2.0."
)

_units = rows.number(0, LARGEST, whole=True)
_count = rows.number(0, LARGEST // GPU, whole=True)
_seconds = rows.number(0, LATEST)

NODES: dict[str, Parser] = {
    "sn": rows.name,
    "cpu_milli": _units,
    "memory_mib": _units,
    "gpu": _count,
    "model": rows.text,
}
PODS: dict[str, Parser] = {
    "name": rows.name,
    "cpu_milli": _units,
    "memory_mib": _units,
    "num_gpu": _count,
    "gpu_milli": rows.number(0, GPU, whole=True),
    "gpu_spec": rows.text,
    "qos": rows.text,
    "pod_phase": rows.one_of("Pending", "Running", "Succeeded", "Failed", "Unknown"),
    "creation_time": _seconds,
    "deletion_time": _seconds,
    "scheduled_time": rows.optional(_seconds),
}


def read(nodes: Path, jobs: Path, *, max_reject_share: float = 0.5) -> tuple[Trace, Report]:
    """Read an openb node list and pod list.

    Raises:
        UserError: a file or its header cannot be read, or more than `max_reject_share` of the rows
            of a file are rejected.
    """
    node_sheet, job_sheet = rows.open_sheets(nodes, jobs)
    rows.refuse(rows.header_problems(node_sheet, NODES) + rows.header_problems(job_sheet, PODS))
    node_table = rows.enough(rows.read(node_sheet, NODES, _node), max_reject_share)
    fits = rows.fitting(node_table, ("cpu_milli", "memory_mib", "num_gpu"), UNITS)
    job_table = rows.enough(rows.read(job_sheet, PODS, partial(_job, fits)), max_reject_share)
    return rows.assemble(
        node_table,
        job_table,
        resources=RESOURCES,
        units=UNITS,
        source={"format": "openb", "attribution": ATTRIBUTION},
        notes=_notes(job_table.records),
    )


def _node(row: dict[str, Any]) -> Node:
    capacity = (row["cpu_milli"], row["memory_mib"], row["gpu"] * GPU)
    if not any(capacity):
        raise Fault("", "expected a capacity above zero for some resource")
    return Node(row["sn"], capacity, row["model"])


def _job(fits: Callable[[tuple[int, ...]], None], row: dict[str, Any]) -> Job:
    created, deleted, placed = (
        row[f"{event}_time"] for event in ("creation", "deletion", "scheduled")
    )
    if deleted <= created:
        raise Fault("deletion_time", f"expected a time after the creation at {created:.15g}")
    if placed is not None and not created <= placed <= deleted:
        raise Fault("scheduled_time", "expected a time between creation and deletion")
    gpu = _gpu(row["num_gpu"], row["gpu_milli"])
    demand = (row["cpu_milli"], row["memory_mib"], gpu)
    fits(demand)
    facts = {"unplaced": placed is None, "choosy": bool(row["gpu_spec"]), "shared": 0 < gpu < GPU}
    return Job(
        name=row["name"],
        time=created,
        duration=rows.lasting("deletion_time", deleted - created),
        demand=demand,
        facts=frozenset(fact for fact, holds in facts.items() if holds),
    )


def _gpu(count: int, share: int) -> int:
    """Milli-GPUs: a share of one GPU, or several whole ones."""
    if count == 1 and share == 0:
        raise Fault("gpu_milli", "expected 1 to 1,000 for a pod with one GPU")
    if count != 1 and share != (GPU if count else 0):
        raise Fault("gpu_milli", f"expected {GPU if count else 0:,} for a pod with {count} GPUs")
    return share if count == 1 else count * GPU


def _notes(jobs: list[Job]) -> tuple[str, ...]:
    counts = Counter(fact for job in jobs for fact in job.facts)
    end = max(job.time + job.duration for job in jobs)
    last = sum(job.time + job.duration == end for job in jobs)
    times = sorted(job.time for job in jobs)
    early = times[len(times) // 100] - times[0]
    return (
        f"The first hundredth of the jobs takes {early / DAY:.1f} "
        f"of the {(end - times[0]) / DAY:.1f} days of the record.",
        "The GPUs of a node are one pool of milli-GPUs: which GPU a job sits on is not modelled "
        f"({counts['shared']:,} jobs ask for a part of one GPU).",
        f"GPU models are not modelled: {counts['choosy']:,} jobs name the models they accept.",
        f"{counts['unplaced']:,} jobs were never placed; their duration is the time they waited.",
        "Durations run from creation to deletion and so contain the wait for a place.",
        f"{last:,} jobs end in the last second of the record; if it was cut there, "
        "their durations are lower bounds.",
    )
