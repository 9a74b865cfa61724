"""What every network holds to, as a check to run on one of your own.

check_network(my_domain.make(my_domain.Config()).network)
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from descant.core.network import AbstractNetwork
from descant.core.types import Key

LOOK = 64
"""Random states and actions at which laws are looked at."""


def check_network(network: AbstractNetwork, *, seed: int = 0) -> None:
    """Laws are laws, lists are those of the graph, and nothing is read from farther away than
    `reach` says, nor from where there is nobody.

    Args:
        network: preferably a small one.
        seed: of everything random here.

    Raises:
        AssertionError: something does not hold.
    """
    _check_lists(network)
    _check_law(np.asarray(network.start), "start")
    keys = jax.random.split(jax.random.key(seed), LOOK)
    seen = jax.jit(jax.vmap(lambda key: _looked(network, key)))(keys)
    law, far_states, far_actions = (np.asarray(x) for x in seen)
    _check_law(law, "law")
    _that(
        np.array_equal(law, far_states),
        f"law reads states beyond reach.states = {network.reach.states}, or where nobody is.",
    )
    _that(
        np.array_equal(law, far_actions),
        f"law reads actions beyond reach.actions = {network.reach.actions}, or where nobody is.",
    )


def _check_lists(network: AbstractNetwork) -> None:
    agents, near = network.graph.agents, np.asarray(network.near)
    _that(np.array_equal(near[:, 0], np.arange(agents)), "near must begin with the agent itself.")
    hops = np.asarray(network.hops)
    pairs = network.graph.pairs(int(hops[near < agents].max(initial=0)))
    row, slot = np.nonzero(near < agents)
    given = set(zip(row, near[row, slot], hops[row, slot], strict=True))
    _that(given == set(zip(*pairs, strict=True)), "near and hops are no balls of the graph.")
    wide = max(1, network.reach.states, network.reach.actions)
    farthest = network.graph.pairs(wide).distance.max()
    _that(hops[near < agents].max() >= farthest, f"near must reach {wide} hops.")
    shape = (agents, network.states)
    _that(network.start.shape == shape, f"start has shape {network.start.shape}, not {shape}.")


def _check_law(law: np.ndarray, name: str) -> None:
    _that(np.min(law) >= 0, f"{name} has a chance below 0: {np.min(law)}.")
    off = np.max(np.abs(law.sum(axis=-1) - 1))
    _that(off < 1e-5, f"{name} does not sum to one; off by {off:.3g}.")


def _looked(network: AbstractNetwork, key: Key) -> tuple[Array, Array, Array]:
    """Laws at a random state and action, and at others that differ where nothing may be read."""
    state_key, action_key, other_key = jax.random.split(key, 3)
    state = _anything(state_key, network, network.states)
    action = _anything(action_key, network, network.actions)
    nobody = network.near >= network.graph.agents

    def elsewhere(x: Int[Array, "N K"], count: int, radius: int) -> Int[Array, "N K"]:
        other = jax.random.randint(other_key, x.shape, 0, count)
        return jnp.where(nobody | (network.hops > radius), other, x)

    law = jax.vmap(network.law)
    return (
        law(network.traits, state, action),
        law(network.traits, elsewhere(state, network.states, network.reach.states), action),
        law(network.traits, state, elsewhere(action, network.actions, network.reach.actions)),
    )


def _anything(key: Key, network: AbstractNetwork, count: int) -> Int[Array, "N K"]:
    drawn = jax.random.randint(key, network.near.shape, 0, count)
    return jnp.where(network.near >= network.graph.agents, 0, drawn)


def _that(holds: bool | np.bool_, sentence: str) -> None:
    if not holds:
        raise AssertionError(f"network: {sentence}")
