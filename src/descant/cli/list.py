"""List domains, algorithms and presets.

A module in descant/domains or descant/algorithms with `Config` and `make` is known by its file
name; a path to a .py file of your own works wherever a name does.
"""

import ast
from dataclasses import dataclass
from importlib import util
from pathlib import Path

from descant.cli.arguments import Arguments, Common
from descant.cli.output import Output
from descant.core import discovery
from descant.presets import PRESETS

USAGE = "descant list [OPTIONS]"
EXAMPLES = ("descant list", "descant list --json")
WORDS = 0
ROOTS = ()


@dataclass(frozen=True)
class Options(Common):
    """Options of `descant list`."""


OPTIONS = Options()


def main(arguments: Arguments, output: Output) -> int:
    """Show what there is."""
    arguments.check()
    record = {kind: _members(kind) for kind in discovery.KINDS}
    record["presets"] = [
        {"name": name, "summary": preset.summary, "domain": preset.domain}
        for name, preset in PRESETS.items()
    ]
    sections = [_section(kind, members) for kind, members in record.items() if members]
    output.result({"kind": "list", **record}, "\n\n".join(sections))
    output.next("descant train DOMAIN ALGORITHM --help")
    return 0


def _members(kind: str) -> list[dict[str, str]]:
    return [{"name": name, "summary": _summary(kind, name)} for name in discovery.names(kind)]


def _summary(kind: str, name: str) -> str:
    """First line of a module's docstring, read from the source so that nothing is imported."""
    spec = util.find_spec(f"descant.{kind}.{name.replace('-', '_')}")
    if spec is None or spec.origin is None:
        return ""
    docstring = ast.get_docstring(ast.parse(Path(spec.origin).read_text(encoding="utf-8")))
    return (docstring or "").partition("\n")[0].rstrip(".")


def _section(kind: str, members: list[dict[str, str]]) -> str:
    width = max(len(member["name"]) for member in members) + 2
    rows = [f"  {member['name']:<{width}}{member['summary']}".rstrip() for member in members]
    return "\n".join([f"{kind.capitalize()}:", *rows])
