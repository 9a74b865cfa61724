"""How sure a number is: means, differences and interquartile means with bootstrap intervals.

Single samples get the bias-corrected and accelerated bootstrap (BCa; Efron, 1987): scores of
scenarios are skewed, and BCa moves its percentiles for that where the plain percentile interval
does not. For a mean its correction has a closed form, so it costs nothing. Resampled *runs*
(`stratified_interval`, `band`) get plain percentiles, as Agarwal et al. (2021) do: with a handful
of runs the correction would be estimated from next to nothing.

The seed is fixed by default, so the same values always print the same interval.
"""

from collections.abc import Callable
from typing import TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri, stdtrit

Array = NDArray[np.float64]

CHUNK = 2**22
"""Resampled numbers held in memory at once (32 MiB)."""

TIE = 1e-12
"""Draws this close to the mean, in units of the largest deviation, count as equal to it: small
samples draw their own mean often, and rounding would put those draws on either side."""


class Interval(TypedDict):
    """A mean and the ends of its interval; the ends are None when there is one value alone."""

    mean: float
    low: float | None
    high: float | None


def interval(
    values: ArrayLike, *, confidence: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> Interval:
    """Mean of independent values with its BCa bootstrap interval.

    One value says nothing about spread: its ends are None. Equal values give a width of 0.

    Raises:
        ValueError: there are no values, they are not one row, one is not finite (its position is
            named), or `confidence` is not between 0 and 1.
    """
    x = _finite("values", values, ndim=1)
    _check_confidence(confidence)
    if x.size == 1:
        return {"mean": float(x[0]), "low": None, "high": None}
    if np.ptp(x) == 0:
        return {"mean": float(x[0]), "low": float(x[0]), "high": float(x[0])}
    mean, scale = x.mean(), np.abs(x - x.mean()).max()
    u = (x - mean) / scale
    draws = _resampled(lambda index: u[index].mean(-1), u.size, (u.size,), resamples, seed)
    low, high = mean + scale * np.quantile(draws, _bca_levels(u, draws, confidence))
    return {"mean": float(mean), "low": float(low), "high": float(high)}


def paired_difference(
    a: ArrayLike,
    b: ArrayLike,
    *,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """Mean of a - b over the same scenarios, with its BCa interval; above 0, `a` scores higher.

    Pairing removes what the scenarios themselves contribute to the spread.

    Raises:
        ValueError: the two differ in length, or either is not a row of finite values.
    """
    x, y = _finite("a", a, ndim=1), _finite("b", b, ndim=1)
    if x.size != y.size:
        raise ValueError(f"a and b are paired by position, but have {x.size} and {y.size} values.")
    return interval(x - y, confidence=confidence, resamples=resamples, seed=seed)


def pseudo_values(whole: ArrayLike, left_out: ArrayLike) -> Array:
    r"""A number that scenarios have only together, such as a function of their mean, dealt out to
    them: $n \hat\theta - (n - 1) \hat\theta_{-i}$; Tukey (1958).

    Of a mean they are the values themselves. Of any smooth function their mean is its estimate less
    what that is off by in so few scenarios (exactly so for quadratic ones), and they may be paired
    and drawn anew as values are.

    Args:
        whole: the number on all scenarios, or several.
        left_out: the same on all but each of them in turn, by scenario first.

    Raises:
        ValueError: a number is not finite, or there are none.
    """
    x = _finite("left_out", left_out)
    return len(x) * _finite("whole", whole) - (len(x) - 1) * x


def welch_difference(a: ArrayLike, b: ArrayLike, *, confidence: float = 0.95) -> Interval:
    """Mean of `a` minus mean of `b`, measured independently of each other; Welch (1947).

    For scores on *different* scenarios; `paired_difference` is sharper where they are the same.

    Raises:
        ValueError: either is not a row of finite values, or `confidence` is not between 0 and 1.
    """
    x, y = _finite("a", a, ndim=1), _finite("b", b, ndim=1)
    _check_confidence(confidence)
    mean = float(x.mean() - y.mean())
    if min(x.size, y.size) == 1:
        return {"mean": mean, "low": None, "high": None}
    parts = np.array([x.var(ddof=1) / x.size, y.var(ddof=1) / y.size])
    variance = parts.sum()
    if variance == 0:
        return {"mean": mean, "low": mean, "high": mean}
    freedom = variance**2 / (parts**2 / [x.size - 1, y.size - 1]).sum()
    half = float(stdtrit(freedom, (1 + confidence) / 2) * np.sqrt(variance))
    return {"mean": mean, "low": mean - half, "high": mean + half}


def standard_error(values: ArrayLike) -> float | None:
    """Standard deviation of the mean of independent values; None for one value alone.

    Raises:
        ValueError: as for `interval`.
    """
    x = _finite("values", values, ndim=1)
    return float(x.std(ddof=1) / np.sqrt(x.size)) if x.size > 1 else None


def iqm(values: ArrayLike) -> float:
    """Interquartile mean: the mean of the middle half of all values; Agarwal et al. (2021).

    Raises:
        ValueError: there are no values, or one is not finite.
    """
    return float(_middle_mean(_finite("values", values).reshape(1, -1))[0])


def stratified_interval(
    scores: ArrayLike, *, confidence: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> Interval:
    """Interquartile mean of scores `[runs, tasks]` with its stratified bootstrap interval.

    Runs are resampled within each task, and tasks are kept: the interval is about other runs on
    these tasks, not about other tasks. A single run has no interval.

    Raises:
        ValueError: scores are not `[runs, tasks]`, or one is not finite.
    """
    x = _finite("scores", scores, ndim=2)
    _check_confidence(confidence)
    if len(x) == 1:
        return {"mean": iqm(x), "low": None, "high": None}
    tasks = np.arange(x.shape[1])
    draws = _resampled(
        lambda index: _middle_mean(x[index, tasks].reshape(len(index), -1)),
        len(x),
        x.shape,
        resamples,
        seed,
    )
    low, high = np.quantile(draws, _levels(confidence))
    return {"mean": iqm(x), "low": float(low), "high": float(high)}


def band(
    curves: ArrayLike, *, confidence: float = 0.95, resamples: int = 2_000, seed: int = 0
) -> tuple[Array, Array]:
    """Lower and upper ends `[T]` of the interval of the mean of curves `[runs, T]`, point by point.

    Whole runs are resampled, so that neighbouring points belong to the same draw.

    Raises:
        ValueError: curves are not `[runs, T]`, or one value is not finite.
    """
    x = _finite("curves", curves, ndim=2)
    _check_confidence(confidence)
    chosen = np.random.default_rng(seed).integers(len(x), size=(resamples, len(x)))
    share = (chosen[:, :, None] == np.arange(len(x))).mean(1)
    low, high = np.quantile(share @ x, _levels(confidence), axis=0)
    return low, high


def probability_of_improvement(a: ArrayLike, b: ArrayLike) -> float:
    """Chance that `a` scores higher on a scenario, ties counting half; Agarwal et al. (2021).

    Scores are `[scenarios]`, or `[runs, scenarios]` with any number of runs each; runs are compared
    pair by pair within a scenario, and scenarios are averaged. 0.5: neither is better.

    Raises:
        ValueError: the numbers of scenarios differ, or a value is not finite.
    """
    x, y = np.atleast_2d(_finite("a", a)), np.atleast_2d(_finite("b", b))
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise ValueError(f"a and b need the same scenarios, but are shaped {x.shape}, {y.shape}.")
    gap = x[:, None] - y[None]
    return float((gap > 0).mean() + (gap == 0).mean() / 2)


def performance_profile(scores: ArrayLike, thresholds: ArrayLike) -> Array:
    """Share of all scores above each threshold; Agarwal et al. (2021).

    Raises:
        ValueError: a score or a threshold is not finite, or there is none.
    """
    x, levels = _finite("scores", scores), _finite("thresholds", thresholds, ndim=1)
    return (x.reshape(-1, 1) > levels).mean(0)


def _finite(name: str, values: ArrayLike, ndim: int | None = None) -> Array:
    x = np.asarray(values, dtype=np.float64)
    if ndim is not None and x.ndim != ndim:
        raise ValueError(f"{name}: expected {ndim} axes, got {x.ndim} (shape {x.shape}).")
    if x.size == 0:
        raise ValueError(f"{name}: expected at least one value, got none.")
    if not np.isfinite(x).all():
        where = tuple(np.argwhere(~np.isfinite(x))[0].tolist())
        position = ", ".join(map(str, where))
        raise ValueError(f"{name}[{position}] is {x[where]}; every value has to be finite.")
    return x


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence: expected a share between 0 and 1, got {confidence}.")


def _levels(confidence: float) -> Array:
    return np.array([(1 - confidence) / 2, (1 + confidence) / 2])


def _bca_levels(u: Array, draws: Array, confidence: float) -> Array:
    r"""Where to read the interval of a mean among its draws; `u` is centred. Efron (1987).

    $\Phi(b + (b + z) / (1 - a (b + z)))$ with bias $b$, acceleration $a$ and normal quantiles $z$.
    """
    below = ((draws < -TIE).mean() + (draws <= TIE).mean()) / 2
    half = 0.5 / draws.size  # keeps the bias finite when no draw falls on one side
    bias = ndtri(np.clip(below, half, 1 - half))
    acceleration = (u**3).sum() / (6 * (u**2).sum() ** 1.5)
    z = bias + ndtri(_levels(confidence))
    return ndtr(bias + z / (1 - acceleration * z))


def _resampled(
    statistic: Callable[[NDArray[np.int64]], Array],
    n: int,
    shape: tuple[int, ...],
    resamples: int,
    seed: int,
) -> Array:
    """A statistic of `resamples` index arrays `[*shape]` drawn from range(n), in bounded memory."""
    generator = np.random.default_rng(seed)
    step = max(1, CHUNK // int(np.prod(shape)))
    sizes = [min(step, resamples - start) for start in range(0, resamples, step)]
    return np.concatenate([statistic(generator.integers(n, size=(k, *shape))) for k in sizes])


def _middle_mean(x: Array) -> Array:
    """Mean of each row's middle half `[B, n] -> [B]`; the quarter cut off is rounded down."""
    cut = x.shape[1] // 4
    return np.sort(x, axis=1)[:, cut : x.shape[1] - cut].mean(1)
