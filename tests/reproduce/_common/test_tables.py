import csv
import io

from descant.reproduce._common.tables import Measured, Table

TABLE = Table(
    "table",
    "Rewards",
    ("policy", "servers", "published", "ours"),
    (
        ("a|b", 1500, -44.9, Measured(-37.25, -38.0, -36.5)),
        ("best", 5, None, Measured(-1e-9)),
    ),
    "Higher is better.",
)


def test_markdown():
    assert TABLE.markdown() == (
        "**Rewards**\n\n"
        "| policy | servers | published | ours |\n"
        "| --- | --: | --: | --: |\n"
        "| a\\|b | 1\u202f500 | −44.9 | −37.2 [−38.0, −36.5] |\n"
        "| best | 5 | – | 0.0 |\n\n"
        "Higher is better."
    )


def test_csv_has_full_precision_and_both_ends():
    rows = list(csv.DictReader(io.StringIO(TABLE.csv())))
    assert rows[0] == {
        "policy": "a|b",
        "servers": "1500",
        "published": "-44.9",
        "ours": "-37.25",
        "ours low": "-38.0",
        "ours high": "-36.5",
    }
    assert (rows[1]["published"], rows[1]["ours"], rows[1]["ours low"]) == ("", "-1e-09", "")


def test_html_escapes_and_json_keeps():
    shown = Table("t", "<T>", ("x",), (("<b>",),)).html()
    assert "&lt;b&gt;" in shown
    assert "<b>" not in shown
    plain = TABLE.plain()
    assert plain["rows"][0][3] == {"mean": -37.25, "low": -38.0, "high": -36.5}


def test_ends_without_an_interval_are_the_number():
    assert Measured(3.0).ends == (3.0, 3.0)
    assert Measured(3.0, 2.0, 4.0).ends == (2.0, 4.0)
