"""Packages that only bridges need."""

import contextlib
import importlib
import io
import sys
from collections.abc import Iterator
from types import ModuleType

from descant.core.errors import UserError

STREAMS = ("stdout", "__stdout__", "stderr")
"""What JaxMARL and gym write to as they are imported; JaxMARL also puts something in its place."""

RECIPES = {"gfootball": "docs/domains/football.md says how to build it"}
"""How to come by packages that no extra brings."""


def missing(extra: str) -> UserError:
    """What to tell somebody who has not installed what a bridge needs."""
    recipe = RECIPES.get(extra, f"pip install 'descant[{extra}]'")
    return UserError(f"This needs the package {extra}, which is not installed: {recipe}.")


def library(name: str) -> ModuleType:
    """A module of a package that an extra brings; what it prints as it is imported is left out.

    Raises:
        UserError: the package is not installed.
    """
    package = name.split(".")[0]
    try:
        with _quiet():
            importlib.import_module(package)
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise missing(package) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    kept = {stream: getattr(sys, stream) for stream in STREAMS}
    for stream in STREAMS:
        setattr(sys, stream, io.StringIO())
    try:
        yield
    finally:
        for stream, was in kept.items():
            setattr(sys, stream, was)
