"""Results as jobs would leave them, made up in no time; equal calls give equal numbers."""

import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from descant.reproduce._common import costs
from descant.reproduce._common.jobs import Job, Rules, Score, Train
from descant.reproduce._common.plan import Scale
from descant.reproduce._common.targets import Target
from descant.reproduce._compare.jobs import Learn, Noise
from descant.reproduce.maipg._games import Learn as Games
from descant.reproduce.maipg.ablation import Gradients
from descant.reproduce.utilities._jobs import Measure
from descant.train.settings import flatten

RULES = {
    "cloud": {"best-fit": -42.0, "random": -70.0, "most-efficient-first": -37.0},
    "balance": {"least-filled": -30.0, "by-capacity": -52.0, "anywhere": -80.0},
}
END = {"dgpg": -37.0, "mappo": -55.0, "ippo": -60.0, "shaping": -56.0}
END |= {"maipg": -50.0, "happo": -58.0, "qmix": -61.0}
ELSE = -58.0
"""Where all other algorithms end."""
SILENT = {name: f"{name} says no." for name in ("happo", "iql", "vdn", "qmix", "qplex", "facmac")}
REFUSED = {"localised": "'cloud' has no network."}


def results(target: Target, scale: Scale) -> dict[str, dict[str, Any]]:
    """A result for each job of a target."""
    return {job.name: result(job) for job in target.jobs(scale)}


def result(job: Job) -> dict[str, Any]:
    """The result of one job."""
    random = np.random.default_rng(zlib.crc32(job.name.encode()))
    if isinstance(job, Learn):
        return _learned(job, random)
    if isinstance(job, Noise):
        return {"kind": "credit", "seconds": 1.0, "silent": SILENT, "record": _credit(job, random)}
    if isinstance(job, Train):
        return _trained(job, random)
    if isinstance(job, Score):
        return _scored(job, random)
    if isinstance(job, Rules):
        values = {
            name: (mean + random.normal(0, 2, job.scenarios)).tolist()
            for name, mean in RULES[job.domain_name].items()
        }
        bound = {"mean": -33.0} if job.bound else None
        return {"kind": "rules", "values": values, "bound": bound, "seconds": 1.0}
    if isinstance(job, Measure):
        record = MEASURED[job.what](dict(job.values), random)
        return {"kind": "utilities", "what": job.what, "seconds": 1.0, "record": record}
    if isinstance(job, Games):
        return {"kind": "games", "seconds": 1.0, "record": _learnt_games(job, random)}
    if isinstance(job, Gradients):
        return _along(job, random)
    return {"kind": "variance", "seconds": 1.0, "record": _noise(job.agents, random)}


def _along(job: Gradients, random: np.random.Generator) -> dict[str, Any]:
    """A noisy gradient of the return and a steady one of a value, at an angle."""
    each = np.array([[[1.0, 0.0], [0.0, 0.001]], [[0.02, 0.015], [0.015, 0.03]]])
    shape = (2, len(job.iterations), job.train.settings.seeds, 1, 1)
    covariance, signal = each[:, None, None] * random.uniform(0.8, 1.2, shape)
    told = {"covariance": covariance.tolist(), "signal": signal.tolist()}
    return {"kind": "gradients", "iterations": list(job.iterations), "seconds": 1.0, **told}


def _scored(job: Score, random: np.random.Generator) -> dict[str, Any]:
    end = END.get(job.train.settings.algorithm_name, ELSE)
    values = end + random.normal(0, 2, (job.train.settings.seeds, job.scenarios))
    won = random.uniform(0.4, 0.8, job.train.settings.seeds).tolist()
    told = {"diagnostics": {"won": won, "success": won}, "seconds": 1.0}
    return {"kind": "scores", "values": values.tolist(), **told}


def _learned(job: Learn, random: np.random.Generator) -> dict[str, Any]:
    settings = job.train.settings
    name, servers = settings.algorithm_name, costs.size(settings.domain)
    if name in REFUSED:
        return {"kind": "refused", "why": REFUSED[name]}
    iterating = servers * (1 + 0.1 * random.random(settings.train.iterations))
    return {
        **_trained(job.train, random),
        **_scored(job, random),
        "iterating": iterating.tolist(),
        "actor": 1000 * servers,
        "besides": 500 * servers,
        "steps": 40 * (servers if name == "happo" else 1),
        "asks": ["model"] if name == "dgpg" else [],
    }


def _learnt_games(job: Games, random: np.random.Generator) -> dict[str, Any]:
    """Payoffs that hang on the game and the seed, and a little on the weight."""
    shape = (len(job.spreads), len(job.worlds), job.seeds, 1)
    outcome = random.choice([0.0, 0.5, 1.0, 2.0], size=shape)
    pays = outcome - 0.01 * np.array(job.weights)
    chance = np.full(pays.shape, 0.95)
    best = [2.0] * len(job.worlds)
    return {"pays": pays.tolist(), "chance": chance.tolist(), "best": best}


