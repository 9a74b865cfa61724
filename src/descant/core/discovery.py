"""A folder is a registry: every module in `domains/` and `algorithms/` with `Config` and `make` is
known by its file name."""

import importlib
import importlib.util
import pkgutil
import sys
from pathlib import Path
from types import ModuleType

from descant.core.errors import UserError, nearest

KINDS = ("domains", "algorithms")


def names(kind: str) -> list[str]:
    """Names of all members of a folder, in kebab case, sorted; nothing is imported."""
    package = importlib.import_module(f"descant.{kind}")
    found = (m.name for m in pkgutil.iter_modules(package.__path__))
    return sorted(name.replace("_", "-") for name in found if not name.startswith("_"))


def load(kind: str, name: str) -> ModuleType:
    """The module called `name` in a folder, or the user's own file when `name` ends in `.py`.

    Raises:
        UserError: there is no such member (the nearest name is suggested), or a file lacks
            `Config` or `make`.
    """
    if name.endswith(".py"):
        return _load_file(kind, Path(name))
    if name not in names(kind):
        known = names(kind)
        raise UserError(
            f"There is no {kind[:-1]} called {name!r}.{nearest(name, known)} "
            f"Known: {', '.join(known)}; or the path of your own .py file."
        )
    return importlib.import_module(f"descant.{kind}.{name.replace('-', '_')}")


def summary(module: ModuleType) -> str:
    """First line of a member's docstring."""
    return (module.__doc__ or "").strip().split("\n", 1)[0].rstrip(".")


def _load_file(kind: str, path: Path) -> ModuleType:
    if not path.is_file():
        raise UserError(f"{path}: there is no such file (a {kind[:-1]} of your own was expected).")
    name = f"descant_user_{kind}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UserError(f"{path}: cannot be read as a Python module.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    missing = [part for part in ("Config", "make") if not hasattr(module, part)]
    if missing:
        raise UserError(f"{path}: a {kind[:-1]} needs {' and '.join(missing)} at module level.")
    return module
