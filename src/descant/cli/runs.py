"""Run folders named on the command line."""

import json
from pathlib import Path
from typing import Any

from descant.core.errors import UserError, nearest


def is_run(word: str) -> bool:
    """Whether a word is the path of a run folder."""
    return (Path(word) / "config.toml").is_file()


def find_run(word: str) -> Path:
    """The run folder that a word names.

    Raises:
        UserError: there is no run folder there; the nearest one beside it is suggested.
    """
    path = Path(word)
    if is_run(word):
        return path
    if path.is_dir():
        raise UserError(f"{word}: is no run folder, for it holds no config.toml.")
    raise UserError(f"{word}: there is no such run folder.{nearest(word, beside(path))}")


def beside(path: Path) -> list[str]:
    """Run folders beside a path, and those in `runs`."""
    around = {path.parent, Path("runs")}
    return sorted(str(found.parent) for place in around for found in place.glob("*/config.toml"))


def read_evaluation(run: Path) -> dict[str, Any]:
    """The evaluation kept in a run folder.

    Raises:
        UserError: the run has not been evaluated, or the file is not an evaluation.
    """
    path = run / "evaluation.json"
    if not path.is_file():
        raise UserError(f"{run}: has not been evaluated; first run `descant evaluate {run}`.")
    try:
        evaluation = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: is not valid JSON: {error}.") from None
    if not isinstance(evaluation, dict) or evaluation.get("kind") != "evaluation":
        raise UserError(f"{path}: expected an evaluation as `descant evaluate {run}` writes it.")
    if evaluation.get("format") != 1:
        raise UserError(f"{path}: expected format 1, got {evaluation.get('format')!r}.")
    return evaluation