def _decayed(values: Mapping[str, Any], random: np.random.Generator) -> dict[str, Any]:
    closed = values["alpha"] / 2
    measured = closed * (1 + 0.05 * random.normal())
    errors = {str(k): 0.5 * measured**k for k in values["radii"]}
    factors = {"closed": closed, "measured": measured, "certified": 0.8, "light cone": 0.9}
    return factors | {"errors": errors}


def _grown(values: Mapping[str, Any], random: np.random.Generator) -> dict[str, Any]:
    one, branching = values["alpha"] / 2, (values["neighbours"] or 3) - 1
    felt = [(branching * one) ** k for k in range(values["farthest"] + 1)]
    factors = {"one": one, "branching": branching, "all": branching * one, "worst": 2 * one}
    return factors | {
        "agents": [branching**k for k in range(values["farthest"] + 1)],
        "felt": felt,
        "closed": values["neighbours"] and branching * one,
        "certified": 0.8,
        "errors": [0.5 * x for x in felt],
    }


def _noisy(values: Mapping[str, Any], random: np.random.Generator) -> dict[str, Any]:
    size = (0.7 if values["critic"] == "cone" else 1.0) * values["rollouts"] ** -0.5
    found = {}
    for radius in values["radii"]:
        bias, noise = 0.5 * 0.4**radius, 8 * size * (2 * radius + 1) ** 0.5
        error = float(np.hypot(bias, noise))
        found[str(radius)] = {"bias": bias, "noise": noise, "error": error}
    return found


def _learnt(values: Mapping[str, Any], random: np.random.Generator) -> dict[str, Any]:
    rows: list[dict[str, Any]] = [{"value": 0.3, "gap": 0.1, "share": 0.25, "iteration": 0}]
    for i in range(1, 11):
        gap = 0.1 / (1 + i) + 1e-3 * random.random()
        row = {"value": 0.4 - gap, "gap": gap, "share": gap / 0.4, "seconds": 1.0 * i}
        rows.append(row | {"iteration": i * values["period"]})
    if "entropy" in values["world"]:
        rows = [row | {"violation": 0.2 / (1 + i)} for i, row in enumerate(rows)]
    return {"optimum": 0.4, "bound": 0.4, "compiling": 9.0, "rows": rows}


def _local(values: Mapping[str, Any], random: np.random.Generator) -> dict[str, Any]:
    return {
        str(s): {"measured": 0.2 + 0.01 * s, "certified": 0.7, "spectral radius": 0.5 + 0.01 * s}
        for s in values["sharpness"]
    }


def _priced(values: Mapping[str, Any], random: np.random.Generator) -> dict[str, Any]:
    """Voters lose nothing; others the less, the farther they see."""
    first = 0.0 if values["domain"] == "voter" else 0.1 + 0.01 * random.random()
    views = {
        str(view): {"value": 0.7 - 0.2 * first / 4**view, "price": first / 4**view, "agree": 0.5}
        for view in values["views"]
    }
    return {"even": 0.5, "bound": 0.7, "open": 1e-6, "views": views}


def _truncated(values: Mapping[str, Any], random: np.random.Generator) -> dict[str, Any]:
    """Placeholders are five times as far off, but on voters."""
    factor = 1.0 if values["domain"] == "voter" else 5.0
    return {
        f"{kind} {wider}": [
            (factor if kind == "placeholder" else 1.0 + wider) * 0.5**k for k in values["radii"]
        ]
        for kind in ("none", "conditional", "td", "placeholder")
        for wider in (0, 1)
    }


def _fair(values: Mapping[str, Any], random: np.random.Generator) -> dict[str, Any]:
    told = _learnt(values, random)
    rows = [row | {"mean": 0.6, "least": 0.3 + 0.01 * i} for i, row in enumerate(told["rows"])]
    return told | {"rows": rows, "best": {"mean": 0.65, "least": 0.5}}


def _accessed(values: Mapping[str, Any], random: np.random.Generator) -> dict[str, Any]:
    seeds = values["seeds"]
    told = {"return": np.linspace(1.8, 3.5, 10)[:, None] + random.normal(0, 0.1, (10, seeds))}
    if values["world"].get("determinism") and values["settings"]["dual"] != "none":
        told["violation"] = np.linspace(3, 0.1, 10)[:, None] + np.zeros((1, seeds))
    return {
        "packets": (3.5 + random.normal(0, 0.1, seeds)).tolist(),
        "curves": {name: curve.tolist() for name, curve in told.items()},
    }


def _ruled(values: Mapping[str, Any], random: np.random.Generator) -> dict[str, Any]:
    return {"silent": 0.0, "random": 1.8, "aloha": 2.5, "assigned": 3.7}


