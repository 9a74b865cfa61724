"""The papers' settings as values, by name: `descant train --preset NAME`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from descant.train.settings import Settings


@dataclass(frozen=True)
class Preset:
    """Values that belong together, such as the ones behind a published table."""

    summary: str
    """One line for `descant list`."""
    domain: str
    """The domain that the values are for."""
    values: Mapping[str, Any] | Callable[[Settings], Mapping[str, Any]]
    """Values by dotted name. A function is handed the settings as the user asked for them (file and
    flags included, which still win), so that values may depend on the size."""


PRESETS: dict[str, Preset] = {}
