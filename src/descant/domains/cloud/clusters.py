"""What is said of a cluster of servers as a whole; Yang & Liu (2026), appendix H.2: 28 numbers
each, and six of the jobs at hand, so that an observation grows with clusters and not with servers.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

FEATURES = 28
GLOBALS = 7
"""Of the jobs at hand the mean, deviation and maximum of either demand, and the time."""
MARGIN = 0.1
"""By how much one resource must be fuller than the other for a server to count as heavy in it; the
paper gives no number."""
CROWDED = 0.9
"""Use of a resource from which a server counts as overloaded; the paper gives no number."""
SIZE = 20.0
"""Servers in a cluster that observations take as one."""


def describe(
    used: Float[Array, "G S 2"],
    capacity: Int[Array, "G S 2"],
    efficiency: Float[Array, "G S"],
    queue: Float[Array, "G S"],
) -> Float[Array, "G 28"]:
    """Statistics of each cluster.

    Args:
        used: share of cores and of memory in use.
        capacity: integer units; servers without any are left out of free capacity by themselves.
        efficiency: CPU efficiency.
        queue: local queue lengths, scaled.
    """
    levels = jnp.array([0.0, 0.25, 0.5, 0.75, 1.0])
    quantiles = jnp.quantile(used, levels, axis=1)
    mean, deviation = jnp.mean(used, axis=1), jnp.std(used, axis=1)
    centred = used - mean[:, None]
    spread = jnp.mean(centred[..., 0] * centred[..., 1], axis=1)
    product = deviation[:, 0] * deviation[:, 1]
    correlation = jnp.where(product > 1e-6, spread / jnp.maximum(product, 1e-6), 0.0)
    lead = used[..., 0] - used[..., 1]
    heavy, light = jnp.mean(lead > MARGIN, axis=1), jnp.mean(lead < -MARGIN, axis=1)
    total = jnp.sum(capacity, axis=1)
    free = 1 - jnp.sum(used * capacity, axis=1) / jnp.maximum(total, 1)
    columns = [
        *jnp.moveaxis(quantiles, 0, -1).reshape(used.shape[0], -1).T,
        *mean.T,
        *deviation.T,
        correlation,
        heavy,
        light,
        1 - heavy - light,
        jnp.sum(queue, axis=1),
        jnp.max(queue, axis=1),
        jnp.mean(queue, axis=1),
        jnp.std(queue, axis=1),
        jnp.mean(queue > 0, axis=1),
        *free.T,
        jnp.mean(efficiency, axis=1),
        jnp.full(used.shape[:1], used.shape[1] / SIZE),
        jnp.mean(jnp.max(used, axis=-1) > CROWDED, axis=1),
    ]
    return jnp.stack(columns, axis=-1)


def jobs(demand: Float[Array, "N 2"], active: Bool[Array, " N"]) -> Float[Array, " 6"]:
    """Mean, deviation and maximum of the demands of the jobs at hand; zeros if there are none."""
    count = jnp.maximum(jnp.sum(active), 1)
    there = active[:, None]
    mean = jnp.sum(jnp.where(there, demand, 0), axis=0) / count
    variance = jnp.sum(jnp.where(there, (demand - mean[None]) ** 2, 0), axis=0) / count
    most = jnp.max(jnp.where(there, demand, 0), axis=0)
    return jnp.concatenate([mean, jnp.sqrt(variance), most])
