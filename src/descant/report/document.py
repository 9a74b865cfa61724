"""The frame of a static page: opens offline, asks the network for nothing."""

import os
from contextlib import suppress
from pathlib import Path

from descant.core.errors import PlaceError
from descant.report.markup import Html, join, short, tag

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def document(name: str, content: Html, footer: object) -> Html:
    """A whole page with its style inside."""
    style = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    head = join(
        Html('<meta charset="utf-8">'),
        Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'),
        Html('<meta name="color-scheme" content="light dark">'),
        Html('<link rel="icon" href="data:,">'),
        tag("title", f"{short(name, 80)} – descant report"),
        tag("style", Html(style)),
    )
    body = join(tag("main", content), tag("footer", footer))
    return join(
        Html("<!doctype html>\n"), tag("html", tag("head", head), tag("body", body), lang="en")
    )


def section(name: str, content: Html, level: int = 2) -> Html:
    """Content under a heading."""
    return tag("section", tag(f"h{level}", name), content)


def figure(drawing: Html, caption: object) -> Html:
    """A drawing and what it shows."""
    return tag("figure", drawing, tag("figcaption", caption))


def missing(sentence: str) -> Html:
    """What stands where something could not be shown."""
    return tag("p", sentence, class_="missing")


def write(out: Path, text: str) -> None:
    """Write a page, whole or not at all.

    Raises:
        PlaceError: the file cannot be written.
    """
    partial = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, encoding="utf-8")
        partial.replace(out)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise PlaceError(f"{out}: the report cannot be written ({error.strerror}).") from error
