"""Try many values of some settings, and say which are best.

--vary takes a list, as in algorithm.rate=1e-3,3e-3, or a range, as in algorithm.entropy=1e-4..1e-1;
lists make a grid, ranges are drawn from. Trials are training runs, ranked on validation scenarios;
the best one alone then meets held-out scenarios. The same command again goes on where it stopped.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from descant.cli import config, render
from descant.cli.arguments import Arguments, Tables, either_reading
from descant.cli.output import Output, plain
from descant.cli.train import ROOTS, explained, resolved
from descant.core.errors import UserError
from descant.core.schema import spell
from descant.sweep import space
from descant.sweep.pool import POOLS
from descant.sweep.trials import Trial
from descant.train.settings import Settings, flatten, schema, with_values
from descant.train.signals import graceful

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["OPTIONS", "ROOTS", "explained", "main"]

USAGE = (
    "descant sweep [DOMAIN] [ALGORITHM] --vary SETTING=VALUES [OPTIONS] [--domain.NAME VALUE ...]"
)
EXAMPLES = (
    "descant sweep --vary algorithm.rate=1e-3,3e-3,1e-2 --seeds 3",
    "descant sweep cloud mappo --vary algorithm.rate=1e-4..1e-1 --trials 30 --workers 2",
    "descant sweep matrix mappo --vary algorithm.net=mlp,linear --vary algorithm.clip=0.1,0.3",
)
WORDS = 2
TRIALS = 20
"""Draws from ranges, unless somebody asks for another number."""


@dataclass(frozen=True)
class Options(Tables):
    """Options of `descant sweep`."""

    vary: tuple[str, ...] = ()
    """A setting with a list of values, or with a range as in 1e-4..1e-1; may be given several
    times."""
    trials: int | None = None
    """Draws where there is a range; 20 when left out. Lists alone are tried in all
    combinations."""
    workers: int = 1
    """Trials at the same time, each in a process of its own."""
    on: Literal["local", "ray"] = "local"
    """Where trials run: here, or on a Ray cluster whose machines see the same folders."""
    out: str | None = None
    """Folder of the sweep; sweeps/DOMAIN-ALGORITHM-SERVERS-sSEED when left out."""
    config: str | None = None
    """Settings from a TOML file, such as the config.toml of a run."""
    preset: tuple[str, ...] = ()
    """Settings known by name, see `descant list`; may be given several times."""
    dry_run: bool = False
    """Print the trials, and do not start them."""

    def validate(self) -> None:
        """Check ranges.

        Raises:
            ValueError: there are no trials or no workers.
        """
        for name in ("trials", "workers"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name}: expected at least 1, got {value}.")


OPTIONS = Options()


@dataclass(frozen=True)
class Plan:
    """What a command line asks for."""

    settings: Settings
    """Of all trials, but for what is varied."""
    trials: tuple[Trial, ...]
    line: tuple[str, ...]
    """The command that trains with these settings."""


def main(arguments: Arguments, output: Output) -> int:
    """Do the trials, show their table, say how to repeat the best."""
    options, plan = arguments.options, either_reading(arguments, _planned)
    folder = config.folder(plan.settings, options.preset)
    out = Path("sweeps") / folder.name if options.out is None else Path(options.out)
    output.say(f"Sweep folder: {out}")
    about = _about(plan) | {"vary": list(options.vary)}
    if options.dry_run:
        rows = [{"values": t.values, "flags": t.flags} for t in plan.trials]
        shown = "\n".join(shlex.join([*plan.line, *trial.flags]) for trial in plan.trials)
        output.result({"kind": "sweep", "status": "planned", **about, "trials": rows}, shown)
        output.next("the same without --dry-run")
        return 0
    pool = POOLS[options.on](options.workers)
    from descant.sweep.drive import sweep

    def leave(code: int) -> None:
        pool.kill()
        output.last(code)

    with graceful(idle=True, last=leave) as stop:
        asked = plan.settings.train
        record = sweep(plan.trials, out, about, asked, pool, output.console, stop)
    output.result(record, _shown(plain(record), output.form))
    return _concluded(record, stop.code, output)


def _concluded(record: Mapping[str, Any], stopped: int, output: Output) -> int:
    """Say what is useful now; the exit code."""
    if record["status"] == "interrupted":
        output.next("the same command goes on from here")
        return stopped
    if record["status"] == "failed":
        codes = {row["code"] for row in record["trials"]}
        output.say("No trial was finished, so none is best.")
        # Those of errors that say what to change.
        return codes.pop() if len(codes) == 1 and codes <= {2, 3, 4} else 5
    output.next(f"descant report {shlex.quote(record['trials'][0]['run'])}")
    return 0


def _planned(arguments: Arguments) -> Plan:
    options = arguments.options
    settings = resolved(arguments)
    if not settings.train.validation:
        raise UserError("--train.validation: expected at least 1 to rank trials on, got 0.")
    points = _points(options, settings)
    problems, trials = [], []
    for point in points:
        flags = tuple(f"--{name}={text}" for name, text in point.items())
        try:
            found = resolved(arguments, flags)
        except UserError as error:
            problems += [_of_vary(said, point) for said in error.problems]
            continue
        values = flatten(found)
        # Held-out scenarios are for the best alone.
        alone = with_values(found, {"train.scenarios": 0})
        trials.append(Trial({name: values[name] for name in point}, flags, alone))
    if problems:
        raise UserError(*dict.fromkeys(problems))
    return Plan(settings, tuple(trials), _line(arguments))


def _points(options: Options, settings: Settings) -> list[dict[str, str]]:
    """What `--vary` asks to try."""
    if not options.vary:
        raise UserError("--vary: expected at least one, as in --vary algorithm.rate=1e-3,3e-3.")
    varied, problems = [], []
    for text in options.vary:
        try:
            varied.append(space.read(text, schema(settings)))
        except UserError as error:
            problems += error.problems
    names = [one.name for one in varied]
    twice = dict.fromkeys(name for i, name in enumerate(names) if name in names[:i])
    problems += [f"--vary {name}: is given twice." for name in twice]
    drawn = any(isinstance(one, space.Range) for one in varied)
    if options.trials is not None and not drawn and not problems:
        problems.append("--trials: is for ranges; lists are tried in all combinations.")
    if problems:
        raise UserError(*problems)
    return space.points(varied, options.trials or TRIALS, settings.seed)


def _of_vary(problem: str, point: Mapping[str, str]) -> str:
    """A sentence about a flag that nobody typed names the option that it came from."""
    name = problem.partition(":")[0].removeprefix("--")
    return f"--vary {problem.removeprefix('--')}" if name in point else problem


def _line(arguments: Arguments) -> tuple[str, ...]:
    options = arguments.options
    named = [] if options.config is None else ["--config", options.config]
    for preset in options.preset:
        named += ["--preset", preset]
    return ("descant", "train", *arguments.words, *named, *arguments.flags)


def _about(plan: Plan) -> dict[str, Any]:
    settings = plan.settings
    return {
        "domain": settings.domain_name,
        "algorithm": settings.algorithm_name,
        "seed": settings.seed,
        "seeds": settings.seeds,
        "scenarios": settings.train.validation,
        "line": list(plan.line),
    }


def _shown(record: Mapping[str, Any], form: str) -> "RenderableType":
    """The ranked trials, the best one on held-out scenarios, and the command that repeats it."""
    table = render.laid_out(_title(record), *_rows(record["trials"]), form)
    parts = [table, "\n".join(_remarks(record))]
    if record["held_out"] is not None:
        parts.insert(1, render.shown(record["held_out"]["evaluation"], form))
    if form != "terminal":
        return "\n\n".join(part for part in parts if part)
    from rich.console import Group

    return Group(*parts)


def _title(record: Mapping[str, Any]) -> str:
    seeds = record["seeds"]
    learners = f", {seeds} learners each" if seeds > 1 else ""
    names = " with ".join(Path(record[part]).stem for part in ("domain", "algorithm"))
    by = record.get("ranked_by") or ["reward"]
    said = f"{by[-1]} on {record['scenarios']} validation scenarios{learners}, higher is better"
    first = "violation of constraints, lower is better, then " if len(by) > 1 else ""
    return f"{names}: {first}{said}"


def _rows(trials: Sequence[Mapping[str, Any]]) -> tuple[list[list[str]], set[int]]:
    """The rows under their head, and which columns are text."""
    names = list(trials[0]["values"])
    places = render.decimals([row["mean"] for row in trials])
    violations = [row.get("violation") for row in trials]
    short = None if set(violations) == {None} else render.decimals(violations)
    head = ["rank", "trial", *names, *([] if short is None else ["violation"])]
    head += ["mean", "95 % interval", "seconds", "state", "the best is"]
    rows = [head, *(_row(row, names, places, short) for row in trials)]
    return rows, {1, len(head) - 2, len(head) - 1}


def _row(row: Mapping[str, Any], names: Sequence[str], places: int, short: int | None) -> list[str]:
    low, high, behind = row["low"], row["high"], row["behind"] or {}
    interval = "" if low is None or high is None else f"[{low:.{places}f}, {high:.{places}f}]"
    more = row.get("violates_more") or {}
    # The best violates less, or it is open who does and the means decide.
    if (more.get("low") or 0) > 0:
        behind = more
    known = behind.get("low") is not None
    return [
        str(row["rank"] or ""),
        row["trial"],
        *(spell(row["values"][name]) for name in names),
        *([] if short is None else [render.number(row.get("violation"), short)]),
        render.number(row["mean"], places),
        interval,
        render.number(row["seconds"], 1),
        row["state"],
        render.verdict(behind["low"], behind["high"]) if known else "",
    ]


def _held_out(trial: str, found: Mapping[str, Any], by: Sequence[str]) -> str:
    """What the best is worth where no choice has looked."""
    low, high, short = found["low"], found["high"], found.get("violation")
    said = f"{trial} on {found['evaluation']['scenarios']} held-out scenarios: {by[-1]}"
    said += f" {found['mean']:.5g}"
    if low is not None and high is not None:
        said += f", 95 % interval [{low:.5g}, {high:.5g}]"
    return f"{said}." if short is None else f"{said}, violation {short:.3g}."


def _remarks(record: Mapping[str, Any]) -> list[str]:
    """What the table does not say."""
    trials, ties = record["trials"], record["ties"]
    lines = [f"{row['trial']} {row['state']}: {row['message']}" for row in trials if row["message"]]
    if record["seeds"] == 1:
        lines.append("One learner each tells no setting from luck; --seeds 5 trains five.")
    if not record["comparable"]:
        lines.append(
            "Trials may have met different worlds (rules got other rewards, there are none, or "
            "other things were wanted), and then their scores do not compare."
        )
    if ties:
        lines.append(f"Not shown to be behind the best: {', '.join(ties)}.")
    best, held_out = trials[0], record["held_out"]
    if held_out is not None:
        lines.append(_held_out(best["trial"], held_out, record.get("ranked_by") or ["reward"]))
    if best["rank"]:
        lines.append(f"Best: {shlex.join([*record['line'], *best['flags']])}")
    return lines
