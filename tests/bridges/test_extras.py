import sys
from importlib import import_module

import pytest

from descant.bridges.extras import library, missing
from descant.core.errors import UserError
from descant.domains import jaxmarl


@pytest.mark.parametrize("name", ["pettingzoo", "gymnasium"])
def test_bridges_say_what_is_missing(monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, f"descant.bridges.{name}", raising=False)
    monkeypatch.delitem(sys.modules, "descant.bridges.host", raising=False)
    with pytest.raises(UserError, match=rf"pip install 'descant\[{name}\]'"):
        import_module(f"descant.bridges.{name}")


def test_the_domain_says_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "jaxmarl", None)
    with pytest.raises(UserError, match=r"pip install 'descant\[jaxmarl\]'"):
        jaxmarl.make(jaxmarl.Config())


def test_what_no_extra_brings_has_a_recipe():
    assert "docs/domains/football.md" in str(missing("gfootball"))


def test_what_a_package_prints_as_it_is_imported_is_left_out(monkeypatch, tmp_path, capsys):
    """Even if it insists."""
    streams = sys.stdout, sys.stderr
    lines = ("print('hello')", "import sys", "sys.stdout = sys.__stdout__", "print('you')")
    lines += ("print('old', file=sys.stderr)",)
    (tmp_path / "talkative.py").write_text("\n".join([*lines, "WORD = 1"]), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    assert library("talkative").WORD == 1
    assert capsys.readouterr() == ("", "")
    assert (sys.stdout, sys.stderr) == streams


def test_a_package_that_lacks_another_one_says_so_itself(monkeypatch, tmp_path):
    (tmp_path / "incomplete.py").write_text("import no_such_package\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        library("incomplete")
