"""Drawing of `figures`: panels of curves, and quantities by size."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from descant.report.drawing import COLOURS, LETTER, Canvas, dots, powers, ticks
from descant.report.figures import POINTS, spread, thin
from descant.report.numbers import number
from descant.reproduce._common.figures import LEGEND, Curve, Panel, Series, size

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]

FEW = 5
"""Points of a curve up to which each gets a dot."""
ROBUST = 0.04
"""Share of the lowest values of curves that may lie beyond the scale."""


def columns_of(panels: int) -> int:
    """Panels side by side on a desk."""
    return 2 if panels in (2, 4) else min(panels, 3)


def draw_curves(canvas: Canvas, *, panels: Sequence[Panel], across: str) -> None:
    """Panels of curves; on a phone one above the other."""
    columns = columns_of(len(panels))
    rows = -(-len(panels) // columns)
    legend = list(dict.fromkeys((c.label, c.colour) for p in panels for c in p.curves))
    told = any(c.published is not None for p in panels for c in p.curves)
    shown = 1 if canvas.narrow else columns
    down = len(panels) if canvas.narrow else rows
    top = _legend(canvas, legend, told)
    height = (canvas.height - top) // down
    width = canvas.width // shown
    for i, panel in enumerate(panels):
        row, column = divmod(i, shown)
        axes = canvas.axes(
            left=column * width + 44,
            right=canvas.width - (column + 1) * width + 14,
            top=top + row * height + 30,
            bottom=canvas.height - top - (row + 1) * height + 40,
        )
        canvas.text(
            column * width,
            canvas.height - top - row * height - 14,
            _with_levels(panel.title, panel.levels),
            "ink",
        )
        _draw_panel(canvas, axes, panel)
        axes.set_xlabel(across)


def draw_sizes(
    canvas: Canvas,
    *,
    series: Sequence[Series],
    unit: str,
    across: str,
    logarithmic: bool,
    even: bool,
    levels: Sequence[tuple[str, float]],
) -> None:
    """A quantity over sizes."""
    top = _named(canvas, series)
    axes = canvas.axes(left=54, right=20, top=top + 30, bottom=44)
    canvas.text(0, canvas.height - top - 14, _with_levels(unit, levels))
    if not even:
        axes.set_xscale("log")
    if logarithmic:
        axes.set_yscale("log")
    for one in series:
        _draw_series(axes, one)
    for _, level in levels:
        axes.axhline(level, color=COLOURS["rule"], linewidth=1.1, linestyle=(0, (5, 4)))
    sizes = sorted({x for one in series for x, _ in one.points})
    if canvas.narrow and len(sizes) > 5:
        sizes = sizes[::2]
    axes.set_xticks(sizes, [size(x) for x in sizes])
    axes.minorticks_off()
    axes.set_xlabel(across)
    if logarithmic:
        powers(axes.yaxis)
    else:
        ticks(axes.yaxis, 5)
    axes.grid(axis="y")


def draw_rows(canvas: Canvas, *, names: Sequence[str], series: Sequence[Series], unit: str) -> None:
    """A quantity by name, one row each; points stand at the row's number."""
    top = _named(canvas, series)
    axes = canvas.axes(left=int(LETTER * (max(map(len, names)) + 2)), right=20, top=top, bottom=44)
    axes.set_ylim(len(names) - 0.5, -0.5)
    for i, one in enumerate(series):
        apart = APART * (i - (len(series) - 1) / 2)
        xs, ys = [m.mean for _, m in one.points], [row + apart for row, _ in one.points]
        for y, (_, measured) in zip(ys, one.points, strict=True):
            axes.plot(measured.ends, [y, y], color=COLOURS[one.colour], linewidth=2)
        dots(axes, xs, ys, one.colour, filled=not one.published)
    canvas.rows(axes, names)
    axes.set_yticks([])
    ticks(axes.xaxis, 3 if canvas.narrow else 6)
    axes.grid(axis="x")
    axes.set_xlabel(unit)


APART = 0.24
"""Of a row, from one series to the next."""


