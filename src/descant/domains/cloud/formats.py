"""Formats a trace can be imported from, and the import itself."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from descant.core.errors import UserError, nearest
from descant.domains.cloud import openb, table
from descant.domains.cloud.rows import Report
from descant.domains.cloud.trace import Trace, check_free, save, summary


class Reader(Protocol):
    """Reads a node file and a job file."""

    def __call__(
        self, nodes: Path, jobs: Path, *, max_reject_share: float = 0.5
    ) -> tuple[Trace, Report]:
        """The trace, and what became of every row."""
        ...


FORMATS: dict[str, Reader] = {"openb": openb.read, "csv": table.read}
SHOWN = 1000
"""Rejects that the object of `run_import` holds; `rejects.jsonl` in the trace holds all."""


def run_import(
    format: str,
    nodes: Path,
    jobs: Path,
    out: Path,
    *,
    replace: bool = False,
    max_reject_share: float = 0.5,
) -> dict[str, Any]:
    """Read two files, write the trace folder `out`, and say what became of every row.

    Raises:
        UserError: the format is not known, `out` is taken, a file cannot be read, or more than
            `max_reject_share` of the rows of a file are rejected; nothing is written.
        PlaceError: the disk or its permissions do not allow it; nothing is written.
    """
    if format not in FORMATS:
        raise UserError(
            f"There is no trace format called {format!r}.{nearest(format, FORMATS)} "
            f"Known: {', '.join(FORMATS)}."
        )
    if not 0 <= max_reject_share <= 1:
        raise UserError(f"max_reject_share: expected 0 to 1, got {max_reject_share}.")
    check_free(out, replace)
    trace, report = FORMATS[format](nodes, jobs, max_reject_share=max_reject_share)
    rejects = [asdict(reject) for reject in report.rejects]
    listing = "".join(json.dumps(reject) + "\n" for reject in rejects)
    save(trace, out, replace=replace, rejects=listing.encode())
    return {
        "format": 1,
        "kind": "import",
        "rows": {kind: asdict(count) for kind, count in report.rows.items()},
        "rejects": rejects[:SHOWN],
        "rejects_total": len(rejects),
        "notes": list(report.notes),
        "out": str(out),
        "summary": summary(trace),
    }
