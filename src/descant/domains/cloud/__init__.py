"""Place jobs on a heterogeneous cluster: one agent per job, a shared cost of waiting and energy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from descant.core.errors import UserError

if TYPE_CHECKING:
    from descant.core.domain import Domain


LARGE = 300
"""Servers from which agents choose between groups in any case, of up to 20 servers."""


@dataclass(frozen=True)
class Config:
    """Cloud scheduling."""

    servers: int = 20
    """Servers in the cluster."""
    fewest: int = 0
    """Servers of the smallest scenario: each draws its number between this and `servers`; 0 for
    scenarios of one size."""
    clusters: int = 0
    """Groups that agents choose between, Best-Fit inside; 0 takes the paper's Table 5: one server
    each up to 20 (and for a trace, where sizes are drawn, and below 300 under true load), then 25
    or 40 groups where that cuts evenly into at most 5 servers each, else groups of the most servers
    that divide, up to 5, and up to 20 from 300 servers on."""
    load: Literal["slots", "true"] = "slots"
    """What `utilisation` is a share of: the agents' slots (the paper's reading: rho N jobs a tick)
    or the servers' capacity in their tightest resource."""
    utilisation: tuple[float, float] = (0.80, 0.85)
    """Range of the target utilisation, drawn per scenario."""
    agents: int = 0
    """Agent slots, which is the most jobs placed in one tick; 0 takes one per server under
    `load = "slots"`, 2.2 per server under `load = "true"`, where dispatch must not be the
    bottleneck, and for a trace about four per job that arrives in a tick."""
    reward_scale: Literal["cores", "total"] = "cores"
    """What energy is divided by: cores (the paper's Table 1) or cores + GB (its Figure 3)."""
    queue_weight: float = 1.0
    """Cost of one waiting job per server."""
    energy_weight: float | None = None
    """Cost of energy relative to capacity. `none` takes the paper's 20, and 0 for a trace: its
    nodes state no efficiency, so energy could only reward leaving jobs undone."""
    horizon: int = 3000
    """Ticks of an episode."""
    arrivals: int = 2000
    """Ticks with arrivals; the rest of the episode drains."""
    observation: Literal["full", "paper", "clusters"] = "full"
    """What agents see: the paper's seven features of each server, its 28 statistics of each group,
    or, in full, committed load and free capacity of each server beside the seven."""
    model: Literal["crowding", "queueing", "efficiency", "proportional"] = "crowding"
    """What guides: the cost of crowding (a barrier per resource, energy, a charge for jobs that
    must wait), or the distance to a reference: the load with the least energy and queueing,
    efficient servers filled first, or load in proportion to capacity (the paper)."""
    barrier: float = 0.3
    """Weight of `crowding`'s barrier, and of `queueing`'s queues, against all else; with more,
    servers are filled more evenly than they need be."""
    blocking: float = 100.0
    """Waiting jobs that `crowding` charges for one that does not fit where it goes: it stands in
    the way of those behind it, for as long as it takes."""
    kappa: float = 4.0
    """Weight of efficiency against balance in the `efficiency` reference; 0 is proportional."""
    trace: str = ""
    """Folder of an imported trace; its nodes and jobs replace the synthetic ones."""
    tick: float = 60.0
    """Seconds in a tick, for traces."""

    def __post_init__(self) -> None:
        """Make the trace's path absolute: a run must find it from any folder."""
        if self.trace:
            object.__setattr__(self, "trace", str(Path(self.trace).absolute()))

    def validate(self) -> None:
        """Check ranges and combinations.

        Raises:
            UserError: a value cannot be used; the field is named.
        """
        for name in ("servers", "horizon", "arrivals"):
            if getattr(self, name) < 1:
                raise UserError(f"domain.{name}: expected at least 1, got {getattr(self, name)}.")
        for name in ("clusters", "agents", "fewest"):
            if getattr(self, name) < 0:
                raise UserError(f"domain.{name}: expected at least 0, got {getattr(self, name)}.")
        for name in ("queue_weight", "energy_weight", "barrier", "blocking", "kappa"):
            if not (getattr(self, name) or 0) >= 0:
                raise UserError(f"domain.{name}: expected at least 0, got {getattr(self, name)}.")
        if self.model == "queueing" and not self.queue_weight * self.barrier > 0:
            name = "barrier" if self.queue_weight > 0 else "queue_weight"
            raise UserError(
                f"domain.{name}: expected above 0, for domain.model = queueing balances queues "
                f"against energy; got 0."
            )
        if not self.tick > 0:
            raise UserError(f"domain.tick: expected seconds above 0, got {self.tick}.")
        if self.arrivals > self.horizon:
            raise UserError(
                f"domain.arrivals: {self.arrivals} ticks with arrivals do not fit in "
                f"domain.horizon = {self.horizon}; set both."
            )
        if self.fewest > self.servers:
            raise UserError(
                f"domain.fewest: expected at most domain.servers = {self.servers}, "
                f"got {self.fewest}."
            )
        if self.fewest and self.trace:
            raise UserError("domain.fewest: scenarios of a trace are of one size.")
        low, high = self.utilisation
        if not 0 < low <= high:
            raise UserError(
                f"domain.utilisation: expected two numbers 0 < low <= high, got {low} and {high}."
            )
        groups = groups_of(self)
        if self.servers % groups:
            raise UserError(
                f"domain.clusters: {self.servers} servers cannot be cut into {groups} equal "
                f"groups; choose a divisor of domain.servers."
            )


def groups_of(config: Config) -> int:
    """Groups that agents choose between: Table 5 of Yang & Liu (2026) where the config leaves it
    open."""
    if config.clusters:
        return config.clusters
    servers = config.servers
    alone = LARGE if config.load == "true" else 21
    if servers < alone or config.trace or config.fewest:
        return servers
    for groups in (25, 40):
        if servers % groups == 0 and servers // groups <= 5:
            return groups
    largest = 20 if servers >= LARGE else 5
    return next(servers // size for size in range(largest, 0, -1) if servers % size == 0)


def make(config: Config) -> Domain:
    """The domain: world, analytic model and rules.

    Raises:
        UserError: the configuration or the trace cannot be used.
    """
    config.validate()
    from descant.domains.cloud.build import build

    return build(config, groups_of(config))
