"""Evaluate a run, or the rules of a domain alone, on held-out scenarios.

RUN is a run folder: its policy and all rules meet the same scenarios, and --domain.NAME may put
them in another world, such as a larger one. DOMAIN is a name from `descant list` or a .py file.
"""

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from descant.cli import config, render
from descant.cli.arguments import Arguments, Tables, either_reading
from descant.cli.output import Output
from descant.cli.runs import beside, find_run, is_run
from descant.core import discovery
from descant.core.errors import UserError, nearest
from descant.train.progress import phase
from descant.train.settings import Settings
from descant.train.signals import graceful

USAGE = "descant evaluate RUN|DOMAIN [OPTIONS] [--domain.NAME VALUE ...]"
EXAMPLES = (
    "descant evaluate runs/cloud-dgpg-20-s0 --scenarios 100",
    "descant evaluate runs/cloud-dgpg-20-s0 --domain.servers 50",
    "descant evaluate cloud --domain.servers 10 --scenarios 100",
    "descant evaluate cloud --domain.servers 1000 --rules best-fit,most-efficient-first",
)
WORDS = 1
ROOTS = ("domain",)


@dataclass(frozen=True)
class Options(Tables):
    """Options of `descant evaluate`."""

    scenarios: int = 40
    """Held-out scenarios, the same for every policy."""
    seed: int | None = None
    """Seed of the scenarios; the usual held-out ones when left out."""
    mode: Literal["act", "sampled", "greedy"] = "act"
    """For a run: how its policy plays, as it is meant to be used, drawn from it, or every agent's
    most likely action."""
    rules: tuple[str, ...] = ()
    """Rules to play, by name; all of the domain's when left out."""
    preset: tuple[str, ...] = ()
    """For a domain: settings known by name, see `descant list`."""
    config: str | None = None
    """For a domain: settings from a TOML file."""
    bound: bool = True
    """Compute what no policy can exceed, where the domain knows it, and the gap to it."""
    discount: float | None = None
    """For a domain that wants more than reward: discount per tick of the occupancies that utilities
    are told by; 0.9 when left out."""
    replace: bool = False
    """For a run: make this its evaluation, which `compare` and `report` read, although scenarios,
    seed or rules are others than before."""

    def validate(self) -> None:
        """Check ranges.

        Raises:
            ValueError: there are no scenarios, or nothing is discounted.
        """
        if self.scenarios < 1:
            raise ValueError(f"scenarios: expected at least 1, got {self.scenarios}.")
        if self.discount is not None and not 0 < self.discount < 1:
            raise ValueError(f"discount: expected above 0 and below 1, got {self.discount}.")


OPTIONS = Options()


def main(arguments: Arguments, output: Output) -> int:
    """Evaluate and show the comparison."""
    word = _word(arguments)
    evaluate = _run(arguments, output) if is_run(word) else _domain(arguments)
    options = arguments.options
    rules = ", ".join(options.rules) or "every rule"
    with (
        graceful(idle=True, last=output.last),
        phase(
            output.console, f"Playing {word} and {rules} on {options.scenarios} held-out scenarios"
        ),
    ):
        evaluation = evaluate()
    output.result(evaluation, render.shown(evaluation, output.form))
    if (kept := evaluation.get("kept")) not in (None, "evaluation.json"):
        output.say(
            f"Kept as {Path(word, kept)}; the run's own evaluation, evaluation.json, is of other "
            f"scenarios or of more rules. --replace puts this one there."
        )
    following = f"report {shlex.quote(word)}" if is_run(word) else f"train {shlex.quote(word)}"
    output.next(f"descant {following}")
    return 0


def explained(arguments: Arguments) -> Settings:
    """The settings that the help explains."""
    word = arguments.words[0] if arguments.words else config.DOMAIN
    return config.from_toml(Path(word) / "config.toml") if is_run(word) else _settings(arguments)


def _word(arguments: Arguments) -> str:
    if not arguments.words:
        raise UserError(*arguments.problems, "RUN or DOMAIN: expected one, got nothing.")
    (word,) = arguments.words
    domains = discovery.names("domains")
    if is_run(word) or word in domains or word.endswith(".py"):
        return word
    if Path(word).is_dir():
        find_run(word)
    hint = nearest(word, [*beside(Path(word)), *domains])
    raise UserError(*arguments.problems, f"{word}: is neither a run folder nor a domain.{hint}")


def _run(arguments: Arguments, output: Output) -> Callable[[], dict]:
    options, run = arguments.options, find_run(arguments.words[0])
    problems = list(arguments.problems)
    for name in ("preset", "config", "discount"):
        if getattr(options, name) not in (None, ()):
            problems.append(f"--{name}: is for a domain; a run has its own settings.")
    settings = config.from_toml(run / "config.toml")
    overrides = config.overrides(settings, arguments.flags, problems=problems)
    output.folder = run

    def evaluate() -> dict:
        from descant.evaluate.session import evaluate_run
        from descant.train.cache import enable_compile_cache

        enable_compile_cache()
        return evaluate_run(
            run,
            scenarios=options.scenarios,
            overrides=overrides,
            seed=options.seed,
            mode=options.mode,
            bound=options.bound,
            replace=options.replace,
            rules=options.rules,
        )

    return evaluate


def _domain(arguments: Arguments) -> Callable[[], dict]:
    options, settings = arguments.options, either_reading(arguments, _settings)

    def evaluate() -> dict:
        from descant.evaluate.session import evaluate_domain
        from descant.train.cache import enable_compile_cache

        enable_compile_cache()
        return evaluate_domain(
            settings.domain_name,
            settings.domain,
            scenarios=options.scenarios,
            seed=options.seed,
            bound=options.bound,
            rules=options.rules,
            discount=options.discount,
        )

    return evaluate


def _settings(arguments: Arguments) -> Settings:
    options = arguments.options
    return config.resolve(
        arguments.words[0] if arguments.words else None,
        None,
        options.preset,
        None if options.config is None else Path(options.config),
        arguments.flags,
        problems=arguments.problems,
    )
