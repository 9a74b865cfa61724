from hypothesis import given
from hypothesis import strategies as st

from descant.report.markup import Html, clean, escape, join, short, tag


def test_text_is_escaped_and_markup_passes():
    assert tag("p", "<b>", Html("<i>x</i>"), title='"&') == (
        '<p title="&quot;&amp;">&lt;b&gt;<i>x</i></p>'
    )


def test_attribute_names_and_absent_parts():
    assert tag("a", None, class_="x", aria_label="y", id=None) == '<a class="x" aria-label="y"></a>'
    assert join("a", None, 1) == "a1"


@given(st.text(st.characters(codec=None)))
def test_any_text_becomes_harmless_and_can_be_written(text):
    written = escape(text)
    assert not set(written) & set("<>\"'\x00\u202e\ud800")
    written.encode("utf-8")
    assert clean(clean(text)) == clean(text)


def test_cut_text_says_so():
    assert short("most-efficient-first", 12) == "most-effici…"
    assert short("random", 12) == "random"
