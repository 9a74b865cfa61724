"""What the report draws: the learned policy in the accent colour, rules grey, labels in place."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from descant.evaluate.statistics import band
from descant.report.drawing import (
    COLOURS,
    LETTER,
    NARROW,
    Canvas,
    both,
    dots,
    powers,
    svg,
    ticks,
)
from descant.report.headline import BEST_FIT, bracket, decided, is_learned, title
from descant.report.markup import Html, short
from descant.report.numbers import count, digits, number
from descant.report.records import Evaluation, Metrics, Picture, Policy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]
T = TypeVar("T")

MARKS = {"o": "○", "s": "□", "D": "◇", "^": "△"}
"""How the rules are told apart where they stand in one row, and how text writes it."""

MOST_MARKS = 3
"""Rules that are told apart by marks."""

POINTS = 200, 100
"""Points drawn per curve on a desk and on a phone; of longer curves, neighbours are averaged."""
MARGIN = 9
"""Around the drawing of a graph, for dots up to twice as wide."""
MOST_ROWS = 40
"""Rows drawn in one figure or table of an evaluation; a caption counts the rest."""


@dataclass(frozen=True)
class Curve:
    """One line of a figure: values `[T, S]` over iterations `[T]`."""

    label: str
    iteration: Array
    values: Array
    colour: str = "accent"


@dataclass(frozen=True)
class Level:
    """A horizontal line: what a rule scores."""

    label: str
    value: float
    dashed: bool = False


def differences(evaluation: Evaluation, key: str) -> Html | None:
    """A dot and its interval for the difference to each policy; None where none was measured."""
    rows = [p for p in evaluation.policies if p.difference is not None][:MOST_ROWS]
    if not rows:
        return None
    reference = title(evaluation.reference)
    listed = "; ".join(f"{title(p.name)} {_difference(p)}" for p in rows)
    height = 26 * len(rows) + 58
    return both(
        lambda canvas: _draw_differences(canvas, rows, reference),
        height,
        height,
        f"{reference} minus each policy: {listed}.",
        key,
    )


def learning(curves: Sequence[Curve], levels: Sequence[Level], unit: str, key: str) -> Html:
    """Means over iterations with bands over seeds, and rules as horizontal lines."""
    label = f"{unit} by iteration. " + " ".join(map(_spoken, curves))
    label += "".join(f" {level.label} scores {number(level.value)}." for level in levels)
    return both(lambda canvas: _draw_learning(canvas, curves, levels, unit), 340, 290, label, key)


def gradient(metrics: Metrics, key: str) -> Html | None:
    """Gradient norm by iteration, with marks where updates were skipped; None if not recorded."""
    found = metrics.first("gradient_norm", "grad_norm")
    if found is None:
        return None
    curve = Curve("", metrics.iteration, found[1], "ink")
    missed = skipped(metrics)
    at = metrics.iteration[missed.sum(1) > 0]
    label = f"Gradient norm by iteration: {_spoken(curve)} "
    label += f"{count(float(missed.sum()))} updates were skipped."
    return both(lambda canvas: _draw_gradient(canvas, curve, at), 170, 170, label, key)


def alignment(evaluation: Evaluation, key: str) -> Html | None:
    """How often moving to the reference improves each reward term; None if not measured.

    Of the rules, Best-Fit and the best few: there are no marks, and no room, for all of them.
    """
    best_fit = evaluation.find(BEST_FIT)
    ranked = [p.name for p in ((best_fit,) if best_fit else ()) + evaluation.rules]
    ranked = dict.fromkeys([*ranked, *evaluation.alignment])
    rules = [p for p in ranked if p in evaluation.alignment and not is_learned(p)][:MOST_MARKS]
    found = evaluation.alignment.items()
    shares = _learned_first({p: s for p, s in found if is_learned(p) or p in rules})
    terms = list(dict.fromkeys(t for found in shares.values() for t in found))[:MOST_ROWS]
    if not terms:
        return None
    spoken = "; ".join(
        f"{title(policy)}: " + ", ".join(f"{term} {number(s, 2)}" for term, s in found.items())
        for policy, found in shares.items()
    )
    height = 30 * len(terms) + 78
    return both(
        lambda canvas: _draw_alignment(canvas, shares, terms),
        height,
        height,
        f"Share of states in which moving to the reference improves each term. {spoken}.",
        key,
    )


def episode(name: str, series: dict[str, Array], key: str) -> Html:
    """One diagnostic over the ticks of an episode, a line for each policy."""
    spoken = " ".join(
        f"{title(policy)}: mean {number(float(np.nanmean(x)))}, "
        f"from {number(float(np.nanmin(x)))} to {number(float(np.nanmax(x)))}."
        for policy, x in series.items()
    )
    return svg(
        lambda canvas: _draw_episode(canvas, name, _learned_first(series)),
        NARROW,
        210,
        f"{name} by tick. {spoken}",
        key,
    )


def occupancies(picture: Picture, name: str, title: str, key: str) -> list[Html]:
    """A number of each agent on the graph, before training and after it: the larger, the fuller;
    no drawing where it was not measured."""
    if name not in picture.before or name not in picture.after:
        return []
    both = {"before training": picture.before[name], "after training": picture.after[name]}
    ends = min(x.min() for x in both.values()), max(x.max() for x in both.values())
    height = round((NARROW - 2 * MARGIN) * float(picture.place[:, 1].max(initial=0)))
    return [
        svg(
            partial(
                _draw_graph, picture=picture, values=values, ends=ends, name=f"{title}, {when}"
            ),
            NARROW,
            max(height, 2 * MARGIN) + 2 * MARGIN + 56,
            f"{title} {when}: from {number(values.min())} to {number(values.max())}, mean "
            f"{number(values.mean())}.",
            f"{key}-{when.split()[0]}",
        )
        for when, values in both.items()
    ]


def skipped(metrics: Metrics) -> Array:
    """Skipped updates by iteration and seed `[T, S]`; no columns where they were not recorded."""
    found = metrics.series.get("skipped")
    return np.zeros((metrics.iteration.size, 0)) if found is None else np.nan_to_num(found)


def thin(x: Array, values: Array, points: int) -> tuple[Array, Array]:
    """At most so many rows, each the mean of equally many neighbours (of those that are finite)."""
    k = -(-x.size // points)
    if k <= 1:
        return x, values
    starts = np.arange(0, x.size, k)
    finite = np.isfinite(values)
    total = np.add.reduceat(np.where(finite, values, 0), starts)
    return np.maximum.reduceat(x, starts), _over(total, np.add.reduceat(finite * 1, starts))


def spread(values: Array) -> tuple[Array, Array, Array]:
    """Mean of the seeds that have a value, and the band where all seeds have one.

    The band is the smallest and largest seed, or from five seeds on the bootstrap interval of the
    mean; with one seed there is none.
    """
    finite = np.isfinite(values)
    mean = _over(np.where(finite, values, 0).sum(1), finite.sum(1))
    low, high = np.full((2, len(values)), np.nan)
    known = finite.all(1) & (values.shape[1] > 1)
    if known.any():
        seeds = values[known].T
        low[known], high[known] = band(seeds) if len(seeds) >= 5 else (seeds.min(0), seeds.max(0))
    return mean, low, high


def _learned_first(found: dict[str, T]) -> dict[str, T]:
    return dict(sorted(found.items(), key=lambda pair: not is_learned(pair[0])))


def _over(total: Array, seen: NDArray[np.int64]) -> Array:
    return np.divide(total, seen, out=np.full_like(total, np.nan), where=seen > 0)


def _draw_differences(canvas: Canvas, rows: list[Policy], reference: str) -> None:
    narrow = canvas.narrow
    axes = canvas.axes(left=138 if narrow else 190, right=60 if narrow else 180, top=6, bottom=52)
    low, high = _reach(rows)
    axes.set_xlim(low, high)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.axvline(0, color=COLOURS["soft"], linewidth=1)
    for y, policy in enumerate(rows):
        _draw_difference(axes, y, policy)
        height = axes.transData.transform((0, y))[1]
        canvas.text(axes.bbox.x1 + 14, height, _difference(policy, interval=not narrow))
    canvas.rows(axes, [title(p.name) for p in rows])
    axes.set_yticks([])
    ticks(axes.xaxis, 3 if narrow else 6)
    axes.grid(axis="x")
    axes.spines.bottom.set_visible(False)
    zero = axes.transData.transform((0, 0))[0]
    canvas.text(zero - 8, 12, "← lower", ha="right")
    canvas.text(zero + 8, 12, "higher →" if narrow else f"{short(reference, 24)} scores higher →")


def _reach(rows: list[Policy]) -> tuple[float, float]:
    """Both ends of the axis.

    A rule many times further away than most (random placement, say) would squeeze all others into
    one spot, so it is left beyond the edge; it is drawn as an arrow with its number beside it.
    """
    ends = np.array([_ends(p) for p in rows])
    far = np.abs(ends).max(1)
    steps = np.sort(far)
    upper = range((len(rows) - 1) // 2, len(rows) - 1)
    jumps = (i for i in upper if steps[i + 1] > 4 * steps[i] > 0)
    shown = ends[far <= steps[next(jumps, len(rows) - 1)]]
    low, high = -shown.min(), shown.max()
    room = max(low, high) or 1.0
    return -max(1.12 * low, 0.3 * room), max(1.12 * high, 0.3 * room)


def _ends(policy: Policy) -> tuple[float, float]:
    gap = policy.difference
    if gap is None:
        return 0.0, 0.0
    low, high = gap["low"], gap["high"]
    return (gap["mean"], gap["mean"]) if low is None or high is None else (low, high)


def _draw_difference(axes: "Axes", y: int, policy: Policy) -> None:
    mean = policy.difference["mean"] if policy.difference else 0.0
    colour = ("accent" if mean > 0 else "ink") if decided(policy) else "rule"
    low, high = axes.get_xlim()
    if not low <= mean <= high:
        edge, marker = (high, ">") if mean > 0 else (low, "<")
        axes.plot([edge], [y], marker, color=COLOURS[colour], markersize=7, clip_on=False)
        return
    axes.plot(np.clip(_ends(policy), low, high), [y, y], color=COLOURS[colour], linewidth=2)
    dots(axes, [mean], [y], colour, filled=decided(policy))


def _difference(policy: Policy, *, interval: bool = True) -> str:
    gap = policy.difference
    if gap is None:
        return ""
    low, high = _ends(policy)
    places = digits((high - low) / 2 or abs(gap["mean"]))
    # What is known exactly has no interval to speak of.
    ends = bracket(gap["low"], gap["high"], places) if interval and low < high else ""
    return f"{number(gap['mean'], places, sign=True)} {ends}".rstrip()


def _draw_learning(
    canvas: Canvas, curves: Sequence[Curve], levels: Sequence[Level], unit: str
) -> None:
    axes = _time_axes(canvas)
    canvas.heading(unit)
    points, filled = POINTS[canvas.narrow], len(curves) <= 4
    ends = [_draw_curve(axes, curve, points, filled=filled) for curve in curves]
    last = max(x for x, _ in ends)
    for (x, y), curve in zip(ends, curves, strict=True):
        axes.plot([x, last], [y, y], ":", color=COLOURS[curve.colour], linewidth=1)
    for level in levels:
        style = (0, (5, 4)) if level.dashed else "-"
        axes.axhline(level.value, color=COLOURS["rule"], linewidth=1.2, linestyle=style, zorder=1)
    axes.margins(x=0, y=0.06)
    ticks(axes.yaxis, 5)
    axes.grid(axis="y")
    labels = [(y, curve.label, curve.colour) for (_, y), curve in zip(ends, curves, strict=True)]
    label_ends(canvas, axes, labels + [(level.value, level.label, "rule") for level in levels])


def _draw_curve(
    axes: "Axes", curve: Curve, points: int, *, filled: bool = True, width: float = 2
) -> tuple[float, float]:
    """Draw a mean and its band; returns the point at which the line ends."""
    x, values = thin(curve.iteration, curve.values, points)
    mean, low, high = spread(values)
    colour = COLOURS[curve.colour]
    if filled:
        axes.fill_between(x, low, high, color=colour, alpha=0.16, linewidth=0)
    known = np.isfinite(mean)
    beside = np.pad(known, 1)
    alone = known & ~beside[:-2] & ~beside[2:]  # a line needs two points, a lone one gets a dot
    above = 4 if curve.colour == "accent" else 3
    axes.plot(x, mean, color=colour, linewidth=width, zorder=above)
    axes.plot(x[alone], mean[alone], "o", color=colour, markersize=5, clip_on=False, zorder=above)
    return float(x[known][-1]), float(mean[known][-1])


def _draw_gradient(canvas: Canvas, curve: Curve, at: Array) -> None:
    axes = _time_axes(canvas)
    canvas.heading("Gradient norm")
    found = curve.values[curve.values > 0]
    if found.size and found.max() > 50 * found.min():
        axes.set_yscale("log")
        positive = np.where(curve.values > 0, curve.values, np.nan)
        _draw_curve(axes, Curve("", curve.iteration, positive, "ink"), POINTS[canvas.narrow])
        powers(axes.yaxis)
    else:
        _draw_curve(axes, curve, POINTS[canvas.narrow])
        axes.set_ylim(bottom=0)
        ticks(axes.yaxis, 3)
    foot = axes.get_xaxis_transform()
    axes.plot(
        at,
        np.zeros(at.size),
        "|",
        color=COLOURS["accent"],
        transform=foot,
        clip_on=False,
        markersize=10,
        markeredgewidth=1.6,
    )
    axes.margins(x=0)
    axes.grid(axis="y")
    if at.size:
        canvas.text(axes.bbox.x1 + 12, axes.bbox.y0, "skipped update", "accent")


def _time_axes(canvas: Canvas) -> "Axes":
    """Axes over iterations; every such figure has the same margins, so that they line up."""
    axes = canvas.axes(left=44, right=120 if canvas.narrow else 180, top=30, bottom=40)
    axes.set_xlabel("iteration")
    ticks(axes.xaxis, 4 if canvas.narrow else 8, integer=True)
    return axes


def _draw_alignment(canvas: Canvas, shares: dict[str, dict[str, float]], terms: list[str]) -> None:
    axes = canvas.axes(left=96 if canvas.narrow else 190, right=48, top=36, bottom=42)
    axes.set_xlim(0, 1)
    axes.set_ylim(len(terms) - 0.5, -0.5)
    axes.axvline(0.5, color=COLOURS["soft"], linewidth=1)
    axes.hlines(range(len(terms)), 0, 1, color=COLOURS["line"], linewidth=0.8)
    left = 0.0
    marks = cycle(MARKS.items())
    for policy, found in shares.items():
        rows = [y for y, term in enumerate(terms) if term in found]
        learned = is_learned(policy)
        colour = "accent" if learned else "rule"
        marker, sign = ("o", "●") if learned else next(marks)
        dots(axes, [found[terms[y]] for y in rows], rows, colour, filled=learned, marker=marker)
        name = f"{sign} {short(title(policy), 18)}"
        canvas.text(left, canvas.height - 12, name, colour)
        left += LETTER * len(name) + 22
    canvas.rows(axes, terms)
    axes.set_yticks([])
    axes.set_xticks([0, 0.5, 1], ["0\nnever", "0.5\ncoin toss", "1\nalways"])
    axes.spines.bottom.set_visible(False)


def _draw_graph(
    canvas: Canvas, *, picture: Picture, values: Array, ends: tuple[float, float], name: str
) -> None:
    from matplotlib.colors import to_rgba

    canvas.heading(name)
    low, high = ends
    canvas.text(0, 10, f"empty {number(low)}, full {number(high)}")
    axes = canvas.axes(left=MARGIN, right=MARGIN, top=28 + MARGIN, bottom=28 + MARGIN)
    axes.set_axis_off()
    axes.set_aspect("equal")
    axes.set_xlim(0, 1)
    middle, half = picture.place[:, 1].mean(), axes.bbox.height / axes.bbox.width / 2
    axes.set_ylim(middle + half, middle - half)
    size = _dot(picture.place, axes.bbox.width)
    across, down = _between(picture, size / 2 / axes.bbox.width)
    axes.plot(across, down, color=COLOURS["line"], linewidth=1, clip_on=False)
    share = (values - low) / ((high - low) or 1.0)
    axes.scatter(
        *picture.place.T,
        s=size**2,
        facecolors=[to_rgba(COLOURS["accent"], a) for a in np.clip(share, 0, 1)],
        edgecolors=COLOURS["soft"],
        linewidths=0.6,
        clip_on=False,
    )


def _dot(place: Array, width: float) -> float:
    """Size of dots that hardly ever overlap, in pixels."""
    from scipy.spatial import KDTree

    if len(place) < 2:
        return 2.0 * MARGIN
    nearest = KDTree(place).query(place, k=2)[0][:, 1]
    return float(np.clip(0.7 * width * np.median(nearest), 3, 2 * MARGIN))


def _between(picture: Picture, radius: float) -> tuple[Array, Array]:
    """Edges from rim to rim of their dots, as one line with gaps."""
    ends = picture.place[picture.edges]
    first, second = ends[:, 0], ends[:, 1]
    way = second - first
    length = np.linalg.norm(way, axis=1, keepdims=True)
    step = way * np.minimum(np.divide(radius, length, where=length > 0, out=length * 0), 0.5)
    line = np.stack([first + step, second - step, np.full_like(first, np.nan)], axis=1)
    across, down = line.reshape(-1, 2).T
    return across, down


def _draw_episode(canvas: Canvas, name: str, series: dict[str, Array]) -> None:
    axes = canvas.axes(left=44, right=84, top=30, bottom=40)
    canvas.heading(name)
    labels = []
    for policy, values in series.items():
        colour = "accent" if is_learned(policy) else "rule"
        curve = Curve(policy, np.arange(values.size, dtype=np.float64), values[:, None], colour)
        end = _draw_curve(axes, curve, POINTS[0], width=1.4)[1]
        labels.append((end, title(policy), colour))
    axes.set_xlabel("tick")
    axes.margins(x=0, y=0.08)
    ticks(axes.xaxis, 4, integer=True)
    ticks(axes.yaxis, 4)
    axes.grid(axis="y")
    label_ends(canvas, axes, labels)


def label_ends(canvas: Canvas, axes: "Axes", labels: list[tuple[float, str, str]]) -> None:
    """Labels to the right of the axes, joined to these heights, moved apart if they overlap."""
    known = sorted(labels, key=lambda item: item[0])
    axes.autoscale_view()  # limits are lazy, and positions need them now
    heights = np.array([axes.transData.transform((0, y))[1] for y, _, _ in known])
    box = axes.bbox
    width = int((canvas.width - box.x1 - 22) / LETTER)
    placed = _apart(heights, 16, box.y0, box.y1)
    for height, at, (_, label, colour) in zip(heights, placed, known, strict=True):
        canvas.line([box.x1 + 3, box.x1 + 16], [height, at], colour)
        canvas.text(box.x1 + 20, at, short(label, width), colour)


def _apart(heights: Array, gap: float, low: float, high: float) -> Array:
    """Sorted heights moved as little as makes them `gap` apart, and within the ends if they fit."""
    from scipy.optimize import isotonic_regression

    steps = gap * np.arange(heights.size)
    start = isotonic_regression(heights - steps).x
    return np.clip(start, low, max(low, high - steps[-1])) + steps


def _spoken(curve: Curve) -> str:
    mean = spread(curve.values)[0]
    known = mean[np.isfinite(mean)]
    return f"{curve.label} goes from {number(known[0])} to {number(known[-1])}.".lstrip()
