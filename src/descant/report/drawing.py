"""SVG that takes its colours and font from the page, so light and dark mode share one drawing.

Sizes are CSS pixels. Where text would become too small if a figure were only shrunk, it is drawn
once for a desk and once for a phone, and the page's style shows the one that fits. Colours are
written as placeholders and become `var(--name)`; text stays text.
"""

import io
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from descant.report.markup import Html, join, short, tag
from descant.report.numbers import digits, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

WIDE, NARROW = 752, 336
LETTER = 6.6
"""Width of an average letter at the size figures are lettered in."""

RUN_COLOURS = 8
ROLES = ("paper", "ink", "soft", "line", "rule", "accent")
COLOURS = {name: f"#0a0b{i:02x}" for i, name in enumerate(ROLES)}
COLOURS |= {f"run-{i}": f"#0a0c{i:02x}" for i in range(RUN_COLOURS)}
NAMES = {colour: name for name, colour in COLOURS.items()}

STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "descant",
    "font.size": 12,
    "text.color": COLOURS["soft"],
    "text.parse_math": False,
    "axes.edgecolor": COLOURS["line"],
    "axes.labelcolor": COLOURS["soft"],
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.facecolor": "none",
    "axes.axisbelow": True,
    "grid.color": COLOURS["line"],
    "grid.linewidth": 0.8,
    "xtick.color": COLOURS["soft"],
    "ytick.color": COLOURS["soft"],
    "xtick.bottom": False,
    "ytick.left": False,
    "ytick.minor.left": False,
    "lines.solid_capstyle": "round",
    "lines.solid_joinstyle": "round",
}


@dataclass(frozen=True)
class Canvas:
    """A figure of a known size; positions are pixels from the lower left corner."""

    figure: "Figure"
    width: int
    height: int

    @property
    def narrow(self) -> bool:
        """Whether it is drawn for a phone."""
        return self.width < WIDE

    def axes(self, *, left: int, right: int, top: int, bottom: int) -> "Axes":
        """Axes with these margins."""
        w, h = self.width, self.height
        box = (left / w, bottom / h, (w - left - right) / w, (h - top - bottom) / h)
        return self.figure.add_axes(box)

    def text(self, x: float, y: float, text: str, colour: str = "soft", ha: str = "left") -> None:
        """Text centred vertically on a position."""
        place = (x / self.width, y / self.height)
        self.figure.text(*place, text, color=COLOURS[colour], ha=ha, va="center")

    def heading(self, text: str) -> None:
        """What the vertical axis shows, above its top left corner."""
        said = text[:1].upper() + text[1:]
        self.text(0, self.height - 12, short(said, int(self.width / LETTER)))

    def rows(self, axes: "Axes", names: Sequence[str]) -> None:
        """A name at the left edge for each whole number on the vertical axis."""
        for y, name in enumerate(names):
            height = axes.transData.transform((0, y))[1]
            self.text(0, height, short(name, int(axes.bbox.x0 / LETTER)), "ink")

    def line(self, xs: Sequence[float], ys: Sequence[float], colour: str) -> None:
        """A hairline outside the axes."""
        from matplotlib.lines import Line2D

        across, up = np.divide(xs, self.width), np.divide(ys, self.height)
        self.figure.add_artist(Line2D(across, up, color=COLOURS[colour], linewidth=0.8))


Draw = Callable[[Canvas], None]


def both(draw: Draw, wide: int, narrow: int, label: str, key: str) -> Html:
    """The drawing for a desk and for a phone, with these heights; `label` says what it shows."""
    return join(
        svg(draw, WIDE, wide, label, f"{key}-w", "wide"),
        svg(draw, NARROW, narrow, label, f"{key}-n", "narrow"),
    )


def svg(draw: Draw, width: int, height: int, label: str, key: str, kind: str | None = None) -> Html:
    """An `svg` element; `key` keeps its ids apart from those of other drawings on the page."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    target = io.StringIO()
    with rc_context(STYLE), warnings.catch_warnings():
        # the page's font draws the text, so a sign that matplotlib's own lacks is no concern
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=(width / 72, height / 72), dpi=72)
        FigureCanvasSVG(figure)
        draw(Canvas(figure, width, height))
        no_metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(target, format="svg", transparent=True, metadata=no_metadata)
    return tag(
        "svg",
        _inner(target.getvalue(), key),
        viewBox=f"0 0 {width} {height}",
        width=width,
        height=height,
        role="img",
        aria_label=label,
        class_=kind,
    )


def dots(
    axes: "Axes",
    xs: Sequence[float],
    ys: Sequence[float],
    colour: str,
    *,
    filled: bool,
    marker: str = "o",
) -> None:
    """Dots, solid or hollow, that may overlap the edge of the axes."""
    axes.plot(
        xs,
        ys,
        marker,
        color=COLOURS[colour],
        markerfacecolor=COLOURS[colour if filled else "paper"],
        markersize=8,
        markeredgewidth=1.6,
        clip_on=False,
        zorder=3,
    )


def ticks(axis: "Axis", bins: int, *, integer: bool = False) -> None:
    """A few round ticks, written with a true minus sign and equal decimals."""
    from matplotlib.ticker import Formatter, MaxNLocator

    class Plain(Formatter):
        def format_ticks(self, values: Sequence[float]) -> list[str]:
            gap = float(np.diff(values[:2]).sum())
            return [number(x, digits(gap, 1) if gap else None) for x in values]

    axis.set_major_locator(MaxNLocator(bins, integer=integer, steps=[1, 2, 5, 10]))
    axis.set_major_formatter(Plain())


def powers(axis: "Axis") -> None:
    """A few ticks at powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axis.set_major_locator(LogLocator(numticks=4))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda x, _: number(x, digits(x, 1))))


def _inner(source: str, key: str) -> Html:
    """What is inside the `svg` element, with short numbers, own ids and no style of its own."""
    body = source[source.index(">", source.index("<svg")) + 1 : source.rindex("</svg>")]
    body = re.sub(r"<style.*?</style>|<!--.*?-->|<metadata>.*?</metadata>", "", body, flags=re.S)
    used = set(re.findall(r'(?:href="#|url\(#)([\w-]+)', body))
    body = re.sub(r"<[^>]*>", lambda element: _tidy(element[0], used, key), body)
    return Html(re.sub(r">\s+<", "><", body).strip())


def _tidy(element: str, used: set[str], key: str) -> str:
    def own(found: re.Match[str]) -> str:
        return f' id="{key}-{found[1]}"' if found[1] in used else ""

    element = re.sub(r' id="([^"]*)"', own, element)
    element = re.sub(r'(href="#|url\(#)', rf"\g<1>{key}-", element)
    element = re.sub(r"-?\d+\.\d{3,}", lambda n: f"{float(n[0]):.1f}".removesuffix(".0"), element)
    element = re.sub(r' transform="rotate\(-0 [^"]*"', "", element)
    element = re.sub(r' d="([^"]*)"', _path, element)
    element = re.sub(r"font-family:[^;\"]*;?|font: ?([\d.]+px)[^;\"]*", _size, element)
    return re.sub(r"#0a0[bc]\w\w", lambda colour: f"var(--{NAMES[colour[0]]})", element)


def _path(found: re.Match[str]) -> str:
    steps = re.sub(r"\s*([A-Za-z])\s*", r"\1", found[1]).strip()
    return f' d="{steps}"'


def _size(font: re.Match[str]) -> str:
    return f"font-size: {font[1]}" if font[1] else ""