def _plugged(values: Mapping[str, Any], random: np.random.Generator) -> dict[str, Any]:
    ways = ["exact", "reuse", "split", *(f"memory {m:g}" for m in values["memories"])]
    ways += [f"delta {delta:g}" for delta in values["deltas"]]
    found: dict[str, Any] = {}
    for i, way in enumerate(ways):
        along = (i + 0.1 * random.normal()) / values["rollouts"]
        found[way] = {"error": (8 + i) * values["rollouts"] ** -0.5}
        found[way] |= {} if way == "exact" else {"bias": abs(along), "along": along}
    return found


def _few(values: Mapping[str, Any], random: np.random.Generator) -> dict[str, Any]:
    ends = (
        0.3 + 0.02 * values["settings"]["credit_radius"] + random.normal(0, 1e-3, values["seeds"])
    )
    return {"values": ends.tolist(), "first": 0.25, "bound": 0.4}


MEASURED = {
    "few": _few,
    "plug_in": _plugged,
    "decay": _decayed,
    "growth": _grown,
    "noise": _noisy,
    "training": _learnt,
    "locality": _local,
    "price": _priced,
    "truncation": _truncated,
    "fairness": _fair,
    "access": _accessed,
    "access_rules": _ruled,
}


def _trained(job: Train, random: np.random.Generator) -> dict[str, Any]:
    settings = job.settings
    total, seeds = settings.train.iterations, settings.seeds
    steps = np.arange(total)[:, None]
    end = END.get(settings.algorithm_name, ELSE)
    reward = end - 40 * np.exp(-steps / 3) + random.normal(0, 0.5, (total, seeds))
    entropy = 1.6 * np.exp(-steps / 50) + np.zeros((1, seeds))
    servers = getattr(settings.domain, "servers", 1)
    one = 0.05 * servers * seeds
    judged = [row.tolist() if i % 5 == 4 else None for i, row in enumerate(reward)]
    return {
        "kind": "training",
        "settings": {"domain": settings.domain_name, "algorithm": settings.algorithm_name}
        | flatten(settings),
        "diverged": None,
        "metrics": {
            "return": reward.tolist(),
            "entropy": entropy.tolist(),
            "explained_variance": (0.7 - entropy / 4).tolist(),
            "validation": judged,
            "won": (1 - entropy / 2 + random.normal(0, 0.05, (total, seeds))).tolist(),
            "success": (1 - entropy / 2 + random.normal(0, 0.05, (total, seeds))).tolist(),
            "variance_left": (1.5 - entropy / 4).tolist(),
            "variance_left_centred": (0.9 - entropy / 4).tolist(),
        },
        "seconds": [one] * total,
        "starts": [{"seconds": 12 + one * total, "iterating": one * total, "peak_bytes": 2**30}],
        "rollout_bytes": 10**6 * servers * seeds,
        "policy_weights": 5000,
    }


def _noise(agents: int, random: np.random.Generator) -> dict[str, Any]:
    """Noise that is as the theory wants it: signal to noise falls as 1 / N, guided it stays."""
    plain, guided = _gradients(agents, random, (0.5,))
    names = ("dgpg-sampled", "dgpg-expected", "dgpg-exact")
    estimators = {**dict.fromkeys(("ippo", "mappo"), plain), **dict.fromkeys(names, guided)}
    return {"domain": "cloud", "agents": agents, "estimators": estimators}


def _credit(job: Noise, random: np.random.Generator) -> dict[str, Any]:
    plain, guided = _gradients(job.agents, random, job.weights)
    estimators = {
        name: guided if settings.algorithm_name in ("dgpg", "maipg") else plain
        for name, settings in job.settings
        if name not in SILENT and name not in REFUSED
    }
    return {"domain": "balance", "agents": job.agents, "estimators": estimators}


def _gradients(
    agents: int, random: np.random.Generator, weights: tuple[float, ...]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What there is to say of a gradient without and with guidance."""

    def known(value: float) -> dict[str, Any]:
        return {"value": value, "low": 0.7 * value, "high": 1.3 * value}

    def noise(snr: float, others: float) -> dict[str, Any]:
        resamples = {
            name: (value * np.exp(random.normal(0, 0.1, 200))).tolist()
            for name, value in {"snr": snr, "others": others}.items()
        }
        resamples |= {"shared_snr": resamples["snr"], "variance": resamples["snr"]}
        shares = {"world": known(0.2), "own": known(0.8 - others), "others": known(others)}
        return {
            **{name: known(snr) for name in ("snr", "shared_snr", "team_snr", "variance")},
            "signal": known(1.0),
            "shares": shares,
            "resamples": resamples,
        }

    plain = {
        "learning": noise(1 / agents, 0.5),
        "guidance": None,
        "mixtures": [],
        "correlation": None,
        "theorem": None,
    }
    guided = {
        "learning": noise(1 / agents, 0.5),
        "guidance": noise(0.5, 0.1),
        "mixtures": [{"alpha": weight, **noise(0.4, 0.1)} for weight in weights],
        "correlation": known(0.1),
        "theorem": {
            "best_predicted": 0.8,
            "best_measured": 0.7,
            "minimum_measured": 1.0,
            "measured_at_best_predicted": 1.1,
        },
    }
    return plain, guided
