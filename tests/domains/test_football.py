import sys
from typing import get_args, get_type_hints

import pytest

from descant.cli import main as cli
from descant.core.errors import UserError
from descant.domains.football import PLAYERS, Config, make


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"agents": 12}, r"domain\.agents: expected 0 to 11, got 12"),
        ({"horizon": 0}, r"domain\.horizon: expected 1 to 400, got 0"),
        ({"horizon": 401}, r"domain\.horizon: expected 1 to 400, got 401"),
    ],
)
def test_what_cannot_be_is_refused(given, sentence):
    with pytest.raises(UserError, match=sentence):
        make(Config(**given))


def test_every_scenario_has_players():
    assert set(get_args(get_type_hints(Config)["scenario"])) == set(PLAYERS)


def test_without_gfootball_a_sentence_names_the_recipe(monkeypatch, tmp_path, capsys):
    pytest.importorskip("pettingzoo", reason="needs the extra pettingzoo")
    monkeypatch.setitem(sys.modules, "gfootball", None)
    run = ["train", "football", "mappo", "--algorithm.net", "mlp", "--run", str(tmp_path / "run")]
    assert cli.run(run) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "This needs the package gfootball, which is not installed" in said
    assert "docs/domains/football.md" in said
