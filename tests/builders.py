"""Small things that several tests build from."""

from importlib.util import find_spec
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float

from descant.algorithms import iql, mappo
from descant.core import discovery
from descant.core.domain import Domain
from descant.core.types import Observation, Rollout, Spec
from toys import balance

SMALL = mappo.Config(
    order="together", hidden=8, depth=1, embedding=2, minibatch=4, minibatches=0, epochs=2
)
"""MAPPO that compiles fast."""
TINY = iql.Config(hidden=8, depth=1, embedding=2, replay=64, updates=2, minibatch=4)
"""The same of value-based algorithms."""


SPEC = Spec(
    agents=3, actions=2, horizon=1, local=2, entities=0, features=0, globals=2, shared=False
)
"""Agents with views of their own, and little to see."""


SIZES = {"cloud": {"servers": 4, "horizon": 24, "arrivals": 16}, "football": {"horizon": 20}}
"""What makes the library's own domains small; a domain that is small by itself needs no entry."""


def skip_without_extra(name: str) -> None:
    """Leave a test out, by name, where a domain needs a package that is not installed."""
    extra = getattr(discovery.load("domains", name), "EXTRA", None)
    if extra is not None and find_spec(extra) is None:
        pytest.skip(f"the domain {name} needs the extra {extra}")


def domain_or_skip(name: str) -> Domain:
    """A domain of the library, small."""
    skip_without_extra(name)
    module = discovery.load("domains", name)
    return module.make(module.Config(**SIZES.get(name, {})))


class Tabular(eqx.Module):
    """A network that says the same whatever it sees."""

    logits: Float[Array, "N A"]

    def __call__(self, observation: Observation) -> Float[Array, "N A"]:
        return self.logits


def shaken(net: Any, key: Any) -> Any:
    """The same network with weights far from their start."""
    leaves, tree = jax.tree.flatten(net)
    keys = jax.random.split(key, len(leaves))
    moved = [x + jax.random.normal(k, x.shape) for x, k in zip(leaves, keys, strict=True)]
    return jax.tree.unflatten(tree, moved)


def observations(config: balance.Config, key: Any, count: int) -> Observation:
    """Observations of the toy at the start of `count` scenarios and a tick later, [count, ...]."""
    env = balance.make(config).env

    def one(key):
        state, _ = env.reset(key)
        action = jax.random.randint(key, (config.agents,), 0, config.bins)
        return env.step(key, state, action)[1].observation

    return jax.jit(jax.vmap(one))(jax.random.split(key, count))


def rollout(seed: int = 0, ticks: int = 5, scenarios: int = 2, **config: Any) -> Rollout:
    """Rollouts of the toy under random legal actions, with a made-up critic."""
    toy = balance.make(balance.Config(**config))
    env, model = toy.env, toy.model

    def tick(carry, key):
        state, observation = carry
        action = balance.anywhere(state, observation, key)
        after, step = env.step(key, state, action)
        kept = {
            "observation": observation,
            "action": action,
            "reward": step.reward,
            "terminated": step.terminated,
            "truncated": step.truncated,
            "context": model.context(state),
            "probes": {"slope": model.marginal(model.context(state), action)},
            "diagnostics": step.diagnostics,
        }
        return (after, step.observation), kept

    def one(key):
        return jax.lax.scan(tick, env.reset(key), jax.random.split(key, ticks))[1]

    kept = jax.jit(jax.vmap(one, out_axes=1))(jax.random.split(jax.random.key(seed), scenarios))
    rng = np.random.default_rng(seed)
    shape = (ticks, scenarios)
    chance = jnp.mean(kept["observation"].mask, axis=-1) * env.spec.actions
    value = rng.normal(size=(ticks + 1, scenarios, 1)).astype(np.float32)
    return Rollout(
        log_prob=-jnp.log(chance),
        value=jnp.array(value[:-1]),
        bootstrap=jnp.array(value[1:]),
        **kept | {"terminated": jnp.zeros(shape, bool).at[2].set(True)},
    )
