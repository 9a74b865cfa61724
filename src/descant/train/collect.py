"""Rollouts: act, measure, step, for all scenarios side by side."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import jaxtyping
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as Spec
from jaxtyping import Array

from descant.core.algorithm import AbstractAlgorithm
from descant.core.env import AbstractEnv
from descant.core.types import Key, Keys, Observation, PyTree, Rollout

AXIS = "scenarios"
"""Axis of a device mesh over which scenarios are spread."""
PART = 200
"""Ticks that the critic judges at once."""


class Worlds(NamedTuple):
    """Scenarios under way, between two rollouts."""

    state: PyTree
    observation: Observation


def open_worlds(env: AbstractEnv, key: Key, count: int, mesh: Mesh | None = None) -> Worlds:
    """Draw `count` scenarios, spread over the devices of a mesh; which ones does not depend on
    it."""
    keys = jax.random.split(key, count)
    return spread(partial(_opened, env), mesh, (Spec(AXIS),), Spec(AXIS))(keys)


def collect(
    algorithm: AbstractAlgorithm,
    learner: PyTree,
    env: AbstractEnv,
    worlds: Worlds,
    key: Key,
    steps: int,
    *,
    renew: bool,
    mesh: Mesh | None = None,
) -> tuple[Worlds, Rollout]:
    """Step all worlds `steps` times under the learner's policy.

    With `renew`, a world whose episode ends starts anew; without, the caller knows that episodes
    end just where the rollout does, and nothing is spent on it. On a mesh each device steps its
    share of the worlds and hears nothing of the others; what is drawn does not depend on it.
    """
    count = worlds.observation.active.shape[0]
    kinds = jax.vmap(partial(jax.random.split, num=3))(jax.random.split(key, steps))
    keys = jax.vmap(jax.vmap(partial(jax.random.split, num=count)))(kinds)
    roll = spread(
        partial(_roll, algorithm, env, renew),
        mesh,
        (Spec(), Spec(AXIS), Spec(None, None, AXIS)),
        (Spec(AXIS), Spec(None, AXIS)),
    )
    return roll(learner, worlds, keys)


def spread(function: Callable, mesh: Mesh | None, sources: tuple, results: PyTree) -> Callable:
    """A function of which each device computes its share."""
    if mesh is None:
        return function
    # Loops begin with constants, equal on all devices, and go on with what is not.
    return jax.shard_map(function, mesh=mesh, in_specs=sources, out_specs=results, check_vma=False)


def _opened(env: AbstractEnv, keys: Keys) -> Worlds:
    return Worlds(*jax.vmap(env.reset)(keys))


def _roll(
    algorithm: AbstractAlgorithm,
    env: AbstractEnv,
    renew: bool,
    learner: PyTree,
    worlds: Worlds,
    keys: jaxtyping.Key[Array, "T 3 E"],
) -> tuple[Worlds, Rollout]:
    """The rollout of some worlds; keys are for acting, stepping and renewal."""
    policy = algorithm.policy(learner)

    def act(state, observation, key):
        observation = policy.informed(state, observation)
        action, log_prob = policy.sample(observation, key)
        probes = {name: probe(state, action) for name, probe in algorithm.probes.items()}
        return observation, action, log_prob, probes, algorithm.context(state)

    def value(observation):
        return algorithm.value(learner, observation)

    def tick(worlds, keys):
        act_keys, step_keys, reset_keys = keys
        state, observation = worlds
        observation, action, log_prob, probes, context = jax.vmap(act)(state, observation, act_keys)
        state, step = jax.vmap(env.step)(step_keys, state, action)
        following = Worlds(state, step.observation)
        kept = {
            "observation": observation,
            "action": action,
            "log_prob": log_prob,
            "reward": step.reward,
            "terminated": step.terminated,
            "truncated": step.truncated,
            "context": context,
            "probes": probes,
            "diagnostics": step.diagnostics,
        }
        if renew:
            kept["value"] = jax.vmap(value)(observation)
            kept["bootstrap"] = jax.vmap(value)(step.observation)
            following = _renew(env, following, step.terminated | step.truncated, reset_keys)
        return following, kept

    worlds, kept = jax.lax.scan(tick, worlds, keys)
    if not renew:
        # In parts: the critic's hidden numbers of all ticks together would dwarf the rollout.
        kept["value"] = jax.lax.map(jax.vmap(value), kept["observation"], batch_size=PART)
        last = jax.vmap(value)(worlds.observation)
        kept["bootstrap"] = jnp.concatenate([kept["value"][1:], last[None]])
    return worlds, Rollout(**kept)


def _renew(env: AbstractEnv, worlds: Worlds, done: jax.Array, keys: Keys) -> Worlds:
    """New scenarios where an episode has ended; nothing is drawn on ticks where none has."""

    def fresh(worlds):
        def pick(new, old):
            return jnp.where(done.reshape(-1, *[1] * (new.ndim - 1)), new, old)

        return jax.tree.map(pick, _opened(env, keys), worlds)

    return jax.lax.cond(jnp.any(done), fresh, lambda worlds: worlds, worlds)
