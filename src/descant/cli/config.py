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
    schema,
)
from descant.train.toml import from_toml, given_in_toml, read_text, to_toml

__all__ = ["Settings", "difference", "folder", "from_toml", "overrides", "resolve", "to_toml"]

DOMAIN, ALGORITHM = "cloud", "dgpg"


def resolve(
    domain: str | None = None,
    algorithm: str | None = None,
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
    names, told = _file(file, problems)
    chosen = _presets(presets, problems)
    for part, word in (("domain", domain), ("algorithm", algorithm)):
        if word is not None:
            names[part] = Given(part, word)
    usual = next((preset.domain for preset in chosen.values()), DOMAIN)
    world = names["domain"].value if "domain" in names else usual
    learner = names["algorithm"].value if "algorithm" in names else ALGORITHM
    where = {name: said.where for name, said in names.items() if said.where}
    try:
        start = defaults(_place(world), _place(learner), where)
    except UserError as error:
        raise UserError(*problems, *error.problems) from error
    asked = [told, _given(flags, schema(start), problems)]

    layers: list[list[Given]] = []
    for name, preset in chosen.items():
        if preset.domain != world:
            problems.append(f"preset {name}: is for the domain {preset.domain!r}, not {world!r}.")
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


def folder(settings: Settings, presets: Iterable[str] = ()) -> Path:
    """Where a run goes when nobody says otherwise: `runs/cloud-dgpg-20-s0`."""
    size = getattr(settings.domain, "servers", None)
    names = (Path(settings.domain_name).stem, Path(settings.algorithm_name).stem)
    sizes = () if size is None else (str(size),)
    parts = (*names, *sizes, *presets, f"s{settings.seed}")
    return Path("runs") / "-".join(parts)


def _file(path: Path | None, problems: list[str]) -> tuple[dict[str, Given], list[Given]]:
    if path is None:
        return {}, []
    try:
        names, told, wrong = given_in_toml(read_text(path), str(path))
    except UserError as error:
        problems += error.problems
        return {}, []
    problems += wrong
    return names, told


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
