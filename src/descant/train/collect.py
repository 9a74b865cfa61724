"""Rollouts: act, measure, step, for all scenarios side by side."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from descant.core.algorithm import AbstractAlgorithm
from descant.core.env import AbstractEnv
from descant.core.types import Key, Observation, PyTree, Rollout


class Worlds(NamedTuple):
    """Scenarios under way, between two rollouts."""

    state: PyTree
    observation: Observation


def open_worlds(env: AbstractEnv, key: Key, count: int) -> Worlds:
    """Draw `count` scenarios."""
    return Worlds(*jax.vmap(env.reset)(jax.random.split(key, count)))


def collect(
    algorithm: AbstractAlgorithm,
    learner: PyTree,
    env: AbstractEnv,
    worlds: Worlds,
    key: Key,
    steps: int,
    *,
    renew: bool,
) -> tuple[Worlds, Rollout]:
    """Step all worlds `steps` times under the learner's policy.

    With `renew`, a world whose episode ends starts anew; without, the caller knows that episodes
    end just where the rollout does, and nothing is spent on it.
    """
    policy = algorithm.policy(learner)
    count = worlds.observation.active.shape[0]

    def act(state, observation, key):
        action, log_prob = policy.sample(observation, key)
        probes = {name: probe(state, action) for name, probe in algorithm.probes.items()}
        return action, log_prob, probes, algorithm.context(state)

    def value(observation):
        return algorithm.value(learner, observation)

    def tick(worlds, key):
        act_key, step_key, reset_key = jax.random.split(key, 3)
        state, observation = worlds
        action, log_prob, probes, context = jax.vmap(act)(
            state, observation, jax.random.split(act_key, count)
        )
        state, step = jax.vmap(env.step)(jax.random.split(step_key, count), state, action)
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
            following = _renew(env, following, step.terminated | step.truncated, reset_key)
        return following, kept

    worlds, kept = jax.lax.scan(tick, worlds, jax.random.split(key, steps))
    if not renew:
        kept["value"] = jax.vmap(jax.vmap(value))(kept["observation"])
        last = jax.vmap(value)(worlds.observation)
        kept["bootstrap"] = jnp.concatenate([kept["value"][1:], last[None]])
    return worlds, Rollout(**kept)


def _renew(env: AbstractEnv, worlds: Worlds, done: jax.Array, key: Key) -> Worlds:
    """New scenarios where an episode has ended; nothing is drawn on ticks where none has."""

    def fresh(worlds):
        new = open_worlds(env, key, done.shape[0])

        def pick(new, old):
            return jnp.where(done.reshape(-1, *[1] * (new.ndim - 1)), new, old)

        return jax.tree.map(pick, new, worlds)

    return jax.lax.cond(jnp.any(done), fresh, lambda worlds: worlds, worlds)
