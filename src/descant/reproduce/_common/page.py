"""The page of one target, and its figures as files of their own."""

import re
from functools import cache
from pathlib import Path

from descant.report import document as frame
from descant.report.document import document, section
from descant.report.markup import Html, join, tag
from descant.report.numbers import duration, plural
from descant.reproduce._common.figures import Figure
from descant.reproduce._common.plan import Scale
from descant.reproduce._common.shown import Shown


def page(name: str, scale: Scale, shown: Shown, version: str, seconds: float) -> Html:
    """The whole page; opens without a network."""
    first, *others = shown.findings
    facts = (
        f"descant reproduce {name} --{scale.name}: {plural(scale.seeds, 'seed')}; "
        f"{duration(seconds)} of work"
    )
    content = join(
        tag("header", tag("h1", shown.title), tag("p", facts, class_="facts")),
        tag("p", "Published: ", *coded(shown.claim), class_="missing"),
        tag("p", *coded(first), class_="lead"),
        tag("ul", *(tag("li", *coded(finding)) for finding in others)) if others else None,
        *(tag("figure", f.html(), tag("figcaption", f.caption)) for f in shown.figures),
        section("Numbers", join(*(join(tag("h3", t.title), t.html()) for t in shown.tables))),
        section("What was chosen", tag("ul", *(tag("li", *coded(note)) for note in shown.notes)))
        if shown.notes
        else None,
    )
    return document(
        shown.title, content, f"Written by descant {version} from the records beside this page."
    )


def coded(text: str) -> list[str | Html]:
    """Text in which what stands between backticks is code."""
    parts = text.split("`")
    return [tag("code", part) if i % 2 else part for i, part in enumerate(parts)]


def standalone(figure: Figure) -> str:
    """An SVG file in the page's light colours."""
    drawn = str(figure.alone())
    drawn = re.sub(r"var\(--([\w-]+)\)", lambda name: _colours()[name[1]], drawn)
    head, rest = drawn.split(">", 1)
    style = (
        "<style>text{font-family:system-ui,'Segoe UI',Roboto,Helvetica,Arial,sans-serif}</style>"
    )
    ground = f'<rect width="100%" height="100%" fill="{_colours()["paper"]}"/>'
    space = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return f"{head} {space}>{style}{ground}{rest}\n"


@cache
def _colours() -> dict[str, str]:
    style = Path(frame.__file__).with_name("page.css").read_text(encoding="utf-8")
    light = style[: style.index("@media")]
    return dict(re.findall(r"--([\w-]+): (#\w+);", light))
