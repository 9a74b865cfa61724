import hashlib

import pytest

from descant.core.errors import UserError
from descant.domains.cloud import rows
from descant.domains.cloud.rows import Fault, Node, Reject

PARSERS = {"name": rows.name, "size": rows.number(0, 100, whole=True)}
GOOD = b"name,size\na,1\nb,2\n"


def node(row):
    if row["size"] == 13:
        raise Fault("size", "expected luck")
    return Node(row["name"], (row["size"],))


def table(tmp_path, data):
    path = tmp_path / "x.csv"
    path.write_bytes(data)
    (sheet,) = rows.open_sheets(path)
    rows.refuse(rows.header_problems(sheet, PARSERS))
    return rows.read(sheet, PARSERS, node)


def test_rows_become_records(tmp_path):
    read = table(tmp_path, GOOD)
    assert read.records == [Node("a", (1,)), Node("b", (2,))]
    assert (read.count.rows_in, read.count.accepted, read.count.rejected) == (2, 2, 0)
    assert read.sha256 == hashlib.sha256(GOOD).hexdigest()


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf" + GOOD,
        GOOD.replace(b"\n", b"\r\n"),
        GOOD.rstrip(),
        GOOD.replace(b"\n", b"\n\n  \n"),
        b'"name", size \n"a",1\nb,"2"\n',
        b"name,size\n a , 1.0 \nb,+2e0\n",
        b"size,name\n1,a\n2,b\n",
    ],
)
def test_harmless_spellings_mean_the_same(tmp_path, data):
    read = table(tmp_path, data)
    assert read.records == [Node("a", (1,)), Node("b", (2,))]
    assert read.count.rows_in == 2


@pytest.mark.parametrize(
    ("row", "column", "value", "reason"),
    [
        (b"c", "", "c", "expected 2 cells, got 1"),
        (b"c,1,2", "", "c,1,2", "expected 2 cells, got 3"),
        (b",1", "name", "", "expected a name"),
        (b"c,", "size", "", "expected a whole number"),
        (b"c,one", "size", "one", "expected a whole number"),
        (b"c,1.5", "size", "1.5", "expected a whole number"),
        (b"c,nan", "size", "nan", "expected a whole number"),
        (b"c,inf", "size", "inf", "expected a whole number"),
        (b"c,1e999", "size", "1e999", "expected a whole number"),
        (b"c,1_0", "size", "1_0", "expected a whole number"),
        (b"c,0x1", "size", "0x1", "expected a whole number"),
        ("c,١".encode(), "size", "١", "expected a whole number"),
        (b"c,-1", "size", "-1", "expected 0 to 100"),
        (b"c,101", "size", "101", "expected 0 to 100"),
        (b"c,13", "size", "13", "expected luck"),
        (b"a,5", "name", "a", "expected a name of its own; line 2 has it"),
        (b"c\x1b[2J,1", "name", "c\\x1b[2J", "expected printable text"),
        (b"c\0,1", "", "c\\x00,1", "expected text without NUL bytes"),
        (b"c\xff,1", "", "c�,1", "expected text in UTF-8"),
        (b'"c,1', "", '"c,1', "expected comma-separated cells (unexpected end of data)"),
        (b"c" * 1001 + b",1", "name", "c" * 80 + "…", "expected at most 1,000 characters"),
        (b"c" * 70_000 + b",1", "", "c" * 80 + "…", "expected a line of at most 65,536 bytes"),
    ],
)
def test_each_fault_is_named_and_costs_one_row(tmp_path, row, column, value, reason):
    read = table(tmp_path, b"name,size\na,1\n" + row + b"\nb,2\n")
    assert read.rejects == [Reject(str(tmp_path / "x.csv"), 3, column, value, reason)]
    assert read.records == [Node("a", (1,)), Node("b", (2,))]
    assert (read.count.rows_in, read.count.accepted, read.count.rejected) == (3, 2, 1)
    place = f"{tmp_path}/x.csv:3: {column}: " if column else f"{tmp_path}/x.csv:3: "
    assert str(read.rejects[0]) == f"{place}{reason}, got '{value}'"