def spoken(curve: Curve) -> str:
    """A curve in words."""
    mean = spread(curve.values)[0]
    known = mean[np.isfinite(mean)]
    if not known.size:
        return f"{curve.label} has no finite value"
    said = f"{curve.label} goes from {number(known[0])} to {number(known[-1])}"
    return said if curve.published is None else f"{said}, published {number(curve.published)}"


def _with_levels(title: str, levels: Sequence[tuple[str, float]]) -> str:
    """A title that also says what the dashed lines are."""
    dashed = ", ".join(label for label, _ in levels)
    return f"{title}; dashed: {dashed}" if dashed else title


def _draw_series(axes: "Axes", series: Series) -> None:
    xs = [x for x, _ in series.points]
    ys = [m.mean for _, m in series.points]
    colour = COLOURS[series.colour]
    style = (0, (4, 3)) if series.published else "-"
    axes.plot(xs, ys, color=colour, linewidth=1.4, linestyle=style, alpha=0.8)
    for x, measured in series.points:
        axes.plot([x, x], measured.ends, color=colour, linewidth=2)
    dots(axes, xs, ys, series.colour, filled=not series.published)


def _draw_panel(canvas: Canvas, axes: "Axes", panel: Panel) -> None:
    means = []
    for curve in panel.curves:
        x, values = thin(curve.iteration, curve.values, POINTS[1])
        mean, low, high = spread(values)
        colour = COLOURS[curve.colour]
        axes.fill_between(x, low, high, color=colour, alpha=0.16, linewidth=0)
        axes.plot(x, mean, color=colour, linewidth=1.8)
        if mean.size <= FEW:
            dots(axes, list(x), list(mean), curve.colour, filled=True)
        means.append(mean[np.isfinite(mean)])
    first = min(curve.iteration[0] for curve in panel.curves)
    last = max(curve.iteration[-1] for curve in panel.curves)
    axes.set_xlim(min(first, last - 1), last)
    for curve in panel.curves:
        if curve.published is not None:
            dots(axes, [float(last)], [curve.published], curve.colour, filled=False, marker="D")
    for _, level in panel.levels:
        axes.axhline(level, color=COLOURS["rule"], linewidth=1.1, linestyle=(0, (5, 4)), zorder=1)
    must = [c.published for c in panel.curves if c.published is not None]
    must += [level for _, level in panel.levels]
    low, high = _reach(np.concatenate(means), must)
    axes.set_ylim(low, high)
    ticks(axes.yaxis, 4)
    ticks(axes.xaxis, 4, integer=True)
    axes.grid(axis="y")


def _reach(values: Array, must: Sequence[float]) -> tuple[float, float]:
    """Ends of the vertical axis: a few wild values may lie beyond, what must be seen may not."""
    shown = [*must]
    if values.size:
        shown += [float(np.quantile(values, ROBUST)), float(values.max())]
    low, high = (min(shown), max(shown)) if shown else (0.0, 1.0)
    room = 0.08 * ((high - low) or abs(high) or 1.0)
    return low - room, high + room


def _named(canvas: Canvas, series: Sequence[Series]) -> int:
    """The legend of some series, published ones below."""
    top = _legend(canvas, [(s.label, s.colour) for s in series if not s.published], False)
    named = [(s.label, s.colour) for s in series if s.published]
    return _legend(canvas, named, False, top=top, hollow=True) if named else top


def _legend(
    canvas: Canvas,
    named: Sequence[tuple[str, str]],
    published: bool,
    *,
    top: int = 0,
    hollow: bool = False,
) -> int:
    """Rows of coloured names from the top; returns the height down to which they reach."""
    sign = "○" if hollow else "●"
    items = [(f"{sign} {label}", colour) for label, colour in named]
    if published:
        items.append(("◇ published", "soft"))
    left, down = 0.0, top + 12
    for text, colour in items:
        width = LETTER * len(text) + 20
        if left and left + width > canvas.width:
            left, down = 0.0, down + LEGEND
        canvas.text(left, canvas.height - down, text, colour)
        left += width
    return down + 8
