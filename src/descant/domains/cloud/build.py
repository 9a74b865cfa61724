"""From a configuration to a domain."""

import math

from descant.core.domain import Domain
from descant.core.types import Spec
from descant.domains.cloud import Config
from descant.domains.cloud import instances as cloud
from descant.domains.cloud.env import Cluster, comparable, sizes
from descant.domains.cloud.model import Placement, prepare
from descant.domains.cloud.rules import rules
from descant.domains.cloud.workload import AbstractWorkload, Paper, room

SLOTS_PER_SERVER = 2.2
"""Under true load about 1.25 jobs per server and tick arrive on average and 1.7 at high tide."""


def build(config: Config, groups: int) -> Domain:
    """Assemble world, model and rules.

    Raises:
        UserError: the trace cannot be used.
    """
    workload = _workload(config, groups)
    full = config.observation == "full"
    kappa = config.kappa if config.reference == "efficiency" else 0.0
    resources = len(workload.resources)
    size = sizes(resources, full)
    env = Cluster(
        spec=Spec(
            agents=config.agents or _slots(config),
            actions=groups,
            horizon=config.horizon,
            entities=config.servers,
            comparable=comparable(resources, full),
            **size,
        ),
        workload=workload,
        groups=groups,
        full=full,
        queue_weight=config.queue_weight,
        energy_weight=config.energy_weight,
        total_capacity=config.reward_scale == "total",
        guarded=bool(config.trace),
        prepare=lambda scenario: prepare(env, kappa, scenario),
    )
    model = Placement(env=env, kappa=kappa)
    return Domain(
        name="cloud",
        env=env,
        model=model,
        rules=rules(env, model),
        headline="best-fit",
        figures=("utilisation", "queue", "energy", "buffered"),
    )


def _slots(config: Config) -> int:
    return math.ceil((SLOTS_PER_SERVER if config.load == "true" else 1) * config.servers)


def _workload(config: Config, groups: int) -> AbstractWorkload:
    low, high = config.utilisation
    true = config.load == "true"
    # Under true load the rate follows the drawn machines; 60 % of a mean machine is one deviation.
    per_server = 1.6 if true else 1.0
    ticks = config.arrivals * (1 + cloud.TIDE * (config.arrivals % cloud.PERIOD != 0))
    mean = high * per_server * config.servers * ticks
    spread = high * 0.6 * per_server * math.sqrt(config.servers) * ticks if true else 0.0
    slowest = cloud.EFFICIENCY[:, 0].min()
    return Paper(
        servers=config.servers,
        ordered=groups < config.servers,
        rate=1.0,
        by_capacity=true,
        load=(low, high),
        horizon=config.horizon,
        arrivals=config.arrivals,
        jobs=room(mean, spread),
        longest=math.ceil(cloud.DURATION[2][1] * 1000 / slowest),
    )
