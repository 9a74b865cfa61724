import pytest

from descant.core.errors import UserError
from descant.ops import graphs
from descant.ops.graph_settings import GraphSettings, graph_of


@pytest.mark.parametrize(
    ("settings", "graph"),
    [
        ({}, graphs.ring(100)),
        ({"agents": 9, "graph": "torus"}, graphs.torus(3, 3)),
        ({"agents": 12, "graph": "grid"}, graphs.grid(3, 4)),
        ({"agents": 12, "graph": "king"}, graphs.king(3, 4)),
        ({"agents": 5, "graph": "line"}, graphs.line(5)),
        ({"agents": 13, "graph": "tree", "degree": 3}, graphs.tree(13, 3)),
        (
            {"agents": 20, "graph": "small-world", "rewire": 0.3, "graph_seed": 5},
            graphs.small_world(20, 4, 0.3, 5),
        ),
        ({"agents": 20, "graph": "geometric", "degree": 6}, graphs.geometric(20, 6)),
    ],
)
def test_graphs_by_name(settings, graph):
    assert graph_of(GraphSettings(**settings)) == graph


def test_graphs_from_files_bring_their_number_of_agents(tmp_path, monkeypatch):
    (tmp_path / "net.txt").write_text("a b\nb c\n")
    monkeypatch.chdir(tmp_path)
    settings = GraphSettings(edges="net.txt")
    monkeypatch.chdir("/")
    assert graph_of(settings) == graphs.line(3)
    with pytest.raises(UserError, match="has 3 agents, got 5; leave the number out"):
        graph_of(GraphSettings(agents=5, edges=str(tmp_path / "net.txt")))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"agents": -1}, "domain.agents: expected at least 0"),
        ({"degree": 0}, "domain.degree: expected at least 1"),
        ({"rewire": 2.0}, "domain.rewire: expected 0 to 1"),
        ({"graph_seed": -1}, "domain.graph_seed: expected at least 0"),
    ],
)
def test_values_out_of_range_are_named(settings, sentence):
    with pytest.raises(UserError, match=sentence):
        GraphSettings(**settings).check_graph()


def test_a_graph_that_cannot_be_made_is_blamed_on_the_setting():
    with pytest.raises(UserError, match=r"domain.graph: 97 agents make no rectangle"):
        graph_of(GraphSettings(agents=97, graph="grid"))
