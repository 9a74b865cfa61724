"""Everything that decides a run, as one value with dotted names."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from descant.core import discovery
from descant.core.errors import DescantError, UserError, nearest
from descant.core.schema import (
    Setting,
    build,
    check,
    expected,
    find,
    parse,
    settings_of,
    show,
)
from descant.train.config import Train

TABLES = ("domain", "algorithm", "train")
MOST = 2**31 - 1
"""What whole numbers can be, but for seeds: arrays are indexed by no more."""
GREATEST = 3.4e38
"""What other numbers can be, which is what single precision can hold."""


@dataclass(frozen=True)
class Settings:
    """The configuration of one run."""

    domain_name: str
    """Name of the domain, or the path of a `.py` file."""
    domain: Any
    """The domain's `Config`."""
    algorithm_name: str
    """Name of the algorithm, or the path of a `.py` file."""
    algorithm: Any
    """The algorithm's `Config`."""
    train: Train = field(default_factory=Train)
    """The training loop."""
    seed: int = 0
    """Seed of the whole run; the same seed gives the same numbers."""
    seeds: int = 1
    """Independent learners trained side by side in one run."""

    def validate(self) -> None:
        """Check the seeds; the three tables check themselves.

        Raises:
            UserError: a seed does not fit 32 bits, or there are no seeds.
        """
        if not 0 <= self.seed < 2**32:
            raise UserError(f"seed: expected 0 to {2**32 - 1}, got {self.seed}.")
        if self.seeds < 1:
            raise UserError(f"seeds: expected at least 1, got {self.seeds}.")


@dataclass(frozen=True)
class Given:
    """One value that somebody gave, under which name and where."""

    name: str
    value: Any
    where: str = ""
    """What to say before the name in a message: `run.toml:3: `, `--`."""
    text: bool = False
    """Whether the value is still to be read from its text."""


def defaults(domain: str, algorithm: str, where: Mapping[str, str] | None = None) -> Settings:
    """The settings of a domain and an algorithm when nobody says otherwise.

    Args:
        domain: name or file.
        algorithm: name or file.
        where: what to say before `domain` or `algorithm` in a message, when a file names them.

    Raises:
        UserError: there is no such domain or algorithm, or a file of the user's cannot be loaded.
    """
    found, problems = [], []
    for part, name in (("domain", domain), ("algorithm", algorithm)):
        try:
            found.append(_default(f"{part}s", name))
        except UserError as error:
            place = f"{where[part]}{part}: " if where and part in where else ""
            problems += [f"{place}{problem}" for problem in error.problems]
    if problems:
        raise UserError(*problems)
    return Settings(domain, found[0], algorithm, found[1])


def schema(settings: Settings) -> dict[str, Setting]:
    """Every setting by dotted name: `domain.servers`, `algorithm.base.clip`, `seed`."""
    found: dict[str, Setting] = {}
    for table in TABLES:
        found |= settings_of(getattr(settings, table), table)
    own = settings_of(settings)
    return found | {name: own[name] for name in ("seed", "seeds")}


def flatten(settings: Settings) -> dict[str, Any]:
    """The value of every setting by dotted name."""
    return {name: setting.default for name, setting in schema(settings).items()}


def assemble(start: Settings, *layers: Sequence[Given], problems: Iterable[str] = ()) -> Settings:
    """`start` with layers of given values laid over it, later layers above earlier ones.

    Raises:
        UserError: one sentence per value that does not fit, after the `problems` known before.
    """
    problems = list(problems)
    known = schema(start)
    values: dict[str, Any] = {}
    where: dict[str, str] = {}
    for layer in layers:
        seen: set[str] = set()
        for given in layer:
            if given.value == {} and _is_table(given.name, known):
                continue
            try:
                name, value = _read(given, known, seen)
            except UserError as error:
                problems += error.problems
            else:
                values[name], where[name] = value, given.where
    settings, wrong = _build(start, values, where)
    if problems or wrong:
        raise UserError(*problems, *wrong)
    return settings


def with_values(settings: Settings, values: Mapping[str, Any]) -> Settings:
    """A copy with some values replaced, by dotted name: `with_values(s, {"domain.servers": 50})`.

    Raises:
        UserError: there is no such setting, or a value does not fit it.
    """
    return assemble(settings, [Given(name, value) for name, value in values.items()])


