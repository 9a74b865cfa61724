"""Print a script that lets the shell complete commands, options and settings.

Bash and zsh read it alike. Settings are those of the usual domain and algorithm; words that are no
option complete to names of domains, algorithms and files.
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass

from descant.cli import config
from descant.cli.arguments import Arguments, Common
from descant.cli.output import Output
from descant.core import discovery
from descant.core.schema import settings_of
from descant.train.settings import schema

USAGE = "descant completion [OPTIONS]"
EXAMPLES = ('eval "$(descant completion)"', "descant completion >> ~/.bashrc")
WORDS = 0
ROOTS = ()

SCRIPT = """\
# Completion of descant for bash and zsh; written by `descant completion`.
if [ -n "$ZSH_VERSION" ]; then
    autoload -Uz compinit bashcompinit && compinit && bashcompinit
fi
_descant() {{
    local word words
    word="${{COMP_WORDS[COMP_CWORD]}}"
    words="{commands}"
    if [ "$COMP_CWORD" -gt 1 ]; then
        case "${{COMP_WORDS[1]}}" in
{cases}
        esac
    fi
    COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -o default -F _descant descant
"""


@dataclass(frozen=True)
class Options(Common):
    """Options of `descant completion`."""


OPTIONS = Options()


def main(arguments: Arguments, output: Output) -> int:
    """Print the script."""
    arguments.check()
    words = _words()
    script = SCRIPT.format(
        commands=" ".join([*words, "--help", "--version"]),
        cases="\n".join(f'        {name}) words="{" ".join(w)}" ;;' for name, w in words.items()),
    )
    output.result({"kind": "completion", "words": words, "script": script}, script)
    output.say(f"Next: {EXAMPLES[0]}")
    return 0


def _words() -> Mapping[str, list[str]]:
    """What may follow each command."""
    from descant.cli.main import COMMANDS

    known = schema(config.resolve())
    words = {}
    for name, file in COMMANDS.items():
        command = importlib.import_module(f"descant.cli.{file}")
        own = settings_of(command.OPTIONS)
        own |= {n: s for n, s in known.items() if n.partition(".")[0] in command.ROOTS}
        flags = [_flag(n, s.kind is bool and s.default is True) for n, s in own.items()]
        names = discovery.names("domains") if "domain" in command.ROOTS else []
        names += discovery.names("algorithms") if "algorithm" in command.ROOTS else []
        words[name] = [*names, *flags]
    return words


def _flag(name: str, on: bool) -> str:
    """As it is typed; a switch that is on is there to be turned off."""
    table, _, leaf = name.replace("_", "-").rpartition(".")
    leaf = f"no-{leaf}" if on else leaf
    return f"--{table}.{leaf}" if table else f"--{leaf}"
