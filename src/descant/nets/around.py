"""Networks of what is around an agent on a graph: how agents choose by it, and what it is worth."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from descant.core.types import Key, Observation
from descant.nets.mlp import Layers, layers
from descant.nets.table import Window
from descant.ops.neighbourhood import gathered

NAME = 8
"""Numbers that tell agents apart for a critic that all share."""


class Sighted(eqx.Module):
    """Logits of what is seen of the states up to some hops around."""

    body: Layers
    window: Window = eqx.field(static=True)
    width: int = eqx.field(static=True)
    """F: numbers that say a state, the first of an agent's own view."""

    def __call__(self, observation: Observation) -> Float[Array, "N A"]:
        """Logits."""
        return self.body(gathered(observation.local[:, : self.width], self.window.member))


def sighted(
    key: Key, window: Window, width: int, actions: int, *, hidden: int, depth: int, shared: bool
) -> Sighted:
    """One network for all agents, or one each."""
    sizes = [window.member.shape[1] * (width + 1), *[hidden] * depth, actions]
    owners = None if shared else tuple(range(window.graph.agents))
    body = layers(key, sizes, last=0.01, owners=owners)
    return Sighted(body=body, window=window, width=width)


class Worth(eqx.Module):
    """A critic of the states and actions up to some hops around, one for all agents: it knows them
    by names of their own, as what they want may differ."""

    body: Layers
    names: Float[Array, "N Q"]
    window: Window = eqx.field(static=True)

    def __call__(self, told: Float[Array, "E N F"]) -> Float[Array, "E N"]:
        """Value for each agent, given what is told of everybody's state and action."""
        around = gathered(told, self.window.member)
        names = jnp.broadcast_to(self.names, (*around.shape[:-1], NAME))
        return self.body(jnp.concatenate([around, names], axis=-1))[..., 0]


def worth(key: Key, window: Window, told: int, *, hidden: int, depth: int) -> Worth:
    """`told` numbers of each agent."""
    body_key, name_key = jax.random.split(key)
    sizes = [window.member.shape[1] * (told + 1) + NAME, *[hidden] * depth, 1]
    names = jax.random.normal(name_key, (window.graph.agents, NAME))
    return Worth(body=layers(body_key, sizes), names=names, window=window)