def difference(old: Settings, new: Settings) -> list[str]:
    """What changed, one line per setting: `domain.servers: 20 -> 50`."""
    lines = []
    skipped: tuple[str, ...] = ()
    for table in ("domain", "algorithm"):
        before, after = getattr(old, f"{table}_name"), getattr(new, f"{table}_name")
        if before != after:
            lines.append(f"{table}: {before} -> {after}")
            skipped += (f"{table}.",)
    a, b = flatten(old), flatten(new)
    for name in [*a, *(n for n in b if n not in a)]:
        if a.get(name) != b.get(name) and not name.startswith(skipped):
            lines.append(f"{name}: {show(a.get(name))} -> {show(b.get(name))}")
    return lines


def _read(given: Given, known: Mapping[str, Setting], seen: set[str]) -> tuple[str, Any]:
    matches = find(given.name, known)
    if len(matches) > 1:
        raise UserError(f"{given.where}{given.name}: say which: {' or '.join(matches)}.")
    if not matches:
        raise UserError(f"{given.where}{_unknown(given, known)}")
    (name,) = matches
    if name in seen:
        raise UserError(f"{given.where}{name}: is given twice.")
    seen.add(name)
    kind = known[name].kind
    try:
        value = (parse if given.text else check)(kind, given.value)
        if name != "seed":
            _in_reach(value)
        return name, value
    except OverflowError as error:
        raise UserError(
            f"{given.where}{name}: expected {error}, got {show(given.value)}."
        ) from None
    except ValueError:
        hint = nearest(given.value, _choices(kind)) if isinstance(given.value, str) else ""
        raise UserError(
            f"{given.where}{name}: expected {expected(kind)}, got {show(given.value)}.{hint}"
        ) from None


def _in_reach(value: Any) -> None:
    """Refuse numbers that neither sizes nor single precision can be."""
    for part in value if isinstance(value, tuple) else (value,):
        if type(part) is int and abs(part) > MOST:
            raise OverflowError(f"at most {MOST:,}" if part > 0 else f"at least {-MOST:,}")
        if isinstance(part, float) and abs(part) > GREATEST:
            raise OverflowError(f"a number of at most {GREATEST:g} either way")


def _unknown(given: Given, known: Mapping[str, Setting]) -> str:
    if _is_table(given.name, known):
        return f"{given.name}: expected a table of settings, got {show(given.value)}."
    others = known if "." in given.name else [*known, *TABLES]
    return f"{given.name}: there is no such setting.{nearest(given.name, others)}"


def _is_table(name: str, known: Iterable[str]) -> bool:
    return name in TABLES or any(other.startswith(f"{name}.") for other in known)


def _choices(kind: Any) -> list[str]:
    return re.findall(r"'([^']*)'", expected(kind))


def _build(
    start: Settings, values: dict[str, Any], where: Mapping[str, str]
) -> tuple[Settings, list[str]]:
    """Build; after a refusal, again without the refused values, so that all refusals are told."""
    values, wrong = dict(values), []
    while True:
        try:
            return build(start, values), list(dict.fromkeys(wrong))
        except UserError as error:
            culprits = set()
            for problem in error.problems:
                name = problem.partition(":")[0]
                name = next(iter(find(name, where)), name)
                wrong.append(f"{where.get(name, '')}{problem}")
                culprits |= _culprits(name, problem, values)
        if not culprits:
            return start, list(dict.fromkeys(wrong))
        values = {name: value for name, value in values.items() if name not in culprits}


def _culprits(name: str, problem: str, values: Mapping[str, Any]) -> set[str]:
    """The given values behind a refusal: the one it names first, else others it names, else all."""
    if name in values:
        return {name}
    named = {other for other in values if re.search(rf"\b{re.escape(other)}\b", problem)}
    return named or {other for other in values if other.split(".")[0] == name.split(".")[0]}


@cache
def _default(kind: str, name: str) -> Any:
    try:
        return discovery.load(kind, name).Config()
    except DescantError:
        raise
    except Exception as error:
        if not name.endswith(".py"):
            raise
        raise UserError(f"{name}: cannot be loaded: {type(error).__name__}: {error}.") from error
