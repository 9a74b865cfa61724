"""The words of the library: what agents see, what a tick gives, what a rollout keeps.

Axes, one letter each, everywhere: **T** time, **E** environments (scenarios), **N** agents,
**D** local features, **K** entities, **F** entity features, **G** global features, **A** actions,
**V** values per tick (one for a critic of the world, N for critics of local views),
**M** coordinates of the system state, **B** minibatch, **S** seeds.
"""

from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jaxtyping
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

PyTree = Any
Key = PRNGKeyArray
Keys = jaxtyping.Key[Array, " S"]
"""Random keys side by side, of seeds or of scenarios."""
Scalar = Float[Array, ""]
Number = Scalar | float
"""A constant of a compiled program, or something that it is given and used with at many values."""
Action = Int[Array, "*batch N"] | Float[Array, "*batch N A"]
"""A joint action: a choice of each agent, or a point where actions are continuous."""


@dataclass(frozen=True)
class Spec:
    """Sizes of a domain, known before anything runs."""

    agents: int
    """N: agent slots; a tick in which fewer act marks the others inactive."""
    actions: int
    """A: choices of an agent. With as many entities as actions, action j means entity j; with a
    multiple of them, consecutive entities share an action."""
    horizon: int
    """Ticks of an episode."""
    local: int
    """D: features of an agent's own view."""
    entities: int
    """K: things in the shared world."""
    features: int
    """F: features of one entity."""
    globals: int
    """G: features of the world as a whole."""
    supplies: tuple[tuple[int, int, int], ...] = ()
    """Per quantity that agents ask entities for: the local feature with the demand, the entity
    features with what is left of it and with the whole of it, all in one unit. Choosing an entity
    that has enough of everything takes the demand from what is left, and of several such entities
    behind one action the tightest gives it; if none has enough, the demand waits."""
    fixed: bool = True
    """Whether every episode lasts exactly the horizon."""
    shared: bool = True
    """Whether agents see the world and each other's views when they act; otherwise each sees its
    own view, and only critics may see the rest."""
    continuous: bool = False
    """Whether an action is a point of the cube $[-1, 1]^A$, A being `actions`, instead of one of A
    choices; the domain takes what lies beyond for its nearest point."""
    groups: tuple[int, ...] = ()
    """Kind of each agent, counted from 0, where agents differ in what they can do; () for equals.
    """
    outcomes: tuple[str, ...] = ()
    """Diagnostics that say how an episode ended, 1 for so and 0 for otherwise, such as a battle
    won: of these its last tick counts, of others the mean over its ticks."""


class World(eqx.Module):
    """What all agents share, stored once per step and never once per agent."""

    entities: Float[Array, "*batch K F"]
    globals: Float[Array, "*batch G"]
    present: Bool[Array, "*batch K"] | None = None
    """Which entities are there, where that differs from scenario to scenario; None for all."""


class Observation(eqx.Module):
    """What the agents of one tick know when they act."""

    local: Float[Array, "*batch N D"]
    world: World
    mask: Bool[Array, "*batch #N A"]
    """Legal actions; a leading axis of one says the same for all agents."""
    active: Bool[Array, "*batch N"]
    """Who acts this tick."""
    advice: PyTree = None
    """The analytic model at this tick, for agents that ask it as they choose; None for others."""
    memory: dict[str, Float[Array, "*batch V H"]] | None = None
    """What is remembered as the tick begins, by who remembers, such as `actor` or `critic`; once
    they have listened to the tick, what they remember then. None where nobody does."""


class Step(eqx.Module):
    """What a tick gives."""

    observation: Observation
    reward: Float[Array, "*batch"]
    """Team reward, higher is better."""
    terminated: Bool[Array, "*batch"]
    """The process has ended: nothing of value follows."""
    truncated: Bool[Array, "*batch"]
    """The horizon was reached: the process would go on."""
    diagnostics: dict[str, Float[Array, "*batch"]]


class Rollout(eqx.Module):
    """Some scenarios stepped side by side, as learning reads them."""

    observation: Observation
    action: Action
    log_prob: Float[Array, "T E N"]
    value: Float[Array, "T E V"]
    bootstrap: Float[Array, "T E V"]
    """Value of the state that follows each step, before any reset."""
    reward: Float[Array, "T E"]
    terminated: Bool[Array, "T E"]
    truncated: Bool[Array, "T E"]
    context: PyTree
    """What the analytic model keeps of each state."""
    probes: dict[str, Float[Array, "T E N *_"]]
    """What was measured of each agent, while stepping or by a critic of actions."""
    diagnostics: dict[str, Float[Array, "T E"]]
    outlook: PyTree = None
    """What a critic of actions makes of each tick before anybody acts, [T, E, ...]; None where it
    is asked anew."""


class Signal(eqx.Module):
    """What credit links rewrite in turn: the way from a rollout to one number per agent and
    tick."""

    reward: Float[Array, "T E *N"]
    """The team's, or each agent's own."""
    advantage: Float[Array, "T E N"]
    target: Float[Array, "T E V"]
    """What the critic should say."""
    unit: Scalar | float = 1.0
    """What an advantage of one is in units of reward."""
    left: Scalar | float = 1.0
    """The share that the analytic model leaves to all else."""
