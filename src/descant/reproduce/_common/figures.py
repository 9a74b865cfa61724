"""Figures that lay published numbers beside ours: ours solid and filled, the paper's hollow."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from descant.report.markup import Html
from descant.report.numbers import number
from descant.reproduce._common.tables import Measured

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

    from descant.report.drawing import Canvas

SIZES = ("accent", *(f"run-{i}" for i in range(1, 8)))
"""Colours of sizes, from the least on."""
LEGEND = 18
"""Height of a row of the legend."""


@dataclass(frozen=True)
class Curve:
    """A quantity during training, `[T, S]`, and what the paper reports for its end."""

    label: str
    iteration: "NDArray[float64]"
    values: "NDArray[float64]"
    colour: str
    published: float | None = None


@dataclass(frozen=True)
class Panel:
    """Curves that share axes, and horizontal lines for rules."""

    title: str
    curves: tuple[Curve, ...]
    levels: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Series:
    """A quantity by size, or by the number of a row."""

    label: str
    points: tuple[tuple[float, Measured], ...]
    colour: str
    published: bool = False


@dataclass(frozen=True)
class Figure:
    """A drawing with its text."""

    key: str
    """File name, and what keeps its ids apart."""
    label: str
    """What it shows, for those who cannot see it."""
    caption: str
    draw: "Callable[[Canvas], None]"
    wide: int
    narrow: int
    """Heights for a desk and for a phone."""

    def html(self) -> Html:
        """For a page."""
        from descant.report.drawing import both

        return both(self.draw, self.wide, self.narrow, self.label, self.key)

    def alone(self) -> Html:
        """As one drawing."""
        from descant.report.drawing import WIDE, svg

        return svg(self.draw, WIDE, self.wide, self.label, self.key)


def curves(
    key: str, panels: Sequence[Panel], unit: str, caption: str, *, across: str = "iteration"
) -> Figure:
    """Panels of curves side by side, on a phone one above the other."""
    from descant.reproduce._common.drawing import columns_of, draw_curves, spoken

    panels = [panel for panel in panels if panel.curves]
    said = " ".join(f"{p.title}: {'; '.join(map(spoken, p.curves))}." for p in panels)
    rows, heading = -(-len(panels) // columns_of(len(panels))), 22 + LEGEND
    return Figure(
        key,
        f"{unit} by {across}. {said}",
        caption,
        partial(draw_curves, panels=panels, across=across),
        heading + 250 * rows,
        heading + 3 * LEGEND + 220 * len(panels),
    )


def by_size(
    key: str,
    series: Sequence[Series],
    unit: str,
    caption: str,
    *,
    across: str = "servers",
    logarithmic: bool = False,
    even: bool = False,
    levels: Sequence[tuple[str, float]] = (),
) -> Figure:
    """A quantity over sizes, with intervals; sizes stand on a logarithmic axis unless they are to
    be evenly spaced, as radii are."""
    from descant.reproduce._common.drawing import draw_sizes

    series = [one for one in series if one.points]
    said = " ".join(f"{one.label}: {_points(one)}." for one in series)
    draw = partial(
        draw_sizes,
        series=series,
        unit=unit,
        across=across,
        logarithmic=logarithmic,
        even=even,
        levels=levels,
    )
    heights = 320 + LEGEND * (1 + len(series) // 4), 330 + LEGEND * len(series)
    return Figure(key, f"{unit} by {across}. {said}", caption, draw, *heights)


def by_name(
    key: str, names: Sequence[str], series: Sequence[Series], unit: str, caption: str
) -> Figure:
    """A quantity by name, with intervals; the points of a series stand at numbers of rows."""
    from descant.reproduce._common.drawing import draw_rows

    said = " ".join(f"{one.label}: {_named(one, names)}." for one in series if one.points)
    draw = partial(draw_rows, names=names, series=series, unit=unit)
    height = 60 + LEGEND * 2 + (14 + 8 * len(series)) * len(names)
    return Figure(key, f"{unit}, {said}", caption, draw, height, height + LEGEND)


def _named(series: Series, names: Sequence[str]) -> str:
    return ", ".join(f"{number(m.mean)} for {names[int(row)]}" for row, m in series.points)


def size(x: float) -> str:
    """A whole number as such, others as short as they can be."""
    return number(x, 0) if x == round(x) else f"{x:g}"


def _points(series: Series) -> str:
    return ", ".join(f"{number(m.mean)} at {size(x)}" for x, m in series.points)
