"""What every network holds to, as a check to run on one of your own.

check_network(my_domain.make(my_domain.Config()).network)
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from descant.core.network import AbstractNetwork, AbstractSystem
from descant.core.types import Key

LOOK = 64
"""Random states and actions at which laws are looked at."""
WALK = 8
"""Ticks of the walks at which points are."""


def check_network(network: AbstractSystem, *, seed: int = 0) -> None:
    """Laws are laws, all at once as one by one, lists are those of the graph, and nothing is read
    from farther away than `reach` says, nor from where there is nobody. Where states are points,
    that is looked at on a walk.

    Args:
        network: preferably a small one.
        seed: of everything random here.

    Raises:
        AssertionError: something does not hold.
    """
    _check_lists(network)
    shape = network.quantity.levels.shape
    _that(shape == (network.states,), f"quantity.levels must be [S], got {list(shape)}.")
    if not isinstance(network, AbstractNetwork):
        _check_move(network, jax.random.key(seed))
        return
    _check_law(np.asarray(network.start), "start")
    _that(network.start.shape == (network.graph.agents, network.states), "start must be [N, S].")
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
    together, each = jax.jit(jax.vmap(lambda key: _everybody(network, key)))(keys)
    off = float(jnp.max(jnp.abs(together - each)))
    _that(off < 1e-5, f"chances are not the laws of all agents; off by {off:.3g}.")


def _check_move(system: AbstractSystem, key: Key) -> None:
    """Nothing moves an agent whose surroundings stay, while all beyond are as in another walk."""
    one_key, other_key, key = jax.random.split(key, 3)
    one, other = (_walked(system, k) for k in (one_key, other_key))
    share = np.asarray(jax.vmap(lambda x: system.cells(system.seen(x)))(one[0]))
    _check_law(share, "cells")
    for way, (name, radius) in enumerate(
        (("states", system.reach.states), ("actions", system.reach.actions))
    ):
        moved, mixed = _mixed(system, one, other, way, radius, key)
        same = np.allclose(moved, mixed, atol=1e-5)
        _that(same, f"move reads {name} beyond reach.{name} = {radius}.")


def _walked(system: AbstractSystem, key: Key) -> tuple[Array, Array]:
    """States and random actions of a walk."""
    agents = system.graph.agents

    def tick(state, key):
        act_key, move_key = jax.random.split(key)
        action = jax.random.randint(act_key, (agents,), 0, system.actions)
        return system.move(move_key, state, action), (state, action)

    first_key, key = jax.random.split(key)
    return jax.lax.scan(tick, system.first(first_key), jax.random.split(key, WALK))[1]


def _mixed(
    system: AbstractSystem,
    one: tuple[Array, Array],
    other: tuple[Array, Array],
    way: int,
    distance: int,
    key: Key,
) -> tuple[Array, Array]:
    """Every agent's next state in a walk, and where the others' states or actions, as `way` says,
    are those of another walk beyond a distance."""
    agents = system.graph.agents
    centre, member, _ = system.graph.pairs(distance)
    inside = jnp.zeros((agents, agents), bool).at[centre, member].set(True)

    def tick(mine, theirs):
        def at(agent):
            kept = inside[agent].reshape(-1, *[1] * (mine[way].ndim - 1))
            both = list(mine)
            both[way] = jnp.where(kept, mine[way], theirs[way])
            return system.seen(system.move(key, *both))[agent]

        return system.seen(system.move(key, *mine)), jax.lax.map(at, jnp.arange(agents))

    return jax.jit(jax.vmap(tick))(one, other)


def _check_lists(network: AbstractSystem) -> None:
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


def _everybody(network: AbstractNetwork, key: Key) -> tuple[Array, Array]:
    """Laws of all at a random moment, at once and agent by agent."""
    agents = (network.graph.agents,)
    state_key, action_key = jax.random.split(key)
    state = jax.random.randint(state_key, agents, 0, network.states)
    action = jax.random.randint(action_key, agents, 0, network.actions)
    return network.chances(state, action), AbstractNetwork.chances(network, state, action)


def _anything(key: Key, network: AbstractNetwork, count: int) -> Int[Array, "N K"]:
    drawn = jax.random.randint(key, network.near.shape, 0, count)
    return jnp.where(network.near >= network.graph.agents, 0, drawn)


def _that(holds: bool | np.bool_, sentence: str) -> None:
    if not holds:
        raise AssertionError(f"network: {sentence}")
