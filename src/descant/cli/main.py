"""The command `descant`: find the command, run it, turn errors into sentences and exit codes."""

import importlib
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from types import ModuleType
from typing import Any

from descant import __version__
from descant.cli.arguments import help_text, read
from descant.cli.crash import crash_file
from descant.cli.output import Output
from descant.core.errors import DescantError, PlaceError, UserError, nearest

COMMANDS = {
    "train": "train",
    "sweep": "sweep",
    "evaluate": "evaluate",
    "compare": "compare",
    "report": "report",
    "reproduce": "reproduce",
    "import": "imports",
    "list": "list",
    "doctor": "doctor",
    "completion": "completion",
}
SHORT = """\
descant trains cooperative policies that are guided by the analytic model a field already has.

Examples:
  descant train                              20 servers, a good policy in about a minute
  descant evaluate runs/cloud-dgpg-20-s0     the policy beside every rule, with intervals

All commands: descant --help
"""
CODES = """\
Exit codes:
  0    everything went well
  1    everything ran, and a check that was asked for did not hold
  2    a flag, a file or a row cannot be taken as it is
  3    the place does not allow it: disk, permission, lock, memory
  4    training diverged
  5    an error inside descant, or a worker lost
  130  interrupted (Ctrl-C)
  143  terminated
"""

KNOWN = {
    "Error reading persistent compilation cache entry": "A compiled program in the cache is "
    "damaged, so it is compiled anew; `descant doctor` removes it.",
    "Error writing persistent compilation cache entry": "A compiled program could not be kept in "
    "the cache, so the next start compiles it anew.",
}
"""Warnings of JAX, by how they begin, in our words."""


def run(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    argv = list(sys.argv[1:] if argv is None else argv)
    output = Output(
        json="--json" in argv,
        quiet="--quiet" in argv,
        color="--no-color" not in argv,
        argv=argv,
    )
    with warnings.catch_warnings():
        warnings.showwarning = partial(_warn, output)
        return guarded(output, lambda: _dispatch(argv, output))


def guarded(output: Output, call: Callable[[], int]) -> int:
    """The exit code of a call; its errors become sentences."""
    try:
        code = call()
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # Whoever read our output has seen enough; keep Python from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return _refuse(DescantError("Interrupted."), 130, output)
    except Exception as error:
        if "--debug" in output.argv:
            traceback.print_exc()
        known = error if isinstance(error, DescantError) else _known(error)
        if known is None:
            said = f"{type(error).__name__}: {error}".strip(": ")
            details = crash_file(error, output.argv, output.folder)
            known = DescantError(f"descant met an error of its own ({said}); details: {details}")
        return _refuse(known, known.code, output)


def _warn(output: Output, message: Warning | str, *_: Any) -> None:
    """A library's warning in one line, once, without the line of code that it comes from."""
    said = " ".join(str(message).split())
    said = next((ours for theirs, ours in KNOWN.items() if said.startswith(theirs)), said)
    if said not in output.warned:
        output.warned.add(said)
        output.say(f"Warning: {said}")


def _dispatch(argv: list[str], output: Output) -> int:
    name = _name(argv)
    if name is None:
        return _without_command(argv, output)
    if name not in COMMANDS:
        raise UserError(
            f"There is no command {name!r}.{nearest(name, COMMANDS)} Known: {', '.join(COMMANDS)}."
        )
    rest = list(argv)
    rest.remove(name)
    command = _command(name)
    arguments = read(rest, command.OPTIONS, command.WORDS, command.ROOTS)
    if arguments.options.help:
        settings = command.explained(arguments) if command.ROOTS else None
        print(help_text(name, command, settings, output.width), end="")
        return 0
    if arguments.options.verbose:
        logging.basicConfig(format="%(name)s: %(message)s")
        logging.getLogger("descant").setLevel(logging.INFO)
    return command.main(arguments, output)


def _name(argv: Sequence[str]) -> str | None:
    """The command: the first word, but for words that an option before it may have taken."""
    words = [i for i, word in enumerate(argv) if not word.startswith("-")]
    for i in words:
        taken = i > 0 and argv[i - 1].startswith("--") and "=" not in argv[i - 1]
        if argv[i] in COMMANDS or not taken:
            return argv[i]
    return argv[words[0]] if words else None


def _without_command(argv: list[str], output: Output) -> int:
    if "--version" in argv:
        output.result({"kind": "version", "version": __version__}, f"descant {__version__}")
        return 0
    known = {"-h", "--help", "--version", "--json", "--quiet", "--verbose", "--debug", "--no-color"}
    unknown = [flag for flag in argv if flag not in known]
    if unknown:
        raise UserError(*(f"{f}: there is no such option.{nearest(f, known)}" for f in unknown))
    print(_long_help() if {"-h", "--help"} & set(argv) else SHORT, end="")
    return 0


def _long_help() -> str:
    width = max(map(len, COMMANDS)) + 2
    commands = [f"  {name:<{width}}{_summary(name)}" for name in COMMANDS]
    usage = "Usage: descant COMMAND [WORDS] [OPTIONS]; each command has its own --help."
    common = """\
Options of every command:
  --json      print one JSON object to standard output, for errors too
  --quiet     print results and errors, nothing else
  --verbose   say more about what is being done
  --debug     show the traceback of an error
  --no-color  no colours; NO_COLOR and TERM=dumb do the same
  --version   the version of descant; without a command"""
    return "\n\n".join(
        [
            SHORT.split("\nAll")[0].rstrip(),
            usage,
            "\n".join(["Commands:", *commands]),
            common,
            CODES,
        ]
    )


def _command(name: str) -> ModuleType:
    return importlib.import_module(f"descant.cli.{COMMANDS[name]}")


def _summary(name: str) -> str:
    return (_command(name).__doc__ or "").partition("\n")[0].rstrip(".")


def _refuse(error: DescantError, code: int, output: Output) -> int:
    problems = error.problems if isinstance(error, UserError) else [str(error)]
    output.refuse(str(error), problems, code)
    return code


def _known(error: Exception) -> DescantError | None:
    """Errors of the place, whoever raised them."""
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error):
        return PlaceError("There is not enough memory; try fewer train.rollouts or seeds.")
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return PlaceError(f"{where}{error.strerror}.")
    return None
