"""Write a report on one or several runs: one HTML file that opens without a network."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from descant.cli.arguments import Arguments, Common
from descant.cli.output import Output
from descant.cli.runs import find_run
from descant.core.errors import UserError

USAGE = "descant report RUN ... [OPTIONS]"
EXAMPLES = (
    "descant report runs/cloud-dgpg-20-s0",
    "descant report runs/cloud-dgpg-20-s0 runs/cloud-mappo-20-s0 --out report.html",
)
WORDS = 100
ROOTS = ()


@dataclass(frozen=True)
class Options(Common):
    """Options of `descant report`."""

    out: str | None = None
    """The file; report.html in the run folder for one run, here for several."""


OPTIONS = Options()


def main(arguments: Arguments, output: Output) -> int:
    """Write the page and print its path."""
    arguments.check()
    if not arguments.words:
        raise UserError("RUN: expected run folders, got nothing.")
    runs = [find_run(word) for word in arguments.words]
    place = runs[0] if len(runs) == 1 else Path()
    out = Path(arguments.options.out) if arguments.options.out else place / "report.html"
    if out.is_dir():
        raise UserError(f"--out: expected a file, got the folder {out}.")
    from descant.report.page import write_report

    written = write_report(runs, out)
    for run in written["runs"]:
        for problem in run["problems"].values():
            output.say(f"{run['run']}: {problem}")
    output.result(written, str(out))
    output.say(f"Open: {out.resolve().as_uri()}")
    output.next(shlex.join(["descant", "evaluate", str(runs[0]), "--scenarios", "100"]))
    return 0
