import re

import numpy as np
import pytest

from descant.report import figures, records
from descant.report.drawing import NAMES


@pytest.fixture
def record(fabricate):
    return records.read(fabricate(iterations=20))


def test_drawings_are_the_same_every_time(record):
    first = figures.differences(record.evaluation, "a")
    assert first == figures.differences(record.evaluation, "a")


def test_colours_come_from_the_page(record):
    drawn = figures.differences(record.evaluation, "a")
    assert "var(--accent)" in drawn and "var(--ink)" in drawn
    assert not any(colour in drawn for colour in NAMES)
    assert not re.search(r"#[0-9a-f]{6}", drawn)


def test_drawings_bring_no_style_namespace_or_comment_of_their_own(record):
    drawn = figures.gradient(record.metrics, "g") + figures.alignment(record.evaluation, "a")
    for foreign in ("<style", "xmlns", "<!--", "<metadata", "http", "font-family", "<?xml"):
        assert foreign not in drawn


def test_ids_are_kept_apart_by_key(record):
    one, two = (figures.alignment(record.evaluation, key) for key in ("r1", "r2"))
    ids = re.findall(r' id="([^"]+)"', one + two)
    assert ids and len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', one + two)) <= set(ids)


def test_text_is_escaped_and_not_mathematics():
    drawn = figures.learning(
        [figures.Curve("<b>$x_1$</b>&", np.arange(2.0), np.ones((2, 1)))], [], "return", "l"
    )
    assert "&lt;b&gt;$x_1$&lt;/b&gt;&amp;" in drawn and "<b>" not in drawn
