import pytest

from descant.reproduce._common.shown import Shown, against, relative, told, verdict
from descant.reproduce._common.tables import Measured, Table


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [(0.1, 0.3, "better"), (-0.3, -0.1, "worse"), (-0.1, 0.3, "no clear difference")],
)
def test_verdict_is_read_off_the_interval(low, high, word):
    assert verdict(Measured((low + high) / 2, low, high)) == word
    assert verdict(Measured(0.2)) == "no clear difference"


def test_a_published_number_inside_the_interval_is_no_difference():
    ours = Measured(-37.2, -38.0, -36.5)
    assert against(ours, -37.9) == "−37.2 [−38.0, −36.5], no clear difference to published −37.9"
    assert "9.3 % better than published −41.0".replace(" %", "\u00a0%") in against(ours, -41.0)
    assert "worse than published −30.0" in against(ours, -30.0)


def test_told_has_the_digits_that_the_interval_supports():
    assert told(Measured(-37.24, -37.30, -37.18)) == "−37.24 [−37.30, −37.18]"
    assert told(Measured(-1e-17, -0.1, 0.1), 2) == "0.00 [−0.10, 0.10]"
    assert told(Measured(-37.24)) == "−37.2"


def test_a_share_of_a_negative_score():
    assert relative(Measured(-1.0), Measured(-40.0)) == "2.5\u00a0% worse than"
    assert relative(Measured(2.0), Measured(-40.0)) == "5.0\u00a0% better than"
    assert relative(Measured(0.0), Measured(-40.0)) == "level with"
    assert relative(Measured(-1.0, -2.0, 0.1), Measured(-40.0)) == "level with"


def test_markdown_has_everything():
    table = Table("table", "T", ("x",), (("y",),))
    text = Shown("Figure 9", "a claim.", ("first", "second"), (table,), (), ("a note",)).markdown()
    for part in ("# Figure 9", "Published: a claim.", "* first\n* second", "| y |", "* a note"):
        assert part in text
