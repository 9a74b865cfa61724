"""Train policies, and compare them with every rule at the end.

The same command again goes on where it stopped. Settings come from defaults, then --preset, then
--config, then flags. DOMAIN and ALGORITHM are names from `descant list` or .py files of your own.
"""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from descant.cli import config, render
from descant.cli.arguments import Arguments, Common, either_reading
from descant.cli.output import Output
from descant.train.settings import TABLES, Settings, defaults

USAGE = "descant train [DOMAIN] [ALGORITHM] [OPTIONS] [--domain.NAME VALUE ...]"
EXAMPLES = (
    "descant train",
    "descant train cloud mappo --domain.servers 50 --train.iterations 20 --seed 1",
    "descant train --config runs/cloud-dgpg-20-s0/config.toml --run runs/again",
)
WORDS = 2
ROOTS = (*TABLES, "seed", "seeds")


@dataclass(frozen=True)
class Options(Common):
    """Options of `descant train`."""

    run: str | None = None
    """Run folder; runs/DOMAIN-ALGORITHM-SERVERS-sSEED when left out."""
    fresh: bool = False
    """Start over in the run folder instead of going on."""
    config: str | None = None
    """Settings from a TOML file, such as the config.toml of a run."""
    preset: tuple[str, ...] = ()
    """Settings known by name, see `descant list`; may be given several times."""
    dry_run: bool = False
    """Print the settings as TOML, ready for --config, and do not train; with --verbose, also how
    large the run would be."""


OPTIONS = Options()


def main(arguments: Arguments, output: Output) -> int:
    """Train, show the comparison, say what to do next."""
    options, settings = arguments.options, either_reading(arguments, _resolved)
    folder = config.folder(settings) if options.run is None else Path(options.run)
    output.say(f"Run folder: {folder}")
    if options.dry_run:
        return _dry(settings, folder, options.verbose, output)
    if options.verbose:
        usual = defaults(settings.domain_name, settings.algorithm_name)
        output.say("\n".join(["Other than usual:", *config.difference(usual, settings)]))
    output.folder = folder
    from descant.session import train

    result = train(settings, folder, fresh=options.fresh, console=output.console)
    record = {"kind": "training", "run": folder, "status": result.status}
    record |= {"signal": result.signal, "evaluation": result.evaluation}
    if result.evaluation is not None:
        table = render.shown(result.evaluation, terminal=output.results.is_terminal)
        output.result(record, table)
    elif output.json:
        output.result(record, "")
    if result.status == "interrupted":
        output.next("the same command goes on from here")
        return 128 + (result.signal or 0)
    output.next(f"descant report {shlex.quote(str(folder))}")
    return 0


def _dry(settings: Settings, folder: Path, sizes: bool, output: Output) -> int:
    record = {"kind": "settings", "run": folder, "settings": config.flatten(settings)}
    shown = config.to_toml(settings)
    if sizes:
        from descant.train.facts import facts

        record["facts"] = facts(settings)
        shown += "\n" + "\n".join(f"# {line}" for line in _told(record["facts"]))
    output.result(record, shown)
    output.next("the same without --dry-run")
    return 0


def _told(facts: Mapping[str, Any], indent: str = "") -> list[str]:
    lines = []
    for name, value in facts.items():
        if isinstance(value, Mapping):
            lines += [f"{indent}{name}:", *_told(value, f"{indent}  ")]
        else:
            lines.append(
                f"{indent}{name}: {value:,}"
                if isinstance(value, int)
                else f"{indent}{name}: {value}"
            )
    return lines


def explained(arguments: Arguments) -> Settings:
    """The settings that the help explains."""
    return config.resolve(*_names(arguments))


def _resolved(arguments: Arguments) -> Settings:
    options = arguments.options
    return config.resolve(
        *_names(arguments),
        options.preset,
        None if options.config is None else Path(options.config),
        arguments.flags,
        problems=arguments.problems,
    )


def _names(arguments: Arguments) -> tuple[str | None, str | None]:
    domain, algorithm, *_ = (*arguments.words, None, None)
    return domain, algorithm
