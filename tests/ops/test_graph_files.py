import pytest

from descant.core.errors import UserError
from descant.ops.graph_files import read

GML = """# made by hand
graph [
  comment "of [brackets] and # signs"
  directed 0
  node [ id 7 label "seven" graphics [ x 1.5 y -2e3 ] ]
  node [
    id 3
  ]
  node [ id 12 ]
  edge [ source 3 target 7 value 2 ]
  edge [ source 7 target 3 ]
]
"""


def test_gml(tmp_path):
    path = tmp_path / "net.gml"
    path.write_text(GML)
    graph, names = read(path)
    assert names == ("3", "7", "12")
    assert graph.edges.tolist() == [[0, 1]]
    assert graph.degree.tolist() == [1, 1, 0]


def test_edge_list_of_numbers(tmp_path):
    path = tmp_path / "edges.txt"
    path.write_text("# comment\n10 2 0.5\n2,30\n\n5\n30 2 % again\n")
    graph, names = read(path)
    assert names == ("2", "5", "10", "30")
    assert graph.edges.tolist() == [[0, 2], [0, 3]]


def test_edge_list_of_names(tmp_path):
    path = tmp_path / "edges.csv"
    path.write_text("north,south\nsouth,east\n")
    graph, names = read(path)
    assert names == ("north", "south", "east")
    assert graph.edges.tolist() == [[0, 1], [1, 2]]


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("e.txt", "1 2\n\n3 3\n", r"e.txt:3: expected two different agents, got '3' twice"),
        ("e.txt", "# nothing\n", "e.txt: expected at least one agent, found none"),
        ("g.gml", "node [ id 1 ]", r"expected one `graph \[ ... \]`, found 0"),
        ("g.gml", "graph [\nnode [ label 1 ] ]", r"g.gml:2: expected `node \[ ... id NUMBER"),
        ("g.gml", "graph [\nnode [ id x ] ]", r"g.gml:2: expected `node \[ ... id NUMBER"),
        ("g.gml", "graph [ node [ id 1 ]\nnode [ id 1 ] ]", "g.gml:2: node 1 is there for the sec"),
        ("g.gml", "graph [ node [ id 1 ]\nedge [ source 1 target 2 ] ]", "2: .* no node with id 2"),
        ("g.gml", "graph [ node [ id 1 ]\nedge [ source 1 target 1 ] ]", "2: .* got 1 twice"),
        ("g.gml", "graph [ node [ id 1 ]\nedge [ source 1 ] ]", "2: expected `edge .* target NUM"),
        ("g.gml", "graph [\n 5 6 ]", "g.gml:2: expected a key, found '5'"),
        ("g.gml", "graph [\n node ]", "g.gml:2: expected a value after 'node'"),
        ("g.gml", "graph [ node [ id 1 ]", "expected a closing bracket"),
        ("g.gml", 'graph [\n label "open', "g.gml:2: expected a closing quotation mark"),
    ],
)
def test_errors_name_the_line_and_what_was_expected(tmp_path, name, text, sentence):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(UserError, match=sentence):
        read(path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match=r"nowhere.txt: cannot be read as text"):
        read(tmp_path / "nowhere.txt")
    (tmp_path / "bytes.gml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"bytes.gml: cannot be read as text"):
        read(tmp_path / "bytes.gml")
