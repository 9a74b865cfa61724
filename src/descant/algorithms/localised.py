"""Localised: each agent climbs the shadow rewards of those near it; after Ying et al. (2023).

General utilities of occupancies on a network, by tables or networks of what an agent sees. What is
learned from are shadow rewards, gradients of the utilities, and of those only what an action can
have changed nearby.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from descant.core.errors import UserError

if TYPE_CHECKING:
    from descant.algorithms._localised import Localised
    from descant.core.domain import Domain

TABLE = {
    "view": "`view` hops",
    "sharing": "own, or shared",
    "credit": "shadow reward -> return -> neighbourhood",
    "ascent": "tables, or networks",
}
DOMAIN = "voter"
"""Where its command in the table of algorithms leads: it takes a network."""


@dataclass(frozen=True)
class Config:
    """Localised policy gradients."""

    credit_radius: int = 2
    """Hops up to which the utilities of others count; a radius beyond the diameter counts
    everybody's, the full gradient."""
    view: int = 0
    """Hops up to which agents see states when they act."""
    sharing: Literal["own", "shared"] = "own"
    """Whether each agent has a table or network of its own, or all have one."""
    net: Literal["auto", "table", "mlp"] = "auto"
    """What says chances: a table, or a multilayer perceptron of the states seen; `auto` takes a
    table where states can be counted."""
    hidden: int = 64
    """Units of a hidden layer, of `net mlp` and of critics that are networks."""
    depth: int = 2
    """Hidden layers of both."""
    critic: Literal["cone", "mc", "td", "additive", "pairwise", "gae", "neural"] = "cone"
    """What an agent's rewards are worth from a tick on: those that followed and that the action can
    have reached (`cone`), which takes the longer the farther away they are; all that followed
    (`mc`); or what is fitted to the states and actions nearby: a table (`td`), a sum of tables
    (`additive`, or over pairs with the own, `pairwise`), generalised advantages of a table of
    states, or where those are points of a network that all share (`gae`), such a network of states
    and actions (`neural`)."""
    critic_radius: int | None = None
    """Hops up to which fitted critics read states and actions; as far as credit goes where it is
    left out."""
    trace: float = 0.9
    """Lambda of `gae` and of the targets of `neural`."""
    sweeps: int = 30
    """Sweeps of temporal differences of critics that are tables; steps that networks take on a
    batch."""
    critic_rate: float = 3e-3
    """Size of those steps."""
    baseline: bool = True
    """Subtract from returns the mean of the other scenarios at the same agent and tick."""
    occupancy: Literal["batch", "restart", "polynomial", "kernel"] = "batch"
    """What occupancies are estimated from: the batch, its ticks discounted; worlds of their own
    that start anew by chance, so that no episode cuts them off; or a model of how the batch shares
    its time among states in an order, of polynomials' exponentials or of bells."""
    chains: int = 16
    """Worlds of `restart`, which are walked as long as an episode."""
    degree: int = 3
    """Of `polynomial`."""
    bandwidth: float = 0.1
    """Deviation of the bells of `kernel`, in shares of the range of states."""
    memory: float = 0.0
    """Share of earlier occupancies that is kept from one update to the next; 0 takes those of the
    batch alone."""
    split: bool = False
    """Estimate occupancies from one half of the scenarios and gradients from the other, so that
    luck in the one says nothing about luck in the other."""
    discount: float = 0.9
    """Discount per tick, of occupancies and returns."""
    rate: float | None = None
    """Step size at the first update; left out, 0.2 for tables and 0.003 for networks. Steps are
    those of Adam, with gradients times the number of agents, so that it does not depend on that."""
    rate_decay: Literal["linear", "constant"] = "linear"
    """Whether the step size falls to 1 % over 95 % of training."""
    entropy: float = 0.0
    """Weight of a bonus for the entropy of choices at the first update, in units of reward; it
    falls to nothing over 95 % of training. Without one, networks may be decided before they know
    enough."""
    dual: Literal["closed", "ascent", "augmented", "none"] = "closed"
    """How constraints are kept where the domain has any: at a price per agent that is `dual-rate`
    times its violation; that adds up; that adds up beside `penalty` times the violation; or not."""
    dual_rate: float = 10.0
    """How fast prices grow with violations."""
    penalty: float = 10.0
    """What violations count at once with `augmented`."""
    dual_most: float = 100.0
    """Largest price."""
    largest: float = 8.0
    """Logits are held within this size."""
    cut: float | None = None
    """Shadow rewards are cut at this size; `none` leaves them as they are."""

    @property
    def read(self) -> int | None:
        """Hops up to which a fitted critic reads; None where there is none."""
        if self.critic in ("cone", "mc"):
            return None
        return self.credit_radius if self.critic_radius is None else self.critic_radius

    def validate(self) -> None:
        """Check ranges.

        Raises:
            UserError: a value is out of its range; the field is named.
        """
        for name in ("credit_radius", "view", "critic_radius"):
            if (getattr(self, name) or 0) < 0:
                raise UserError(
                    f"algorithm.{name}: expected at least 0, got {getattr(self, name)}."
                )
        above = ("rate", "largest", "cut", "dual_rate", "penalty", "dual_most")
        for name in (*above, "critic_rate", "bandwidth"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UserError(f"algorithm.{name}: expected above 0, got {value}.")
        if self.split and self.occupancy == "restart":
            raise UserError(
                "algorithm.split: restart has worlds of its own for occupancies, so nothing of a "
                "batch is left to split; leave one of them out."
            )
        if not 0 <= self.entropy < math.inf:
            raise UserError(f"algorithm.entropy: expected at least 0, got {self.entropy}.")
        if not 0 <= self.memory < 1:
            raise UserError(f"algorithm.memory: expected from 0 to below 1, got {self.memory}.")
        if not 0 <= self.trace <= 1:
            raise UserError(f"algorithm.trace: expected 0 to 1, got {self.trace}.")
        for name in ("sweeps", "chains", "degree", "hidden", "depth"):
            if getattr(self, name) < 1:
                raise UserError(
                    f"algorithm.{name}: expected at least 1, got {getattr(self, name)}."
                )
        if not 0 < self.discount < 1:
            raise UserError(
                f"algorithm.discount: expected above 0 and below 1, got {self.discount}."
            )


def make(config: Config, domain: Domain) -> Localised:
    """The algorithm for a domain.

    Raises:
        UserError: the domain is no network, or a value cannot be used.
    """
    config.validate()
    from descant.algorithms._localised import Localised, critic, density, nearby
    from descant.algorithms._localised_actors import actors
    from descant.core.network import AbstractNetwork
    from descant.credit.links import chain
    from descant.credit.networked import AgainstOthers
    from descant.credit.schedules import Constant, Ramp
    from descant.nets.table import check_size
    from descant.ops.duals import Duals
    from descant.ops.neighbourhood import heard
    from descant.ops.restarts import Restarts

    network, objective = domain.network, domain.objective
    if network is None:
        raise UserError(
            f"{domain.name!r} has no network; localised learns on networks, such as 'voter'. MAPPO "
            f"runs without."
        )
    agents, states, actions = network.graph.agents, network.states, network.actions
    constraint = None if config.dual == "none" else domain.constraint
    for wanted in (objective, constraint):
        if wanted is not None:
            wanted.check(agents, states, actions)
    counted = isinstance(network, AbstractNetwork)
    tables = counted if config.net == "auto" else config.net == "table"
    if tables and not counted:
        raise UserError(
            f"algorithm.net: states of {domain.name!r} are points, which no table lists; use "
            f"--algorithm.net mlp."
        )
    choosers = actors(config, network, tables=tables)
    if tables:
        check_size(choosers.window, actions)
    cone = config.critic == "cone"
    near = nearby(network, config.credit_radius, config.view, cone=cone, paid=objective is None)
    baseline = [AgainstOthers()] if config.baseline else []
    rate = config.rate or (0.2 if tables else 3e-3)
    restart = config.occupancy == "restart"
    return Localised(
        objective=objective,
        paid=network if objective is None else None,
        constraint=constraint,
        duals=None
        if config.dual == "none"
        else Duals(config.dual, config.dual_rate, config.penalty, config.dual_most),
        credit=chain(critic(config, network), near, *baseline),
        actors=choosers,
        restarts=Restarts(domain.env, config.chains, config.discount) if restart else None,
        density=density(config, network, domain.name),
        horizon=domain.env.spec.horizon,
        discount=config.discount,
        split=config.split,
        memory=config.memory,
        cut=config.cut,
        credited=config.credit_radius,
        read=config.read,
        heard=sum(map(heard, near.rings)) / agents - 1,
        bonus=Ramp(start=config.entropy, stop=0.0, end=0.95) if config.entropy else None,
        size=1 if counted else 4 * network.width,
        rate=Constant(level=rate)
        if config.rate_decay == "constant"
        else Ramp(start=rate, stop=0.01 * rate, end=0.95),
    )
