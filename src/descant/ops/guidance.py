"""The analytic model's word on each agent's choice."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from descant.core.model import AbstractModel
from descant.core.types import PyTree


def blend(
    advantage: Float[Array, "*b"], slope: Float[Array, "*b"], weight: Float[Array, ""]
) -> Float[Array, "*b"]:
    r"""Guided advantage. $(1 - \alpha) \hat A - \alpha\, \langle x - \tilde x, z^i \rangle$;
    Yang & Liu (2026), eq. 11.
    """
    return (1 - weight) * advantage - weight * slope


def slopes(
    model: AbstractModel, context: PyTree, action: Float[Array, "N A"]
) -> Float[Array, "N A"]:
    r"""$\partial d / \partial a$ for every agent and action by one reverse pass, which is
    $\langle \nabla_x d, z_{ij} \rangle$; the Jacobian itself never exists.
    """
    return jax.grad(model.potential, argnums=1)(context, action)


def slope(
    model: AbstractModel, context: PyTree, action: Int[Array, " N"], actions: int
) -> Float[Array, " N"]:
    r"""$\langle \nabla_x d, \partial x / \partial a^i \rangle$ at the joint action taken;
    Yang & Liu (2026), eq. 9. The state is the one after the action.
    """
    chosen = jax.nn.one_hot(action, actions)
    return jnp.sum(slopes(model, context, chosen) * chosen, axis=-1)


def slope_before(
    model: AbstractModel, context: PyTree, action: Int[Array, " N"], actions: int
) -> Float[Array, " N"]:
    """The slope at the state before anybody acts; Yang & Liu (2026), appendix D as printed."""
    chosen = jax.nn.one_hot(action, actions)
    return jnp.sum(slopes(model, context, jnp.zeros_like(chosen)) * chosen, axis=-1)


def expected_slopes(
    model: AbstractModel, context: PyTree, probabilities: Float[Array, "N A"]
) -> Float[Array, "N A"]:
    """Derivative of the expected potential by each probability: no sampled action is left in it."""
    return jax.grad(model.expected, argnums=1)(context, probabilities)
