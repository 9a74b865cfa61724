"""HTML built from values: whatever is not already `Html` is escaped, so no caller can forget to."""

import html
import re
import unicodedata


class Html(str):
    """Markup that may stand in a page as it is; made only here and by `figures`."""

    __slots__ = ()


def clean(value: object) -> str:
    """Text of a value, with characters replaced that no page may hold or that hide what is written.

    Control characters, lone surrogates and direction overrides become U+FFFD; line breaks, spaces.
    """
    text = re.sub(r"[\t\n\r]+", " ", str(value))
    return "".join("\ufffd" if unicodedata.category(c) in UNWELCOME else c for c in text)


def escape(value: object) -> Html:
    """A value as escaped text; `Html` passes."""
    return value if isinstance(value, Html) else Html(html.escape(clean(value)))


def join(*parts: object) -> Html:
    """Parts one after the other, each escaped unless it is `Html`; None is left out."""
    return Html("".join(escape(part) for part in parts if part is not None))


def tag(name: str, *children: object, **attributes: object) -> Html:
    """An element. A trailing underscore in an attribute's name is dropped (`class_`), an inner one
    is a hyphen (`aria_label`); attributes that are None are left out."""
    pairs = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{pairs}>{join(*children)}</{name}>")


def short(value: object, width: int) -> str:
    """Text cut to a width, with an ellipsis where something is missing."""
    text = clean(value)
    return text if len(text) <= width else text[: width - 1].rstrip() + "…"


UNWELCOME = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
