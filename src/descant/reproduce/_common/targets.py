"""The registry: every module in a family's folder is a target, `dgpg.fig3`, and every module beside
the families, `compare`."""

import importlib.util
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING

from descant.bridges.extras import missing
from descant.core import discovery
from descant.core.errors import UserError, nearest
from descant.reproduce._common.jobs import Job
from descant.reproduce._common.plan import Scale

if TYPE_CHECKING:
    from descant.reproduce._common.found import Found
    from descant.reproduce._common.shown import Shown


@dataclass(frozen=True)
class Target:
    """One published experiment."""

    name: str
    module: ModuleType

    @property
    def summary(self) -> str:
        """What it is, in a line."""
        return discovery.summary(self.module)

    @property
    def scales(self) -> Mapping[str, Scale]:
        """`quick` and `full`."""
        return self.module.SCALES

    def check(self) -> None:
        """See whether it can be run here.

        Raises:
            UserError: a package that it needs is not installed.
        """
        extra = getattr(self.module, "EXTRA", None)
        if extra is not None and importlib.util.find_spec(extra) is None:
            raise UserError(f"{self.name}: {missing(extra)}")

    def jobs(self, scale: Scale) -> list[Job]:
        """Everything that is to be trained and measured, in order, each once."""
        found: Sequence[Job] = self.module.jobs(scale)
        return list({job.name: job for job in found}.values())

    def show(self, scale: Scale, found: "Found") -> "Shown":
        """Tables, figures and sentences from the results of all jobs."""
        return self.module.show(scale, found)


def names() -> list[str]:
    """All targets by name; none is imported."""
    package = importlib.import_module("descant.reproduce")
    families = {m.name for m in pkgutil.iter_modules(package.__path__) if m.ispkg}
    found: list[str] = []
    for member in discovery.names("reproduce"):
        inside = discovery.names(f"reproduce.{member}") if member in families else None
        found += [member] if inside is None else [f"{member}.{name}" for name in inside]
    return found


def load(name: str) -> Target:
    """The target of a name.

    Raises:
        UserError: there is none; the nearest name is suggested.
    """
    known = names()
    if name not in known:
        raise UserError(
            f"There is no target {name!r}.{nearest(name, known)} Known: {', '.join(known)}."
        )
    return Target(name, importlib.import_module(f"descant.reproduce.{name.replace('-', '_')}"))
