"""Long rollouts of networks of three agents, and everything exact about them."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np

from descant.core.network import drawn
from descant.core.types import Observation, Rollout, World
from descant.evaluate.enumerated import enumerate_network

AGENTS, DISCOUNT, TICKS, SCENARIOS = 3, 0.6, 16, 6000
REWARD = np.random.default_rng(0).normal(size=(AGENTS, 2, 2))


def walked(network):
    """A long rollout of a random policy, and everything exact about it."""
    whole = enumerate_network(network, DISCOUNT)
    logits = whole.logits(0, seed=2)
    joint = whole.joint(logits)
    chances = jnp.asarray(np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True))

    def tick(state, key):
        act, step = jax.random.uniform(key, (2, AGENTS))
        action = drawn(chances[jnp.arange(AGENTS), state], act).astype(jnp.int32)
        after = drawn(network.chances(state, action), step).astype(jnp.int32)
        return after, (state, action)

    def episode(key):
        first, rest = jax.random.split(key)
        start = drawn(network.start, jax.random.uniform(first, (AGENTS,))).astype(jnp.int32)
        return jax.lax.scan(tick, start, jax.random.split(rest, TICKS))[1]

    keys = jax.random.split(jax.random.key(0), SCENARIOS)
    state, action = jax.jit(jax.vmap(episode, out_axes=1))(keys)
    reward = jnp.asarray(REWARD, jnp.float32)[jnp.arange(AGENTS), state, action]
    x, u = (np.asarray(z) @ [4, 2, 1] for z in (state, action))
    return SimpleNamespace(
        whole=whole,
        joint=joint,
        pair=2 * state + action,
        reward=reward,
        values=whole.action_values(joint, REWARD)[:, x, u].transpose(1, 2, 0),
        places=(x, u),
        state=state,
        action=action,
    )


def explained(found, truth):
    off = np.asarray(found) - truth
    return 1 - off.var(axis=(0, 1)) / truth.var(axis=(0, 1))


def rolled(walk):
    """It as a rollout."""
    many = (TICKS, SCENARIOS)
    nothing = jnp.zeros(many)
    return Rollout(
        observation=Observation(
            local=jnp.stack([walk.state, 0 * walk.state], axis=-1).astype(jnp.float32),
            world=World(entities=jnp.zeros((*many, 2, 2)), globals=jnp.zeros((*many, 2))),
            mask=jnp.ones((*many, 1, 2), bool),
            active=jnp.ones((*many, AGENTS), bool),
        ),
        action=walk.action,
        log_prob=jnp.zeros((*many, AGENTS)),
        value=nothing[..., None],
        bootstrap=nothing[..., None],
        reward=nothing,
        terminated=nothing > 0,
        truncated=nothing > 0,
        context=(),
        probes={},
        diagnostics={},
    )


def undiscounted(found):
    """What a link gives, in units of its own tick."""
    return np.asarray(found) / (DISCOUNT ** np.arange(TICKS))[:, None, None]
