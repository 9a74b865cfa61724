"""Who may import whom, what stays light, and what every member of a folder has."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from descant.core import discovery

SOURCE = Path(__file__).parents[1] / "src" / "descant"
MODULES = {
    ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(SOURCE.rglob("*.py"))
}
EVERYTHING = {name.split(".")[0] for name in MODULES} - {"__init__", "__main__", "cli"}
# A folder may import itself and these; `cli` is for nobody.
MAY_IMPORT = {
    "core": set(),
    "ops": {"core"},
    "nets": {"core", "ops"},
    "credit": {"core", "ops"},
    "ascent": {"core", "ops"},
    # A domain of foreign worlds is a bridge with flags.
    "domains": {"core", "ops", "bridges"},
    "bridges": {"core", "ops"},
    "algorithms": {"core", "ops", "nets", "credit", "ascent"},
    "train": {"core", "ops.loops"},
    "evaluate": {"core", "train"},
    "serve": {"core", "train"},
    "report": {"core", "evaluate.statistics", "train.folder", "train.toml", "train.settings"},
    "session": {"core", "train", "evaluate", "report"},
    "sweep": {"core", "train", "evaluate"},
    "presets": EVERYTHING,
    "reproduce": EVERYTHING,
    "testing": EVERYTHING,
    "cli": EVERYTHING | {"cli"},
    "__init__": EVERYTHING,
    "__main__": {"cli"},
}
HEAVY = {"jax", "jaxlib", "equinox", "optax", "jaxtyping"}
WORK = {"reproduce._common.work", "reproduce._compare.work", "reproduce.utilities._work"}
WORK |= {"reproduce.maipg._noise", "reproduce.maipg._learning"}
"""What trains and measures; the rest of `reproduce` plans and shows."""
LIGHT = [
    *("core.discovery", "core.errors", "core.schema", "presets", "train.config"),
    *(name for name in MODULES if name.split(".")[0] in ("cli", "report", "sweep")),
    *(name for name in MODULES if name.startswith("reproduce.") and name not in WORK),
    *(name for name in MODULES if name.startswith("algorithms.") and "._" not in name),
    *(name for name in MODULES if name.startswith("domains.") and name.count(".") == 1),
]


def imports(path: Path, *, top: bool = False) -> set[str]:
    """Modules that a file imports; with `top`, only what runs when it is imported."""
    found: set[str] = set()

    def walk(node: ast.AST) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        if top and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            return
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            whole = {name.removeprefix("descant.") for name in names} & MODULES.keys()
            found.update({f"descant.{name}" for name in whole} or {node.module})
        for child in ast.iter_child_nodes(node):
            walk(child)

    walk(ast.parse(path.read_text(encoding="utf-8")))
    return found


@pytest.mark.parametrize("name", MODULES)
def test_layers(name):
    folder = name.split(".")[0]
    allowed = MAY_IMPORT[folder] | {folder}
    if folder == "domains":
        allowed = MAY_IMPORT[folder] | {".".join(name.split(".")[:2])}
    inside = {
        m.removeprefix("descant.") for m in imports(MODULES[name]) if m.startswith("descant.")
    }
    wrong = [m for m in inside if not any(f"{m}.".startswith(f"{a}.") for a in allowed)]
    assert not wrong, f"descant.{name} must not import {wrong}; it may import {sorted(allowed)}"


@pytest.mark.parametrize("name", LIGHT)
def test_light_modules_name_no_heavy_one(name):
    heavy = {m for m in imports(MODULES[name], top=True) if m.split(".")[0] in HEAVY}
    assert not heavy, f"descant.{name} imports {sorted(heavy)} at module level"


def test_light_modules_import_no_heavy_one_through_others():
    names = [f"descant.{name}".removesuffix(".__init__") for name in LIGHT]
    code = f"""
import importlib, sys
import descant
assert "jax" not in sys.modules, "import descant"
for name in {names!r}:
    if name.endswith("__main__"):
        continue
    importlib.import_module(name)
    assert not {{"jax", "equinox", "optax"}} & sys.modules.keys(), name
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout + done.stderr == ""


@pytest.mark.parametrize("kind", discovery.KINDS)
def test_members_are_complete(kind):
    assert discovery.names(kind)
    for name in discovery.names(kind):
        module = discovery.load(kind, name)
        assert discovery.summary(module), f"{kind}/{name} has no docstring"
        assert callable(module.make)
        assert module.Config() == module.Config(), f"{kind}/{name}: Config is no frozen dataclass"
        if kind == "algorithms":
            assert set(module.TABLE) == {"view", "sharing", "credit", "ascent"}, name


def test_every_module_says_what_it_is_for():
    for name, path in MODULES.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert not tree.body or ast.get_docstring(tree), f"descant.{name} has no docstring"


ALGORITHMS = sorted(
    path for path in (SOURCE / "algorithms").glob("*.py") if not path.name.startswith("_")
)
RUN = 6
"""Lines in a row that no two algorithms may have in common."""


def statements(path: Path) -> list[str]:
    """A file's code line by line, without what it imports and without docstrings."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(body := getattr(node, "body", None), list):
            node.body = [part for part in body if not _said_before(part)] or [ast.Pass()]
    return [line.strip() for line in ast.unparse(tree).splitlines() if line.strip()]


def _said_before(node: ast.AST) -> bool:
    text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return text or isinstance(node, ast.Import | ast.ImportFrom)


def test_an_algorithm_is_one_short_file():
    lengths = sorted(len(path.read_text().splitlines()) for path in ALGORITHMS)
    assert lengths[len(lengths) // 2] <= 80


def test_no_two_algorithms_share_a_run_of_lines():
    seen: dict[tuple[str, ...], str] = {}
    for path in ALGORITHMS:
        lines = statements(path)
        for start in range(len(lines) - RUN + 1):
            run = tuple(lines[start : start + RUN])
            assert seen.setdefault(run, path.name) == path.name, "\n".join(run)
