"""Loops and branches of a batch that do what its members need, and nothing where none needs it."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from descant.core.types import PyTree


def while_any(
    condition: Callable[[PyTree, PyTree], jax.Array],
    body: Callable[[PyTree, PyTree], PyTree],
    constants: PyTree,
    carry: PyTree,
) -> PyTree:
    """Repeat `carry = body(constants, carry)` while `condition(constants, carry)` holds anywhere.

    Under `vmap` an ordinary while loop selects between old and new carry for each member in each
    round, which copies queues and wheels of megabytes. Here members that are done simply take
    further rounds, so **`body` must change nothing once its condition is false**. `condition` and
    `body` must not close over traced values: those go into `constants`.
    """

    @jax.custom_batching.custom_vmap
    def loop(constants, carry):
        return jax.lax.while_loop(
            lambda c: jnp.any(condition(constants, c)), lambda c: body(constants, c), carry
        )

    @loop.def_vmap
    def _(size, batched, constants, carry):
        constants, carry = _spread(size, batched, (constants, carry))
        out = while_any(jax.vmap(condition), jax.vmap(body), constants, carry)
        return out, jax.tree.map(lambda _: True, out)

    return loop(constants, carry)


def when_any(
    where: Bool[Array, "..."],
    change: Callable[[PyTree, PyTree], PyTree],
    constants: PyTree,
    carry: PyTree,
) -> PyTree:
    """`change(constants, carry)` if `where` holds anywhere, else `carry`.

    Under `vmap` an ordinary branch on what differs between members is no branch: both sides are
    computed, and selected from. Here the batch takes it if any member does, so **`change` must
    change nothing where `where` does not hold**. It must not close over what differs between
    members: that goes into `constants`. Nothing is differentiated through it.
    """

    @jax.custom_batching.custom_vmap
    def branch(where, constants, carry):
        return jax.lax.cond(jnp.any(where), change, lambda _, carry: carry, constants, carry)

    @branch.def_vmap
    def _(size, batched, where, constants, carry):
        # What all members have in common, such as a world's parameters, is not repeated.
        axes = jax.tree.map(lambda each: 0 if each else None, batched[1])
        where, carry = _spread(size, (batched[0], batched[2]), (where, carry))
        out = when_any(where, jax.vmap(change, (axes, 0)), constants, carry)
        return out, jax.tree.map(lambda _: True, out)

    return branch(where, constants, carry)


def _spread(size: int, batched: Sequence[PyTree], given: tuple[PyTree, ...]) -> tuple[PyTree, ...]:
    """Everything as a batch; what all members have in common is repeated."""

    def spread(x, is_batched):
        return x if is_batched else jnp.broadcast_to(x, (size, *jnp.shape(x)))

    return jax.tree.map(spread, given, tuple(batched))
