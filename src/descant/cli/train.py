"""Train policies, and compare them with every rule at the end.

The same command again goes on where it stopped. Settings come from defaults, then --preset, then
--config, then flags. DOMAIN and ALGORITHM are names from `descant list` or .py files of your own.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from descant.cli import config, render
from descant.cli.arguments import Arguments, Tables, either_reading
from descant.cli.output import Output
from descant.train.hosts import Hosts
from descant.train.progress import phase
from descant.train.settings import TABLES, Settings, defaults
from descant.train.signals import graceful

USAGE = "descant train [DOMAIN] [ALGORITHM] [OPTIONS] [--domain.NAME VALUE ...]"
EXAMPLES = (
    "descant train",
    "descant train cloud mappo --domain.servers 50 --train.iterations 20 --seed 1",
    "descant train --config runs/cloud-dgpg-20-s0/config.toml --run runs/again",
    "descant train --devices all --train.rollouts 8",
)
WORDS = 2
ROOTS = (*TABLES, "seed", "seeds")


@dataclass(frozen=True)
class Options(Tables):
    """Options of `descant train`."""

    run: str | None = None
    """Run folder; runs/DOMAIN-ALGORITHM-SERVERS-sSEED when left out."""
    fresh: bool = False
    """Start over in the run folder instead of going on."""
    devices: int | Literal["all"] = 1
    """Spread the scenarios of an iteration over this many devices of each host."""
    hosts: str | None = None
    """Train together with other processes: where all of them reach rank 0, which of them this one
    is, and how many there are. The same command for all but for the rank."""
    config: str | None = None
    """Settings from a TOML file, such as the config.toml of a run."""
    preset: tuple[str, ...] = ()
    """Settings known by name, see `descant list`; may be given several times."""
    score: bool = False
    """At the end, score the learners on validation scenarios, too, by what they climb: reward, or
    utility and violations; kept as validation.json. This is what `descant sweep` ranks by."""
    dry_run: bool = False
    """Print the settings as TOML, ready for --config, and do not train; with --verbose, also how
    large the run would be, and how long it would take by one iteration."""

    def validate(self) -> None:
        """Check ranges.

        Raises:
            ValueError: there are no devices, or hosts are written in another way.
        """
        if self.devices != "all" and self.devices < 1:
            raise ValueError(f"devices: expected at least 1, got {self.devices}.")
        if self.hosts is not None:
            try:
                Hosts.parse(self.hosts)
            except ValueError as error:
                raise ValueError(f"hosts: {error}") from None


OPTIONS = Options()


def main(arguments: Arguments, output: Output) -> int:
    """Train, show the comparison, say what to do next."""
    options, settings = arguments.options, either_reading(arguments, resolved)
    chosen = config.folder(settings, options.preset)
    folder = chosen if options.run is None else Path(options.run)
    hosts = None if options.hosts is None else Hosts.parse(options.hosts)
    if hosts is None or hosts.rank == 0:
        output.say(f"Run folder: {folder}")
    if options.dry_run:
        return _dry(settings, folder, options, output)
    if options.verbose:
        usual = defaults(settings.domain_name, settings.algorithm_name)
        output.say("\n".join(["Other than usual:", *config.difference(usual, settings)]))
    if hosts is None:
        return _train(settings, folder, options, output)
    output.say(f"{hosts}; rank 0 is at {hosts.host}:{hosts.port}")
    from descant.cli.main import guarded
    from descant.train.worker import supervised

    return supervised(
        hosts, lambda: guarded(output, lambda: _train(settings, folder, options, output, hosts))
    )


def _train(
    settings: Settings, folder: Path, options: Options, output: Output, hosts: Hosts | None = None
) -> int:
    first = hosts is None or hosts.rank == 0
    # Others may not even have the folder.
    output.folder = folder if first else None
    from descant.session import train

    result = train(
        settings,
        folder,
        fresh=options.fresh,
        console=output.console if first else None,
        devices=options.devices,
        hosts=hosts,
        last=output.last,
    )
    record = {"kind": "training", "run": folder, "status": result.status}
    record |= {"signal": result.signal, "evaluation": result.evaluation}
    if options.score and first and result.status != "interrupted":
        record["validation"] = _scored(settings, folder, output)
        output.say(_worth(record["validation"]))
    if result.evaluation is not None:
        table = render.shown(result.evaluation, output.form)
        output.result(record, table)
    elif output.json:
        output.result(record, "")
    if result.status == "interrupted":
        output.next("the same command goes on from here")
        return 128 + (result.signal or 0)
    if first:
        output.next(f"descant report {shlex.quote(str(folder))}")
    else:
        output.say(f"{hosts}: done.")
    return 0


def _scored(settings: Settings, folder: Path, output: Output) -> dict[str, Any]:
    from descant.evaluate.session import validate_run

    with (
        graceful(idle=True, last=output.last),
        phase(output.console, f"Meeting {settings.train.validation} validation scenarios"),
    ):
        return validate_run(folder)


def _worth(validation: Mapping[str, Any]) -> str:
    """What validation scenarios say, in the mean over seeds, first what counts first."""
    seeds = {"reward": [sum(each) / len(each) for each in validation["values"]]}
    seeds |= {name: validation[name] for name in validation["ranked_by"] if name != "reward"}
    means = [
        f"{name} {sum(seeds[name]) / len(seeds[name]):.5g}" for name in validation["ranked_by"]
    ]
    return f"On {validation['scenarios']} validation scenarios: {', '.join(means)}."


def _dry(settings: Settings, folder: Path, options: Options, output: Output) -> int:
    record = {"kind": "settings", "run": folder, "settings": config.flatten(settings)}
    shown = config.to_toml(settings)
    if options.verbose:
        from descant.session import estimate
        from descant.train.facts import facts

        with phase(output.console, "Measuring how long an iteration takes"):
            seconds = estimate(settings, folder, options.devices)
        record["facts"] = {**facts(settings), "seconds": seconds}
        shown += "\n" + "\n".join(f"# {line}" for line in _told(record["facts"]))
    output.result(record, shown)
    output.next("the same without --dry-run")
    return 0


def _told(facts: Mapping[str, Any], indent: str = "") -> list[str]:
    lines = []
    for name, value in facts.items():
        if isinstance(value, Mapping):
            lines += [f"{indent}{name}:", *_told(value, f"{indent}  ")]
            continue
        form = {int: ",", float: ",.3g"}.get(type(value), "")
        lines.append(f"{indent}{name}: {value:{form}}")
    return lines


def explained(arguments: Arguments) -> Settings:
    """The settings that the help explains."""
    return config.resolve(*_names(arguments))


def resolved(arguments: Arguments, more: Sequence[str] = ()) -> Settings:
    """The settings that a command line asks for, with `more` flags than are on it.

    Raises:
        UserError: one sentence for each thing that does not fit.
    """
    options = arguments.options
    return config.resolve(
        *_names(arguments),
        options.preset,
        None if options.config is None else Path(options.config),
        (*arguments.flags, *more),
        problems=arguments.problems,
    )


def _names(arguments: Arguments) -> tuple[str | None, str | None]:
    domain, algorithm, *_ = (*arguments.words, None, None)
    return domain, algorithm
