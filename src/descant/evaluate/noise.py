"""What inner products of gradients say: variances, whose they are, signal to noise, slopes.

Everything here is an average over blocks of worlds, and so are its intervals: blocks are drawn
anew, with repetition, and only products of different blocks stand for squared means.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

RESAMPLES = 400
"""Bootstrap draws of blocks."""
SHARES = ("world", "own", "others")
"""Whose variance it may be."""
SMALLEST = 1e-3
"""Resampled quantities below this share of the point count as that, in logarithms."""


class Moments(NamedTuple):
    r"""Inner products of (learning, guidance) gradients, block by block; P parts, here 2.

    With $u$ the own and $v$ the others' chance in a world $w$: `same` is
    $g(w,u,v) \cdot g(w,u,v)$, `own` is $g(w,u,v) \cdot g(w,u,v')$, `world` is
    $g(w,u,v) \cdot g(w,u',v')$, and `apart` those of different blocks. What falls away from one to
    the next is the variance that the thing drawn anew accounts for.
    """

    same: Float[np.ndarray, "B I P P"]
    own: Float[np.ndarray, "B I P P"]
    world: Float[np.ndarray, "B I P P"]
    apart: Float[np.ndarray, "B B I P P"]
    """The diagonal B = B' is not used."""


def record_of(moments: Moments, alphas: Sequence[float], seed: int) -> dict[str, Any]:
    """What the inner products of one estimator say, with intervals over blocks."""
    draws = _draws(moments.same.shape[0], seed)
    guided = bool(np.any(moments.same[..., 1, 1]))
    learning, guidance = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    return {
        "learning": _noise(moments, learning, draws),
        "guidance": _noise(moments, guidance, draws) if guided else None,
        "correlation": _correlation(moments, draws) if guided else None,
        "cosine": _cosine(moments, draws) if guided else None,
        "theorem": theorem(moments, alphas) if guided else None,
        "mixtures": [
            {"alpha": alpha, **_noise(moments, np.array([1 - alpha, -alpha]), draws)}
            for alpha in (alphas if guided else ())
        ],
    }


def _draws(blocks: int, seed: int) -> Float[np.ndarray, "R B"]:
    """How often each block is counted: once each in the first row, then resampled."""
    generator = np.random.default_rng(seed)
    resampled = generator.multinomial(blocks, np.full(blocks, 1 / blocks), size=RESAMPLES)
    return np.concatenate([np.ones((1, blocks)), resampled])


def agreement(names: list[str], products: Float[np.ndarray, "L L"]) -> dict[str, dict[str, Any]]:
    """Cosines between the mean guidance gradients of algorithms that have any."""
    length = np.sqrt(np.maximum(np.diagonal(products), 0))
    guided = [i for i in range(len(names)) if length[i] > 0]
    return {
        names[i]: {names[j]: float(products[i, j] / (length[i] * length[j])) for j in guided}
        for i in guided
    }


class Components(NamedTuple):
    """Of the variance of one mixture, by resample [R]; means over the agents asked."""

    total: np.ndarray
    world: np.ndarray
    own: np.ndarray
    others: np.ndarray
    signal: np.ndarray
    shared: np.ndarray
    """Squared length of the mean gradient of all who act."""
    team: np.ndarray
    """Variance of that gradient."""


def _cosine(moments: Moments, draws: np.ndarray) -> dict[str, float | None]:
    """Between the mean gradients of all who act: what the return teaches, and down the model."""
    learning, guidance, both = (
        _components(moments, np.array(mix), draws).shared
        for mix in ([1.0, 0.0], [0.0, 1.0], [1.0, -1.0])
    )
    product = (both - learning - guidance) / 2
    return _with_ends(_over(product, np.sqrt(np.maximum(learning * guidance, 0))))


def _components(moments: Moments, mix: np.ndarray, draws: np.ndarray) -> Components:
    """Resampled blocks meet only blocks that are not themselves."""
    same, own, world = (
        np.einsum("rb,bipq,p,q->ri", draws, x, mix, mix) / draws.sum(1)[:, None]
        for x in (moments.same, moments.own, moments.world)
    )
    pairs = draws[:, :, None] * draws[:, None, :]
    index = np.arange(draws.shape[1])
    pairs[:, index, index] = 0
    apart = np.einsum("bcipq,p,q->bci", moments.apart, mix, mix)
    squared = np.einsum("rbc,bci->ri", pairs, apart) / pairs.sum((1, 2))[:, None]
    asked = slice(0, same.shape[1] - 1)

    def mean(x):
        return x[:, asked].mean(1)

    return Components(
        total=mean(same - squared),
        world=mean(world - squared),
        own=mean(own - world),
        others=mean(same - own),
        signal=mean(squared),
        shared=squared[:, -1],
        team=same[:, -1] - squared[:, -1],
    )


def _noise(moments: Moments, mix: np.ndarray, draws: np.ndarray) -> dict[str, Any]:
    parts = _components(moments, mix, draws)
    shares = {name: _with_ends(_over(getattr(parts, name), parts.total)) for name in SHARES}
    snr = _over(parts.signal, parts.total)
    return {
        "variance": _with_ends(parts.total),
        "signal": _with_ends(parts.signal),
        "snr": _with_ends(snr),
        "shared_snr": _with_ends(_over(parts.shared, parts.total)),
        "team_snr": _with_ends(_over(parts.shared, parts.team)),
        "shares": shares,
        "resamples": {
            "snr": _plain(snr[1:]),
            "shared_snr": _plain(_over(parts.shared, parts.total)[1:]),
            "variance": _plain(parts.total[1:]),
            "others": _plain(_over(parts.others, parts.total)[1:]),
        },
    }


def _correlation(moments: Moments, draws: np.ndarray) -> dict[str, float | None]:
    both = _components(moments, np.array([1.0, 1.0]), draws).total
    learning = _components(moments, np.array([1.0, 0.0]), draws).total
    guidance = _components(moments, np.array([0.0, 1.0]), draws).total
    covariance = (both - learning - guidance) / 2
    return _with_ends(_over(covariance, np.sqrt(np.maximum(learning * guidance, 0))))


def predicted_variance(
    sigma_learning: float, sigma_guidance: float, correlation: float, alpha: float
) -> float:
    r"""Variance of a mixture. $(1-\alpha)^2 \sigma_J^2 + \alpha^2 \sigma_G^2 - 2 \alpha (1-\alpha)
    \rho \sigma_J \sigma_G$; Yang & Liu (2026), appendix F.
    """
    return (
        (1 - alpha) ** 2 * sigma_learning**2
        + alpha**2 * sigma_guidance**2
        - 2 * alpha * (1 - alpha) * correlation * sigma_learning * sigma_guidance
    )


def best_alpha(sigma_learning: float, sigma_guidance: float, correlation: float) -> float:
    r"""Its minimiser. $\alpha^* = (\sigma_J^2 + \rho \sigma_J \sigma_G) / (\sigma_J^2 + \sigma_G^2
    + 2 \rho \sigma_J \sigma_G)$, kept within 0 to 1; Yang & Liu (2026), appendix F.
    """
    product = correlation * sigma_learning * sigma_guidance
    below = sigma_learning**2 + sigma_guidance**2 + 2 * product
    if below <= 0:
        return 0.5
    return min(max((sigma_learning**2 + product) / below, 0.0), 1.0)


def theorem(moments: Moments, alphas: Sequence[float]) -> dict[str, Any]:
    """Theorem 4.2 put to the test: predicted from the even blocks, measured on the odd ones."""
    blocks = moments.same.shape[0]
    even = (np.arange(blocks) % 2 == 0).astype(float)[None]

    def variance(alpha, draws):
        return float(_components(moments, np.array([1 - alpha, -alpha]), draws).total[0])

    def sigmas(draws):
        learning, guidance = variance(0.0, draws), variance(1.0, draws)
        covariance = (learning + guidance) / 2 - 2 * variance(0.5, draws)
        scale = math.sqrt(max(learning * guidance, 0.0))
        return (
            math.sqrt(max(learning, 0.0)),
            math.sqrt(max(guidance, 0.0)),
            covariance / scale if scale else 0.0,
        )

    model, truth = sigmas(even), sigmas(1 - even)
    best, found = best_alpha(*model), best_alpha(*truth)
    return {
        "sigma_learning": model[0],
        "sigma_guidance": model[1],
        "correlation": model[2],
        "alphas": list(alphas),
        "predicted": [predicted_variance(*model, alpha) for alpha in alphas],
        "measured": [variance(alpha, 1 - even) for alpha in alphas],
        "best_predicted": best,
        "best_measured": found,
        "minimum_predicted": predicted_variance(*model, best),
        "minimum_measured": variance(found, 1 - even),
        "measured_at_best_predicted": variance(best, 1 - even),
    }


def slopes(
    records: Sequence[Mapping[str, Any]], *, alphas: Sequence[float] = (0.2, 0.5, 0.9)
) -> dict[str, dict[str, dict[str, Any]]]:
    """Log-log slopes over the number of agents, by estimator, part and quantity.

    Parts are `learning`, `guidance` and mixtures by their weight ("0.5"); quantities `snr`,
    `relative_variance` (variance / squared mean, the inverse), `shared_snr`, `variance` and
    `others`. A size at which the interval of a quantity reaches down to zero says nothing about its
    logarithm; it is left out and named under `unresolved`. Leaving out the smallest values makes
    slopes look flatter than they are.
    """
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for name in _names(records):
        given = [(r["agents"], r["estimators"][name]) for r in records if name in r["estimators"]]
        found[name] = {}
        for part in ("learning", "guidance", *alphas):
            rows = [(size, _part(record, part)) for size, record in given]
            rows = [(size, row) for size, row in rows if row is not None]
            if rows:
                found[name][str(part)] = {
                    quantity: slope_of(rows, quantity)
                    for quantity in ("snr", "shared_snr", "variance", "others")
                }
                snr = found[name][str(part)]["snr"]
                found[name][str(part)]["relative_variance"] = snr | {
                    "slope": _minus(snr["slope"]),
                    "low": _minus(snr["high"]),
                    "high": _minus(snr["low"]),
                }
    return found


def slope_of(rows: Sequence[tuple[int, Mapping[str, Any]]], quantity: str) -> dict[str, Any]:
    """Least squares of log quantity on log size, with the bootstrap interval of the slope."""
    kept, unresolved = [], []
    for size, row in rows:
        value = row["shares"][quantity] if quantity == "others" else row[quantity]
        low = value["low"]
        if value["value"] is not None and low is not None and low > 0:
            kept.append((size, value["value"], row["resamples"][quantity]))
        else:
            unresolved.append(size)
    out: dict[str, Any] = {"sizes": [size for size, *_ in kept], "unresolved": unresolved}
    if len({size for size, *_ in kept}) < 2:
        return out | {"slope": None, "low": None, "high": None}
    x = np.log([size for size, *_ in kept])
    x = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
    floor = np.array([value for _, value, _ in kept]) * SMALLEST
    draws = np.array([resamples for *_, resamples in kept], np.float64)
    logs = np.log(np.maximum(draws, floor[:, None]))
    low, high = np.quantile(x @ logs, [0.025, 0.975])
    point = float(x @ np.log([value for _, value, _ in kept]))
    return out | {"slope": point, "low": float(low), "high": float(high)}


def table(records: Sequence[Mapping[str, Any]], *, alpha: float = 0.5) -> list[dict[str, Any]]:
    """One flat row of plain values per size and estimator; DG-PG's are of the mixture at `alpha`,
    with its guidance part beside."""
    rows = []
    for record in records:
        for name, one in record["estimators"].items():
            whole = _part(one, alpha) or one["learning"]
            guidance, said = one["guidance"], one["theorem"]
            rows.append(
                {
                    "domain": record["domain"],
                    "agents": record["agents"],
                    "estimator": name,
                    "alpha": alpha if guidance else 0.0,
                    "snr": whole["snr"]["value"],
                    "snr_low": whole["snr"]["low"],
                    "snr_high": whole["snr"]["high"],
                    "shared_snr": whole["shared_snr"]["value"],
                    "team_snr": whole["team_snr"]["value"],
                    "variance": whole["variance"]["value"],
                    **{share: whole["shares"][share]["value"] for share in SHARES},
                    "guidance_snr": guidance and guidance["snr"]["value"],
                    "guidance_others": guidance and guidance["shares"]["others"]["value"],
                    "correlation": guidance and one["correlation"]["value"],
                    "best_alpha_predicted": said and said["best_predicted"],
                    "best_alpha_measured": said and said["best_measured"],
                }
            )
    return rows


def _names(records: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for record in records for name in record["estimators"]))


def _part(record: Mapping[str, Any], part: str | float) -> Mapping[str, Any] | None:
    if isinstance(part, str):
        return record[part]
    return next((m for m in record["mixtures"] if math.isclose(m["alpha"], part)), None)


def _minus(value: float | None) -> float | None:
    return None if value is None else -value


def _over(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Ratios; NaN where nothing stands below."""
    return np.where(below > 0, above / np.where(below > 0, below, 1.0), np.nan)


def _with_ends(values: np.ndarray) -> dict[str, float | None]:
    """The first value with the 95 % interval of the others."""
    ends: tuple[float | None, float | None] = (None, None)
    resampled = values[1:][np.isfinite(values[1:])]
    if resampled.size:
        low, high = np.quantile(resampled, [0.025, 0.975])
        ends = float(low), float(high)
    point = float(values[0]) if np.isfinite(values[0]) else None
    return {"value": point, "low": ends[0], "high": ends[1]}


def _plain(values: np.ndarray) -> list[float]:
    """Plain numbers; what cannot be computed counts as zero."""
    return np.nan_to_num(values).tolist()
