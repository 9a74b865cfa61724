"""From the command line to one `Settings`: defaults, then presets, then a file, then flags."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from descant.core.errors import UserError, nearest
from descant.core.schema import Setting, expected, find
from descant.presets import PRESETS, Preset
from descant.train.settings import (
    Given,
    Settings,
    assemble,
    defaults,
    difference,
    flatten,
    from_toml,
    given_in_toml,
    read_text,
    schema,
    to_toml,
)

__all__ = ["Settings", "difference", "folder", "from_toml", "overrides", "resolve", "to_toml"]

DOMAIN, ALGORITHM = "cloud", "dgpg"


def resolve(
    domain: str | None,
    algorithm: str | None,
    presets: Sequence[str] = (),
    file: Path | None = None,
    flags: Sequence[str] = (),
    *,
    problems: Iterable[str] = (),
) -> Settings:
    """The settings that a user asks for; names on the command line win over those in the file.

    Each flag is `--name=value`, or `--name` or `--no-name` for a switch.

    Raises:
        UserError: one sentence for each thing that does not fit, after the `problems` known before.
    """
    problems = list(problems)
    names: dict[str, str] = {}
    told: list[Given] = []
    if file is not None:
        try:
            names, told, wrong = given_in_toml(read_text(file), str(file))
            problems += wrong
        except UserError as error:
            problems += error.problems
    chosen = _presets(presets, problems)
    domain = domain or names.get("domain") or next((p.domain for p in chosen.values()), DOMAIN)
    algorithm = algorithm or names.get("algorithm") or ALGORITHM
    try:
        start = defaults(_place(domain), _place(algorithm))
    except UserError as error:
        raise UserError(*problems, *error.problems) from error
    asked = [told, _given(flags, schema(start), problems)]

    layers: list[list[Given]] = []
    for name, preset in chosen.items():
        if preset.domain != domain:
            problems.append(f"preset {name}: is for the domain {preset.domain!r}, not {domain!r}.")
            continue
        values = preset.values
        if not isinstance(values, Mapping):
            values = values(assemble(start, *layers, *asked, problems=problems))
        layers.append([Given(n, v, where=f"preset {name}: ") for n, v in values.items()])
    return assemble(start, *layers, *asked, problems=problems)


def overrides(
    settings: Settings, flags: Sequence[str], *, problems: Iterable[str] = ()
) -> dict[str, Any]:
    """The values, by dotted name, in which flags change the settings of a run.

    Raises:
        UserError: one sentence for each flag that does not fit.
    """
    problems = list(problems)
    changed = assemble(settings, _given(flags, schema(settings), problems), problems=problems)
    old = flatten(settings)
    return {name: value for name, value in flatten(changed).items() if value != old[name]}


def folder(settings: Settings) -> Path:
    """Where a run goes when nobody says otherwise: `runs/cloud-dgpg-20-s0`."""
    size = getattr(settings.domain, "servers", None)
    names = (Path(settings.domain_name).stem, Path(settings.algorithm_name).stem)
    parts = (*names, *([str(size)] if size is not None else []), f"s{settings.seed}")
    return Path("runs") / "-".join(parts)


def _presets(names: Iterable[str], problems: list[str]) -> dict[str, Preset]:
    chosen = {}
    for name in names:
        if name in PRESETS:
            chosen[name] = PRESETS[name]
        else:
            known = f" Known: {', '.join(PRESETS)}." if PRESETS else ""
            problems.append(
                f"--preset: there is no preset {name!r}.{nearest(name, PRESETS)}{known}"
            )
    return chosen


def _given(flags: Iterable[str], known: Mapping[str, Setting], problems: list[str]) -> list[Given]:
    found = []
    for flag in flags:
        name, equals, value = flag.removeprefix("--").partition("=")
        name = name.replace("-", "_")
        if equals:
            found.append(Given(name, value, "--", text=True))
        elif switched := _switch(name, known):
            found.append(switched)
        elif kinds := [known[match].kind for match in find(name, known)]:
            problems.append(f"--{name}: expected {expected(kinds[0])}, got nothing.")
        else:
            found.append(Given(name, "", "--", text=True))
    return found


def _switch(name: str, known: Mapping[str, Setting]) -> Given | None:
    table, _, leaf = name.rpartition(".")
    for named, value in ((name, "true"), (f"{table}.{leaf.removeprefix('no_')}", "false")):
        if any(known[match].kind is bool for match in find(named, known)):
            return Given(named, value, "--", text=True)
    return None


def _place(name: str) -> str:
    """A file of the user's by its full path, so that the run can be resumed from anywhere."""
    return str(Path(name).resolve()) if name.endswith(".py") else name
