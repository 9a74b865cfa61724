"""Import a foreign trace into the form that a domain reads.

Every row is read or rejected with its line, column and reason; nothing is written unless all went
well, and an existing trace only gives way with --replace.
"""

import importlib
import pkgutil
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import util
from pathlib import Path
from types import ModuleType
from typing import Any

from descant.cli.arguments import Arguments, Common
from descant.cli.output import Output
from descant.core import discovery
from descant.core.errors import UserError, nearest

USAGE = "descant import DOMAIN --format NAME --nodes FILE --jobs FILE --out PATH [OPTIONS]"
EXAMPLES = (
    "descant import cloud --format openb --nodes nodes.csv --jobs pods.csv --out traces/openb",
)
WORDS = 1
ROOTS = ()


@dataclass(frozen=True)
class Options(Common):
    """Options of `descant import`."""

    format: str | None = None
    """Name of the foreign format."""
    nodes: str | None = None
    """File of the machines."""
    jobs: str | None = None
    """File of what is to be placed on them."""
    out: str | None = None
    """Where the trace goes; give it to the domain as --domain.trace."""
    replace: bool = False
    """Overwrite a trace that is there already."""
    max_reject_share: float = 0.5
    """Refuse the import when more than this share of a file's rows is rejected."""

    def validate(self) -> None:
        """Check ranges.

        Raises:
            ValueError: the share is none.
        """
        if not 0 <= self.max_reject_share <= 1:
            raise ValueError(f"max-reject-share: expected 0 to 1, got {self.max_reject_share}.")


OPTIONS = Options()


def main(arguments: Arguments, output: Output) -> int:
    """Import and show what was read and what was rejected."""
    options, problems = arguments.options, list(arguments.problems)
    if not arguments.words:
        problems.append(f"DOMAIN: expected one of {', '.join(_importing())}, got nothing.")
    for name in ("format", "nodes", "jobs", "out"):
        if getattr(options, name) is None:
            problems.append(f"--{name}: is missing.")
    if problems:
        raise UserError(*problems)
    (domain,) = arguments.words
    summary: Mapping[str, Any] = _formats(domain).run_import(
        options.format,
        Path(options.nodes),
        Path(options.jobs),
        Path(options.out),
        replace=options.replace,
        max_reject_share=options.max_reject_share,
    )
    output.result({"kind": "import", **summary}, _told(summary))
    trace = ["--preset", "trace", "--domain.trace", options.out]
    output.next(shlex.join(["descant", "train", domain, *trace]))
    return 0


def _told(summary: Mapping[str, Any]) -> str:
    """Rows read and rejected, the first rejects, notes, and the trace in a few numbers."""
    lines = [
        f"{kind}: {rows['rows_in']} rows, {rows['accepted']} accepted, {rows['rejected']} rejected"
        for kind, rows in summary["rows"].items()
    ]
    lines += [_reject(reject) for reject in summary["rejects"]]
    unseen = summary["rejects_total"] - len(summary["rejects"])
    lines += [f"  and {unseen} more, all in {summary['out']}"] if unseen else []
    lines += [f"note: {note}" for note in summary["notes"]]
    lines += [line for name, value in summary["summary"].items() for line in _lines(name, value)]
    return "\n".join([*lines, f"written: {summary['out']}"])


def _reject(reject: Mapping[str, Any]) -> str:
    place = ":".join(str(reject[part]) for part in ("file", "line", "column") if reject[part])
    return f"  {place}: {reject['reason']}, got {reject['value']!r}"


def _lines(name: str, value: Any) -> list[str]:
    """One line, or one for each part of something with parts, such as each resource."""
    if isinstance(value, Mapping) and any(isinstance(part, Mapping) for part in value.values()):
        return [f"{part}: {_value(of)}" for part, of in value.items()]
    return [f"{name.replace('_', ' ')}: {_value(value)}"]


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_value(item)}" for name, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(_value, value))
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _formats(domain: str) -> ModuleType:
    if domain not in _importing():
        discovery.load("domains", domain)
        raise UserError(f"The domain {domain!r} imports no traces.{nearest(domain, _importing())}")
    return importlib.import_module(f"descant.domains.{_module(domain)}.formats")


def _importing() -> list[str]:
    """Domains with a part called `formats`; looked up without importing them."""
    return [name for name in discovery.names("domains") if _has_formats(name)]


def _has_formats(domain: str) -> bool:
    spec = util.find_spec(f"descant.domains.{_module(domain)}")
    places = spec.submodule_search_locations if spec else None
    return any(found.name == "formats" for found in pkgutil.iter_modules(places or ()))


def _module(domain: str) -> str:
    return domain.replace("-", "_")
