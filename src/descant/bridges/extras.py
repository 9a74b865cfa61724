"""Packages that only bridges need."""

import contextlib
import importlib
import io
from types import ModuleType

from descant.core.errors import UserError


def missing(extra: str) -> UserError:
    """What to tell somebody who has not installed what a bridge needs."""
    return UserError(
        f"This needs the package {extra}, which is not installed: pip install 'descant[{extra}]'."
    )


def library(name: str) -> ModuleType:
    """A module of a package that an extra brings; what it prints as it is imported is left out.

    Raises:
        UserError: the package is not installed.
    """
    package = name.split(".")[0]
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise missing(package) from error
