"""About how long things take on two cores of a server.

For planning an afternoon, not for a table: some figures were taken while other work ran, those for
`mlp` from 100 servers and `pointer` from 500 are extrapolated, and other machines differ by
factors.
"""

import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from descant.train.settings import Settings, flatten

if TYPE_CHECKING:
    from descant.reproduce._common.jobs import Job

ROLLOUT = {
    "pointer": {2: 0.015, 5: 0.03, 20: 0.16, 50: 0.85, 200: 4.5, 1500: 45.0},
    "mlp": {5: 0.08, 20: 0.3, 50: 1.4, 100: 5.0, 200: 15.0},
    "linear": {2: 0.015, 5: 0.02, 10: 0.035},
}
"""Seconds of an iteration per rollout of 3,000 ticks, update included, by network and servers."""
UPDATE = {"pointer": 0.5, "mlp": 0.8, "linear": 0.8}
"""Share of it that is the update, at the epochs below."""
EPOCHS = {"pointer": 2, "mlp": 8, "linear": 23}
"""Actor's and critic's passes together for which it was measured."""
PLAY = {2: 0.003, 5: 0.005, 20: 0.025, 50: 0.11, 200: 0.8, 2000: 40.0}
"""Seconds of one held-out scenario under one policy or rule."""
BOUND = {5: 0.3, 20: 1.0, 200: 1.4}
"""Seconds of the bound of one scenario."""
TICKS = 3000
COMPILE = 12.0
CACHED = 0.8
"""Share of that which the compile cache saves."""
START = 5.0
"""Seconds until a run trains, compilation left out, and after: checkpoints, page."""
RULES = 14


@cache
def training(settings: Settings) -> float:
    """Seconds of a training run."""
    known = {name.rpartition(".")[2]: value for name, value in flatten(settings).items()}
    net, knobs = known["net"], settings.train
    share = (1 - UPDATE[net]) + UPDATE[net] * (known["epochs"] + known["critic_epochs"]) / EPOCHS[
        net
    ]
    ticks = (knobs.steps or settings.domain.horizon) / TICKS
    servers = max(knobs.servers or (size(settings.domain),))
    one = between(ROLLOUT[net], servers) * share * ticks
    # Runs in one world find the program that plays its rules in the compile cache.
    judged = rules(settings.domain, knobs.validation, False, knobs.rules) - COMPILE * CACHED
    return START + COMPILE + judged + settings.seeds * knobs.iterations * knobs.rollouts * one


def scoring(world: Settings, scenarios: int) -> float:
    """Seconds of scoring a run's policies."""
    played = between(PLAY, size(world.domain)) * world.domain.horizon / TICKS
    return COMPILE / 2 + world.seeds * scenarios * played


def rules(domain: Any, scenarios: int, bound: bool, names: Sequence[str] = ()) -> float:
    """Seconds of scoring rules, all where none is named, and of the bound that none can exceed."""
    share = domain.horizon / TICKS
    bounding = between(BOUND, size(domain)) * share if bound else 0.0
    return COMPILE + scenarios * (
        (len(names) or RULES) * between(PLAY, size(domain)) * share + bounding
    )


def size(domain: Any) -> int:
    """How many there are of those who decide, or of what is decided about: servers of a cluster,
    agents of another domain."""
    return domain.servers if hasattr(domain, "servers") else domain.agents


def total(jobs: Sequence["Job"]) -> float:
    """Seconds of all jobs, each once."""
    return sum(job.seconds() for job in {job.name: job for job in jobs}.values())


def between(known: Mapping[int, float], size: int) -> float:
    """A value between measured sizes, straight on logarithmic axes, and beyond them."""
    sizes = sorted(known)
    above = next((i for i, n in enumerate(sizes) if n >= size), len(sizes) - 1)
    a, b = sizes[max(above - 1, 0)], sizes[max(above, 1)]
    slope = math.log(known[b] / known[a]) / math.log(b / a)
    return known[a] * (size / a) ** slope


def rough(seconds: float) -> str:
    """A time as an estimate deserves: `3 min`, `14 h`, `9 days`."""
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 1):.0f} s"
