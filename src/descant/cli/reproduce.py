"""Make published experiments again and lay the published numbers beside ours.

TARGET is a name such as dgpg.fig3, or several; `list` says what there is and what it costs. What is
done already is not done again, and the same command goes on where it stopped. Training runs are
shared between targets.
"""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from descant.cli.arguments import Arguments, Common
from descant.cli.output import Output
from descant.core.errors import UserError

if TYPE_CHECKING:
    from descant.reproduce._common.plan import Scale
    from descant.reproduce._common.targets import Target

USAGE = "descant reproduce list|TARGET ... [OPTIONS]"
EXAMPLES = (
    "descant reproduce list",
    "descant reproduce dgpg.fig3",
    "descant reproduce dgpg.table1 --full --seeds 5 --out reproduction",
)
WORDS = 100
ROOTS = ()
MOST = 8
"""Sizes in a figure that can be told apart."""
LEARNERS = 1000
"""A slip of the hand would be found out by a memory error otherwise."""


@dataclass(frozen=True)
class Options(Common):
    """Options of `descant reproduce`."""

    quick: bool = False
    """Minutes on two cores; this is the default."""
    full: bool = False
    """The published size; hours to days."""
    seeds: int | None = None
    """Learners per run; as many as the scale has when left out."""
    sizes: tuple[int, ...] = ()
    """Numbers of agents, such as 5,20,100, in targets that compare some; the scale's otherwise."""
    out: str = "reproduction"
    """Folder for runs, records, tables, figures and pages."""

    def validate(self) -> None:
        """Check ranges.

        Raises:
            ValueError: there are no seeds, two scales, or sizes that cannot be compared.
        """
        if self.quick and self.full:
            raise ValueError("quick: cannot be given together with --full.")
        if self.seeds is not None and self.seeds < 1:
            raise ValueError(f"seeds: expected at least 1, got {self.seeds}.")
        if self.seeds is not None and self.seeds > LEARNERS:
            raise ValueError(f"seeds: expected at most {LEARNERS:,}, got {self.seeds}.")
        if any(size < 2 for size in self.sizes):
            raise ValueError(f"sizes: expected at least 2 agents, got {min(self.sizes)}.")
        if len(set(self.sizes)) < len(self.sizes):
            raise ValueError("sizes: expected each one once.")
        if len(self.sizes) > MOST:
            raise ValueError(f"sizes: expected at most {MOST}, got {len(self.sizes)}.")


OPTIONS = Options()


def main(arguments: Arguments, output: Output) -> int:
    """Reproduce one target after the other, or list them."""
    arguments.check()
    from descant.reproduce._common import targets

    if not arguments.words:
        raise UserError(
            f"TARGET: expected list or a target, got nothing. Known: {', '.join(targets.names())}."
        )
    if "list" in arguments.words:
        if len(arguments.words) > 1:
            raise UserError("list: stands alone.")
        return _list(arguments.options, output)
    chosen = [targets.load(name) for name in dict.fromkeys(arguments.words)]
    for target in chosen:
        target.check()
        _scale(target, arguments.options)
    return _reproduce(chosen, arguments.options, output)


def _reproduce(chosen: "list[Target]", options: Any, output: Output) -> int:
    from descant.reproduce._common.drive import reproduce

    out, records, shown = Path(options.out), [], []
    if out.exists() and not out.is_dir():
        raise UserError(f"--out: {out} is a file; expected a folder.")
    for target in chosen:
        outcome = reproduce(target, _scale(target, options), out, output.console)
        records.append(
            {
                "target": target.name,
                "scale": _scale(target, options).name,
                "status": outcome.status,
                "folder": outcome.folder,
                "page": outcome.folder / "index.html",
                "findings": outcome.findings,
                "signal": outcome.signal,
            }
        )
        if outcome.status == "interrupted":
            output.result({"kind": "reproductions", "targets": records}, "\n".join(shown))
            output.next("the same command goes on from here")
            return 128 + (outcome.signal or 0)
        shown.append(outcome.table)
        output.say(f"Page: {outcome.folder / 'index.html'}")
    output.result({"kind": "reproductions", "targets": records}, "\n".join(shown))
    sizes = ["--sizes", ",".join(map(str, options.sizes))] if options.sizes else []
    more = [*sizes, "--full"] if not options.full else sizes
    output.next(shlex.join(["descant", "reproduce", *(t.name for t in chosen), *more]))
    return 0


def _scale(target: "Target", options: Any) -> "Scale":
    from dataclasses import replace

    scale = target.scales["full" if options.full else "quick"]
    if options.seeds is not None:
        scale = replace(scale, seeds=options.seeds)
    return _resized(target, scale, options.sizes) if options.sizes else scale


def _resized(target: "Target", scale: "Scale", sizes: tuple[int, ...]) -> "Scale":
    from dataclasses import replace

    if scale.fixed or len(scale.servers) < 2:
        raise UserError(f"--sizes: {target.name} takes no other numbers of agents.")
    for method, largest in scale.largest.items():
        if min(sizes) > largest:
            raise UserError(
                f"--sizes: {target.name} --{scale.name} runs {method} up to {largest} agents; "
                f"expected a size that it is run at, got {', '.join(map(str, sizes))}."
            )
    return replace(scale, servers=tuple(sorted(sizes)), resized=True)


def _list(options: Any, output: Output) -> int:
    from descant.reproduce._common import costs, targets

    known = [targets.load(name) for name in targets.names()]
    rows = []
    everything: dict[str, dict[str, Any]] = {"quick": {}, "full": {}}
    for target in known:
        row: dict[str, Any] = {"name": target.name, "summary": target.summary}
        for name in everything:
            jobs = {job.name: job for job in target.jobs(target.scales[name])}
            everything[name] |= jobs
            row[name] = costs.total(list(jobs.values()))
        rows.append(row)
    total = {name: costs.total(list(jobs.values())) for name, jobs in everything.items()}
    width = max(len(row["name"]) for row in rows) + 2
    lines = [f"  {'':<{width}}{'--quick':>10}{'--full':>12}"]
    for row in [*rows, {"name": "all together", "summary": "", **total}]:
        spent = f"{costs.rough(row['quick']):>10}{costs.rough(row['full']):>12}"
        lines.append(f"  {row['name']:<{width}}{spent}  {row['summary']}".rstrip())
    note = (
        "Times are estimates for two quiet cores; training runs that targets share are counted in\n"
        "each, and once in the last line."
    )
    output.result(
        {"kind": "targets", "targets": rows, "total": total},
        "\n".join(["Targets:", *lines, "", note]),
    )
    output.next(f"descant reproduce {rows[0]['name']}")
    return 0
