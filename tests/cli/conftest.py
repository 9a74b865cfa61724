"""A command line on toys, with stand-ins for what trains and evaluates."""

import os
import shutil
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from descant.cli.main import run

TOYS = Path(__file__).parents[1] / "toys"
SNAPSHOTS = Path(__file__).parent / "snapshots"


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """A folder with the toys, a plain terminal, nothing of the user's environment."""
    for toy in TOYS.glob("*.py"):
        shutil.copy(toy, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("DESCANT_CACHE", "off")
    return tmp_path


@pytest.fixture
def descant(capsys):
    """Run one command in this process: `descant("train --seed 1")` gives code, out and err."""

    def call(line):
        code = run(line.split())
        captured = capsys.readouterr()
        assert "Traceback" not in captured.out + captured.err
        return SimpleNamespace(code=code, out=captured.out, err=captured.err)

    return call


@pytest.fixture
def stand_in(monkeypatch):
    """Functions in the place of a heavy module: `stand_in("descant.session", train=f)`."""

    def put(name, **functions):
        module = ModuleType(name)
        vars(module).update(functions)
        monkeypatch.setitem(sys.modules, name, module)

    return put


@pytest.fixture
def snapshot(place):
    """Compare with a stored text; `UPDATE_SNAPSHOTS=1 pytest tests/cli` stores it anew."""

    def check(name, text):
        path = SNAPSHOTS / f"{name}.txt"
        text = text.replace(str(place.resolve()), "HERE")
        if os.environ.get("UPDATE_SNAPSHOTS"):
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8"), f"{path} differs"

    return check
