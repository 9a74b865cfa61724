"""What 16-bit numbers would save, and what they would cost: bytes, seconds, and log-probabilities.

    python benchmarks/precision.py --servers 20

A few hundred ticks are rolled out. The actor's gradient is then computed on minibatches of them
with observations kept in 32 bits; kept in 16 bits and widened when they are read; and with network
and observations in 16 bits throughout. Kinds take turns within one run; the ratio of medians to 32
bits is given, and how far the log-probabilities of the actions taken move.
"""

import argparse
import json
import statistics
import sys
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from timing import place, seconds

from descant.algorithms import dgpg, mappo
from descant.ascent.together import crowds, flatten
from descant.core.algorithm import OVER_TICKS
from descant.core.types import Spec
from descant.domains import cloud
from descant.train.collect import collect, open_worlds


class Kind(NamedTuple):
    """Where numbers are narrow."""

    stored: Any
    """Type of observations in the rollout."""
    computed: Any
    """Type of weights and observations in the network."""


KINDS = {
    "float32": Kind(jnp.float32, jnp.float32),
    "kept in bfloat16": Kind(jnp.bfloat16, jnp.float32),
    "kept in float16": Kind(jnp.float16, jnp.float32),
    "bfloat16 throughout": Kind(jnp.bfloat16, jnp.bfloat16),
}
BATCHES = 8
"""Minibatches of one call."""


def measure(servers: int, ticks: int, rollouts: int, repeats: int) -> dict[str, Any]:
    """Bytes of a whole rollout, and each kind's seconds and errors."""
    domain = cloud.make(cloud.Config(servers=servers))
    settings = mappo.Config()
    algorithm = dgpg.make(dgpg.Config(base=settings), domain)
    learner = algorithm.init(jax.random.key(0))

    def roll(key, steps):
        worlds = open_worlds(domain.env, key, rollouts)
        return collect(algorithm, learner, domain.env, worlds, key, steps, renew=False)[1]

    key = jax.random.key(1)
    whole = jax.eval_shape(lambda key: roll(key, domain.env.spec.horizon), key)
    seen = flatten(jax.jit(lambda key: roll(key, ticks))(key))
    acting = jnp.argsort(~jnp.any(seen.observation.active, axis=-1))
    index = acting[: BATCHES * settings.minibatch].reshape(BATCHES, -1)
    agents = domain.env.spec.agents
    some = crowds(key, BATCHES, agents, min(settings.crowd, agents))
    calls = {}
    for name, kind in KINDS.items():
        if kind.computed != jnp.float32 and grouped(domain.env.spec):
            continue
        kept = narrowed(seen.observation, kind.stored)
        ask = jax.jit(partial(gradients, kind.computed))
        calls[name] = partial(ask, learner.actor, kept, seen.action, index, some)
    said = {name: jax.device_get(call()) for name, call in calls.items()}
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            taken[name] += seconds(call, 1)
    usual = statistics.median(taken["float32"])
    acts = np.take_along_axis(
        np.asarray(seen.observation.active[index]), np.asarray(some)[:, None], axis=-1
    )
    return {
        "servers": servers,
        "rollout_bytes": size(whole),
        "observation_bytes": size(narrowed(whole.observation, None)),
        "milliseconds": 1e3 * usual / BATCHES,
        "kinds": {
            name: {
                "ratio": statistics.median(taken[name]) / usual,
                **moved(said["float32"][0][acts], said[name][0][acts]),
            }
            for name in calls
        },
    }


def grouped(spec: Spec) -> bool:
    """Whether several entities stand behind an action; who of them gives is found by the bits of
    32-bit numbers."""
    return spec.entities > spec.actions


def narrowed(tree: Any, kind: Any) -> Any:
    """Its 32-bit floats in another type; for None, those floats alone."""
    leaves = [x for x in jax.tree.leaves(tree) if x.dtype == jnp.float32]
    if kind is None:
        return leaves
    return jax.tree.map(lambda x: x.astype(kind) if x.dtype == jnp.float32 else x, tree)


def gradients(kind, actor, observation, action, index, some):
    """Log-probabilities of some minibatches, and the gradient of their mean."""

    def one(now):
        index, some = now
        seen = jax.tree.map(lambda x: x[index], observation)
        widened = jax.tree.map(
            lambda x: x.astype(kind) if jnp.issubdtype(x.dtype, jnp.floating) else x, seen
        )

        def mean(actor):
            policy = narrowed(actor, kind)
            said = jax.vmap(policy.assess, (0, 0, None), OVER_TICKS)(widened, action[index], some)
            log_prob = said.log_prob.astype(jnp.float32)
            return jnp.sum(jnp.where(said.acts, log_prob, 0.0)), log_prob

        slope, log_prob = jax.grad(mean, has_aux=True)(actor)
        return log_prob, slope

    return jax.lax.map(one, (index, some))


def moved(exact: np.ndarray, other: np.ndarray) -> dict[str, float]:
    """How far log-probabilities are from where they were."""
    gap = np.abs(np.asarray(other, np.float64) - exact)
    return {"median": float(np.median(gap)), "beyond": float(np.mean(gap > 0.1))}


def size(tree: Any) -> int:
    """Bytes of arrays."""
    return sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(tree))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--servers", type=int, default=20)
    parser.add_argument("--ticks", type=int, default=600)
    parser.add_argument("--rollouts", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    options = parser.parse_args()
    found = measure(options.servers, options.ticks, options.rollouts, options.repeats)
    if options.json:
        print(json.dumps({**found, **place()}))
        return 0
    share = found["observation_bytes"] / found["rollout_bytes"]
    print(
        f"{found['servers']} servers: {share:.0%} of a rollout's "
        f"{found['rollout_bytes'] / 2**20:,.0f} MiB are observations in 32 bits; a minibatch's "
        f"gradient takes {found['milliseconds']:.2f} ms."
    )
    for name, row in found["kinds"].items():
        print(
            f"{name}: {row['ratio']:.2f} of the time; log-probabilities move by "
            f"{row['median']:.1g} in the median, {row['beyond']:.1%} of them by more than 0.1."
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
