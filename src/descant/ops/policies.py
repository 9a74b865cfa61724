"""Categorical choices under a mask of legal actions."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from descant.core.types import Action, Key, Number

ILLEGAL = -1e9
"""Log-probability of an illegal action: finite, so that gradients stay numbers."""


def masked_log_softmax(
    logits: Float[Array, "*b A"], mask: Bool[Array, "*#b A"]
) -> Float[Array, "*b A"]:
    """Log-probabilities over legal actions."""
    return jax.nn.log_softmax(jnp.where(mask, logits, ILLEGAL), axis=-1)


def invert(log_probabilities: Float[Array, "*b A"], level: Float[Array, "*b"]) -> Int[Array, "*b"]:
    """The action at a level in [0, 1) of the distribution function; at a uniform level, a draw.

    Rounding can leave the last cumulative sum at or below the level; the count then stops at the
    last action that has any probability.
    """
    probabilities = jnp.exp(log_probabilities)
    total = jnp.cumsum(probabilities, axis=-1)
    below = total <= level[..., None] * total[..., -1:]
    last = total.shape[-1] - 1 - jnp.argmax(jnp.flip(probabilities > 0, -1), axis=-1)
    return jnp.minimum(jnp.sum(below, axis=-1), last)


def chosen(values: Float[Array, "*b A"], action: Int[Array, "*b"]) -> Float[Array, "*b"]:
    """The entry of each row that the action names."""
    return jnp.take_along_axis(values, action[..., None], axis=-1)[..., 0]


def entropy(log_probabilities: Float[Array, "*b A"]) -> Float[Array, "*b"]:
    """Nats; illegal actions add nothing."""
    return -jnp.sum(jnp.exp(log_probabilities) * log_probabilities, axis=-1)


def relaxed(
    log_probabilities: Float[Array, "*b A"],
    noise: Float[Array, "*b A"],
    temperature: Number,
    hard: bool,
) -> Float[Array, "*b A"]:
    """Choices as rows that probabilities can be moved by; Jang et al. (2017), eq. 2.

    With Gumbel noise the largest entry is a draw, without it the most likely action. A `hard` row
    is one-hot, and passes gradients as the soft one would.
    """
    tried = log_probabilities + noise
    soft = jax.nn.softmax(tried / temperature, axis=-1)
    if not hard:
        return soft
    one = jax.nn.one_hot(jnp.argmax(tried, axis=-1), soft.shape[-1])
    return one + soft - jax.lax.stop_gradient(soft)


def seeded(level: Float[Array, ""]) -> Key:
    """A key that hangs on nothing but a number."""
    return jax.random.key(jax.lax.bitcast_convert_type(level.astype(jnp.float32), jnp.uint32))


def gumbel(level: Float[Array, "*b"], actions: int) -> Float[Array, "*b A"]:
    """Noise that hangs on nothing but a number each."""

    def draw(level):
        return jax.random.gumbel(seeded(level), (actions,))

    return jnp.vectorize(draw, signature="()->(a)")(level)


def rows(action: Action, actions: int) -> Float[Array, "*b N A"]:
    """Choices as one-hot rows; points as they are."""
    if jnp.issubdtype(action.dtype, jnp.integer):
        return jax.nn.one_hot(action, actions)
    return action


def stratified(key: Key, active: Bool[Array, " N"]) -> Float[Array, " N"]:
    """Uniform levels, one in each of as many equal strata as there are active agents, dealt at
    random: each level is uniform, and together they leave no gaps."""
    deal, within = jax.random.split(key)
    ticket = jnp.where(active, jax.random.uniform(deal, active.shape), jnp.inf)
    stratum = jnp.argsort(jnp.argsort(ticket))
    level = (stratum + jax.random.uniform(within, active.shape)) / jnp.maximum(jnp.sum(active), 1)
    return jnp.where(active, jnp.minimum(level, 1 - 1e-7), 0.5)
