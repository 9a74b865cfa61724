"""A loop whose batch runs until its last member is done, without copying anybody's state."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

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
        def spread(x, is_batched):
            return x if is_batched else jnp.broadcast_to(x, (size, *jnp.shape(x)))

        constants, carry = jax.tree.map(spread, (constants, carry), tuple(batched))
        out = while_any(jax.vmap(condition), jax.vmap(body), constants, carry)
        return out, jax.tree.map(lambda _: True, out)

    return loop(constants, carry)
