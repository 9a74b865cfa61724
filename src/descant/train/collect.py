"""Rollouts: act, measure, step, for all scenarios side by side."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jaxtyping
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as Spec
from jaxtyping import Array, Bool

from descant.core.algorithm import AbstractAlgorithm, AbstractLuck
from descant.core.env import AbstractEnv
from descant.core.types import Key, Keys, Observation, PyTree, Rollout
from descant.ops.loops import when_any

AXIS = "scenarios"
"""Axis of a device mesh over which scenarios are spread."""
PART = 200
"""Ticks that the critic judges at once."""


class Worlds(NamedTuple):
    """Scenarios under way, between two rollouts."""

    state: PyTree
    observation: Observation


def open_worlds(
    env: AbstractEnv, key: Key, count: int, mesh: Mesh | None = None, memory: PyTree = None
) -> Worlds:
    """Draw `count` scenarios, spread over the devices of a mesh; which ones does not depend on
    it. `memory` is what is remembered at their start."""
    keys = jax.random.split(key, count)
    return spread(partial(_opened, env), mesh, (Spec(), Spec(AXIS)), Spec(AXIS))(memory, keys)


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


def _opened(env: AbstractEnv, memory: PyTree, keys: Keys) -> Worlds:
    def fresh(key):
        state, observation = env.reset(key)
        return Worlds(state, replace(observation, memory=memory))

    return jax.vmap(fresh)(keys)


def _roll(
    algorithm: AbstractAlgorithm,
    env: AbstractEnv,
    renew: bool,
    learner: PyTree,
    worlds: Worlds,
    keys: jaxtyping.Key[Array, "T 3 E"],
) -> tuple[Worlds, Rollout]:
    """The rollout of some worlds; keys are for acting, stepping and renewal."""
    policy, memory = algorithm.policy(learner), algorithm.begin(learner)
    at_once = not renew and memory is None
    listen = partial(_listen, algorithm, learner, not at_once)
    looking = {n: p for n, p in algorithm.probes.items() if not isinstance(p, AbstractLuck)}
    luck = {n: p for n, p in algorithm.probes.items() if isinstance(p, AbstractLuck)}

    @jax.vmap
    def act(state, heard, act_key, step_key):
        action, log_prob = policy.sample(heard, act_key)
        probes = {name: probe(state, action, step_key) for name, probe in looking.items()}
        context = algorithm.context(state)
        state, step = env.step(step_key, state, action)
        following = Worlds(state, replace(step.observation, memory=heard.memory))
        return action, log_prob, probes, context, following, step

    def tick(carry, keys):
        act_keys, step_keys, reset_keys = keys
        worlds, ahead = carry
        observation, heard, value = listen(worlds) if at_once else ahead
        action, log_prob, probes, context, worlds, step = act(
            worlds.state, heard, act_keys, step_keys
        )
        ahead: tuple = () if at_once else listen(worlds)
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
        if not at_once:
            kept |= {"value": value, "bootstrap": ahead[2]}
        following = worlds, ahead
        if renew:
            done = step.terminated | step.truncated
            following = _renew(algorithm, learner, env, following, done, reset_keys)
        return following, kept

    (worlds, _), kept = jax.lax.scan(tick, (worlds, () if at_once else listen(worlds)), keys)
    if at_once:
        # In parts: the critic's hidden numbers of all ticks together would dwarf the rollout.
        value = jax.vmap(partial(algorithm.value, learner))
        kept["value"] = jax.lax.map(value, kept["observation"], batch_size=PART)
        last = value(worlds.observation)
        kept["bootstrap"] = jnp.concatenate([kept["value"][1:], last[None]])
    # Of all ticks at once: within them, small draws take longer than small worlds.
    kept["probes"] |= {n: jax.vmap(jax.vmap(p.draw))(keys[:, 1]) for n, p in luck.items()}
    return worlds, Rollout(**kept)


def _listen(
    algorithm: AbstractAlgorithm, learner: PyTree, judge: bool, worlds: Worlds
) -> tuple[Observation, Observation, PyTree]:
    """What is observed in some worlds, before and after somebody has listened, and its value."""

    def one(worlds):
        observation = algorithm.policy(learner).informed(*worlds)
        heard = algorithm.listen(learner, observation)
        return observation, heard, algorithm.value(learner, heard) if judge else ()

    return jax.vmap(one)(worlds)


def _renew(
    algorithm: AbstractAlgorithm,
    learner: PyTree,
    env: AbstractEnv,
    carry: PyTree,
    done: Bool[Array, " E"],
    keys: Keys,
) -> PyTree:
    """New scenarios where an episode has ended; on ticks where none has, of no learner, nothing is
    drawn and nobody listens."""
    traced, rest = eqx.partition((algorithm, learner, env), eqx.is_array)

    def fresh(constants, carry):
        traced, done, keys = constants
        algorithm, learner, env = eqx.combine(traced, rest)

        def pick(new, old):
            return jnp.where(done.reshape(-1, *[1] * (new.ndim - 1)), new, old)

        # Those that go on ask for one scenario, always the same, which is thrown away: some worlds
        # take long to draw one.
        keys = jnp.where(done, keys, jax.random.key(0))
        worlds = _opened(env, algorithm.begin(learner), keys)
        ahead = _listen(algorithm, learner, True, worlds)
        return jax.tree.map(pick, (worlds, ahead), carry)

    return when_any(done, fresh, (traced, done, keys), carry)
