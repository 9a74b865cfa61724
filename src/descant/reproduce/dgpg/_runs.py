"""Runs and sentences that several targets share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from descant.reproduce._common.jobs import Rules, Score, Train
from descant.reproduce._common.plan import Scale, settle

STEADY = {
    "algorithm.entropy": 0.005,
    "algorithm.entropy_stop": 0.005,
    "algorithm.critic_epochs": 4,
}
"""What of the paper's stabilisers fits our own settings: a fixed entropy bonus, and more passes of
the critic than of the actor (appendix I.2)."""


@dataclass(frozen=True, eq=False)
class Method:
    """One line of a figure."""

    key: str
    label: str
    algorithm: str
    colour: str
    preset: str | None = None
    values: Mapping[str, Any] | None = None


DESCANT = Method("descant", "DG-PG descant", "dgpg", "accent")
PUBLISHED = Method("published", "DG-PG faithful", "dgpg", "run-1", "published")
MAPPO = Method("mappo", "MAPPO", "mappo", "run-2", None, STEADY)
IPPO = Method("ippo", "IPPO", "ippo", "run-3", None, STEADY)

SELECTED = {"train.select": "best", "train.validation": 8}
"""Learners are chosen on scenarios that are neither trained on nor reported."""
UNSCORED = {"train.select": "last", "train.validation": 0}


def training(
    method: Method, servers: int, scale: Scale, values: Mapping[str, Any] | None = None
) -> Train:
    """A training run of a method at a size.

    Training itself compares with nothing: rules and policies are scored by jobs of their own.
    """
    return _training(method, servers, scale, tuple((values or {}).items()))


@cache
def _training(
    method: Method, servers: int, scale: Scale, values: tuple[tuple[str, Any], ...]
) -> Train:
    told = {
        "domain.servers": servers,
        "train.scenarios": 0,
        **SELECTED,
        **(method.values or {}),
        **dict(values),
        **scale.values,
    }
    if method.key in scale.iterations:
        told["train.iterations"] = scale.iterations[method.key]
    if (rollouts := scale.rollouts_at(servers)) is not None:
        told["train.rollouts"] = rollouts
    return Train(replace(settle(method.algorithm, method.preset, told), seeds=scale.seeds))


def scoring(train: Train, scale: Scale, servers: int = 0) -> Score:
    """A run's policies on held-out scenarios of its own size, or of another."""
    return Score(train, scale.scenarios_at(servers or train.settings.domain.servers), servers)


GUIDES = ("observation", "model", "barrier", "blocking", "kappa")
"""Settings of the domain that change no scenario."""


def rules(train: Train, scale: Scale, servers: int = 0, *, bound: bool = False) -> Rules:
    """All rules in the world of a run, or of another size.

    What guides and what agents see does not change the world, so it is left at its default, and
    methods that differ in it share their rules.
    """
    domain, known = train.settings.domain, type(train.settings.domain)()
    told = {name: getattr(known, name) for name in GUIDES}
    size = servers or domain.servers
    domain = replace(domain, servers=size, **told)
    return Rules(train.settings.domain_name, domain, scale.scenarios_at(size), bound)


def shrunk(scale: Scale) -> list[str]:
    """What a reader must know about a scale that is not the published one."""
    if scale.name == "full":
        return [f"Published size, {scale.seeds} seeds."]
    lengths = ", ".join(f"{method} {n}" for method, n in scale.iterations.items())
    if len(set(scale.iterations.values())) == 1:
        lengths = str(next(iter(scale.iterations.values())))
    return [
        f"Scale --{scale.name}: {scale.seeds} seeds"
        + (f", {_rollouts(scale)}" if scale.rollouts else "")
        + (f", iterations: {lengths}" if lengths else "")
        + ". The published size is --full; what unfinished training falls short of does not speak "
        "against the paper."
    ]


def _rollouts(scale: Scale) -> str:
    parts = [f"{k} from N = {n}" if n else f"{k}" for n, k in scale.rollouts.items()]
    return f"{', '.join(parts)} rollouts per iteration"


def at(sizes: Sequence[int]) -> str:
    """Sizes in a sentence."""
    return f"N = {', '.join(f'{n:,}' for n in sizes)}" if sizes else "no size"
