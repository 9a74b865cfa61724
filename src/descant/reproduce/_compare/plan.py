"""Who is compared, and what all of them are given alike."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from descant.core import discovery
from descant.reproduce._common.jobs import Job, Rules, Train, setting
from descant.reproduce._common.plan import Scale, settle
from descant.reproduce._compare.jobs import Learn, Noise
from descant.train.settings import Settings, defaults, flatten, with_values

DOMAIN = "cloud"
SCALES = {
    "quick": Scale(
        "quick",
        servers=(5, 20),
        seeds=2,
        scenarios=20,
        values={
            "domain.horizon": 600,
            "domain.arrivals": 400,
            "train.iterations": 10,
            "train.rollouts": 4,
        },
    ),
    "full": Scale(
        "full",
        servers=(5, 20, 100),
        seeds=5,
        largest={"happo": 20},
        values={"train.iterations": 50, "train.rollouts": 4},
    ),
}
FOOTING = {"net": "mlp", "order": "together", "hidden": 32, "depth": 2, "embedding": 16}
"""What actors are, in every algorithm: the network that all of them can have."""
UNSELECTED = {"train.select": "last", "train.validation": 0, "train.scenarios": 0}
"""The last learner counts."""
VARIANTS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "maipg": {"sum": {"algorithm.mixer": "sum"}, "monotone": {"algorithm.mixer": "monotone"}},
}
"""Algorithms that stand in several rows, and the settings of each."""
WEIGHTS = {"dgpg": "stop", "maipg": "nu"}
"""The setting with the weight of an algorithm's second gradient."""
LEAST = "random"
"""The rule that anybody should beat."""
FIRST = "mappo"
"""At whose policy all are asked for their gradients."""
TOY = "balance"
"""Where gradients are asked for: worlds by the hundred, and effects that are felt at once."""
CROWDS = {"quick": (4, 16), "full": (4, 8, 16, 32, 64, 128)}
"""Agents there."""
SAMPLES = {"quick": 512, "full": 2048}
"""Worlds."""
FOLLOWED = 60
"""Iterations for which critics follow the policy before that."""
NOISE_SEEDS = {"quick": 1, "full": 3}
FOLLOWING = {"discount": 0.9, "critic_epochs": 4, "minibatches": 0, "critic.lag": 0.02}
"""How critics follow it, in episodes of few ticks."""


@dataclass(frozen=True)
class Method:
    """A row of the comparison."""

    key: str
    label: str
    algorithm: str
    values: tuple[tuple[str, Any], ...] = ()


@cache
def methods() -> tuple[Method, ...]:
    """All algorithms of the library, some in several rows; which can be had, only trying tells."""
    return tuple(row for name in discovery.names("algorithms") for row in _rows(name))


def method(key: str) -> Method:
    """The row of a key."""
    return next(row for row in methods() if row.key == key)


def learn(row: Method, servers: int, scale: Scale) -> Learn:
    """A method's learners at a size, on held-out scenarios."""
    settings = replace(_settings(row, servers, scale), seeds=scale.seeds)
    return Learn(Train(settings), scale.scenarios_at(servers))


def rules(servers: int, scale: Scale) -> Rules:
    """All rules on the same scenarios."""
    domain = _settings(method(FIRST), servers, scale).domain
    return Rules(DOMAIN, domain, scale.scenarios_at(servers))


def crowds(scale: Scale) -> tuple[int, ...]:
    """Numbers of agents at which gradients are looked at."""
    return CROWDS["full" if scale.name == "full" else "quick"]


def noises(scale: Scale) -> list[Noise]:
    """The noise of everybody's gradients, by size and seed."""
    size = "full" if scale.name == "full" else "quick"
    weights = tuple(sorted({w for row in methods() if (w := weight(row)) is not None}))
    return [
        Noise(_asked(agents), weights, SAMPLES[size], FOLLOWED, seed)
        for agents in CROWDS[size]
        for seed in range(NOISE_SEEDS[size])
    ]


def jobs(scale: Scale) -> list[Job]:
    """Noise, and rules and learners at every size."""
    found: list[Job] = [*noises(scale)]
    for servers in scale.servers:
        here = [row for row in methods() if servers in scale.sizes(row.key)]
        found += [rules(servers, scale), *(learn(row, servers, scale) for row in here)]
    return found


def weight(row: Method) -> float | None:
    """What an algorithm's second gradient weighs at the end of training; None without one."""
    name = WEIGHTS.get(row.algorithm)
    if name is None:
        return None
    return setting(settle(row.algorithm, None, dict(row.values)), name)


def _rows(algorithm: str) -> list[Method]:
    module = discovery.load("algorithms", algorithm)
    title = discovery.summary(module).partition(":")[0]
    found = VARIANTS.get(algorithm, {"": {}})
    return [
        Method(
            f"{algorithm}-{kind}" if kind else algorithm,
            f"{title} ({kind})" if kind else title,
            algorithm,
            tuple(values.items()),
        )
        for kind, values in found.items()
    ]


@cache
def _known(algorithm: str) -> frozenset[str]:
    return frozenset(flatten(defaults(DOMAIN, algorithm)))


def _settings(row: Method, servers: int, scale: Scale) -> Settings:
    alike = where_known(row.algorithm, FOOTING)
    told = {"domain.servers": servers, **UNSELECTED, **alike, **dict(row.values), **scale.values}
    return settle(row.algorithm, None, told)


def _asked(agents: int) -> tuple[tuple[str, Settings], ...]:
    """By method, settings in the toy; the one at whose policy all are asked comes first."""
    found = []
    for row in sorted(methods(), key=lambda row: row.key != FIRST):
        alike = where_known(row.algorithm, FOOTING | FOLLOWING)
        told = {"domain.agents": agents, **alike, **dict(row.values)}
        found.append((row.key, with_values(defaults(TOY, row.algorithm), told)))
    return tuple(found)


def where_known(algorithm: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of some settings that an algorithm has, by dotted name."""
    names = (
        (full, value)
        for name, value in values.items()
        for full in (f"algorithm.{part}{name}" for part in ("", "base."))
    )
    return {full: value for full, value in names if full in _known(algorithm)}
