"""What can go wrong, said so that a person can act on it; each kind has its exit code."""

import difflib
from collections.abc import Iterable


class DescantError(Exception):
    """An error with a sentence for the user and an exit code for the shell."""

    code = 5


class CheckFailed(DescantError):
    """Everything ran, and a check that was asked for did not hold."""

    code = 1


class UserError(DescantError):
    """Something the user wrote (a flag, a file, a row) cannot be taken as it is."""

    code = 2

    problems: list[str]
    """One sentence for each thing that is wrong."""

    def __init__(self, *problems: str):
        super().__init__(*problems)
        self.problems = list(problems)

    def __str__(self) -> str:
        return "\n".join(self.problems)


class PlaceError(DescantError):
    """The place we run in does not allow it: disk, permission, lock, memory."""

    code = 3


class Diverged(DescantError):
    """Training produced values that are not finite, again and again."""

    code = 4


def nearest(name: str, known: Iterable[str]) -> str:
    """` Did you mean 'x'?` for the known name closest to `name`, or an empty string."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else ""
