"""Work that the devices of a mesh do together; nothing happens without a mesh."""

from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import PartitionSpec as Spec


def shared(x: jax.Array, axis: int) -> jax.Array:
    """Ask that each device takes its part of an axis, and of what is computed from it.

    The devices are those of the mesh that `jax.set_mesh` has set; where the axis cannot be cut
    into equal parts, each device does all of the work. Results are the same up to rounding.
    """
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty or x.shape[axis] % mesh.size:
        return x
    places = [None] * axis + [mesh.axis_names]
    return jax.lax.with_sharding_constraint(x, Spec(*places))


def apart(function: Callable, batches: tuple[Any, ...], rest: tuple[Any, ...] = ()) -> Any:
    """`function(*batches, *rest)`, of which each device computes its part of the batches alone.

    To be used where XLA would let the devices talk in every round of a loop. The function must
    treat each member of a batch by itself and return batches, all along a first axis.
    """
    mesh = jax.sharding.get_abstract_mesh()
    size = jax.tree.leaves(batches)[0].shape[0]
    if mesh.empty or size % mesh.size:
        return function(*batches, *rest)
    part = Spec(mesh.axis_names)
    places = (*(part for _ in batches), *(Spec() for _ in rest))
    # Loops begin with constants, equal on all devices, and go on with what is not.
    each = jax.shard_map(function, in_specs=places, out_specs=part, check_vma=False)
    return each(*batches, *rest)
