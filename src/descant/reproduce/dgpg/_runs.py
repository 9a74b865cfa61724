"""Runs and sentences that several targets share."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from descant.presets import DECISIONS
from descant.reproduce._common.jobs import Rules, Score, Train
from descant.reproduce._common.plan import Scale, settle

BATCH = 10_000
"""Decisions in a minibatch of the paper's baselines."""
ROLLOUTS = {5: 24, 10: 12, 20: 6}
"""Scenarios in an iteration of theirs at N = 5, and as many decisions at sizes above; from N = 30
on our default has more."""


def steady(servers: int) -> dict[str, Any]:
    """The paper's stabilisers of MAPPO and IPPO (Table 6, appendix I.2), for our network: a fixed
    entropy bonus, many rollouts, and 20 passes of the critic beside 3 of the actor, all over the
    whole of them in large minibatches."""
    size = next((n for n in ROLLOUTS if servers <= n), 0)
    return {
        **({"train.rollouts": ROLLOUTS[size]} if size else {}),
        "algorithm.trust": None,
        "algorithm.entropy": 0.005,
        "algorithm.entropy_stop": 0.005,
        "algorithm.epochs": 3,
        "algorithm.critic_epochs": 20,
        "algorithm.minibatch": max(1, round(BATCH / (DECISIONS * servers))),
        "algorithm.minibatches": 0,
    }


@dataclass(frozen=True, eq=False)
class Method:
    """One line of a figure."""

    key: str
    label: str
    algorithm: str
    colour: str
    preset: str | None = None
    values: Callable[[int], Mapping[str, Any]] | None = None
    """Settings of its own by servers."""
    here: bool = False
    """Whether it learns where it is scored although its preset would have it learn elsewhere."""
    home: int = 0
    """Servers among which it learns, whatever the size that it is scored at; 0 learns there."""


HOME = 20
"""Where policies that move are trained."""
DESCANT = Method("descant", "DG-PG descant", "dgpg", "accent", "descant", here=True)
MOVED = replace(
    DESCANT, key="moved", label=f"DG-PG descant, trained at {HOME}", colour="run-4", home=HOME
)
PUBLISHED = Method("published", "DG-PG faithful", "dgpg", "run-1", "published")
MAPPO = Method("mappo", "MAPPO", "mappo", "run-2", None, steady)
IPPO = Method("ippo", "IPPO", "ippo", "run-3", None, steady)

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
    servers = method.home or servers
    told = {
        "domain.servers": servers,
        **({"train.servers": (servers, servers)} if method.here else {}),
        "train.scenarios": 0,
        # What progress is shown against; all rules are scored by a job of their own.
        "train.rules": ("best-fit",),
        **SELECTED,
        **(method.values(servers) if method.values else {}),
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
    home = train.settings.domain.servers
    away = 0 if servers == home else servers
    return Score(train, scale.scenarios_at(away or home), away)


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