def test_a_rejected_row_does_not_take_its_name(tmp_path):
    read = table(tmp_path, b"name,size\na,13\na,2\n")
    assert read.records == [Node("a", (2,))]
    assert [reject.line for reject in read.rejects] == [2]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"\x1f\x8b\x08\x00 packed", "gzip-compressed"),
        (b"PK\x03\x04", "zip-compressed"),
        (b"PAR1 columns", "Parquet"),
        ("name,size\n".encode("utf-16"), "UTF-16"),
        (b"\x7fELF\0\0\0\0", "NUL bytes"),
        (b"name,s\xffze\n", "UTF-8"),
        (b"name,size" * 10_000, "65,536 bytes"),
        (b"name,size" + b",x" * 300, "200 columns"),
        (b"name,name,size\n", "column 'name' stands 2 times"),
        (b"name,sise\n", "column 'sise' is not known. Did you mean 'size'?"),
        (b"name,sise\n", "column 'size' is missing"),
        (b"name,size,\n", "column '' is not known"),
        (b"name,size," + b",".join(b"c%d" % i for i in range(50)), "more; expected the columns"),
    ],
)
def test_files_that_are_no_table_are_refused(tmp_path, data, words):
    with pytest.raises(UserError) as caught:
        table(tmp_path, data)
    assert words in str(caught.value)
    assert str(tmp_path / "x.csv") in str(caught.value)
    assert len(str(caught.value)) < 2000


def test_all_files_that_cannot_be_opened_are_named_at_once(tmp_path):
    (tmp_path / "nodes.csv").write_text("name\n")
    with pytest.raises(UserError) as caught:
        rows.open_sheets(tmp_path / "node.csv", tmp_path, tmp_path / ("x" * 300))
    first, second, third = str(caught.value).splitlines()
    assert first == f"{tmp_path}/node.csv: there is no such file. Did you mean 'nodes.csv'?"
    assert second == f"{tmp_path}: is a folder; a CSV file was expected."
    assert "cannot be read" in third


def test_an_unreadable_file_is_refused(tmp_path, monkeypatch):
    def deny(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "x.csv").write_bytes(GOOD)
    monkeypatch.setattr("pathlib.Path.open", deny)
    with pytest.raises(UserError, match=r"x\.csv: cannot be read: Permission denied"):
        rows.open_sheets(tmp_path / "x.csv")


def test_enough_shows_the_first_five(tmp_path):
    read = table(tmp_path, GOOD + b"c,-1\n" * 7)
    assert rows.enough(read, 7 / 9) is read
    with pytest.raises(UserError) as caught:
        rows.enough(read, 0.5)
    lines = str(caught.value).splitlines()
    assert "7 of 9 rows cannot be used; 50% may be left out" in lines[0]
    assert len(lines) == 6
    assert lines[1].endswith("x.csv:4: size: expected 0 to 100, got '-1'")
    with pytest.raises(UserError, match="no rows"):
        rows.enough(table(tmp_path, b"name,size\n"), 1.0)
    with pytest.raises(UserError, match="1 of 1 rows"):
        rows.enough(table(tmp_path, b"name,size\nc,-1\n"), 1.0)


def test_fitting_wants_one_node_with_room_for_all(tmp_path):
    nodes = table(tmp_path, GOOD)
    nodes = rows.Table(nodes.path, "", nodes.count, [Node("a", (4, 0)), Node("b", (2, 8))], [])
    check = rows.fitting(nodes, ("cpu_milli", "num_gpu"), ("millicore", "milli-GPU"))
    for demand in ((4, 0), (2, 8), (0, 1)):
        check(demand)
    for demand, column, reason in (
        ((5, 0), "cpu_milli", "5 millicore fit on no node; the largest has 4"),
        ((0, 9), "num_gpu", "9 milli-GPU fit on no node; the largest has 8"),
        ((4, 8), "", "no single node has room for all of these resources at once"),
        ((0, 0), "", "expected a demand above zero for some resource"),
    ):
        with pytest.raises(Fault) as caught:
            check(demand)
        assert (caught.value.column, caught.value.reason) == (column, reason)
