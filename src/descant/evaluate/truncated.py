"""Errors of localised gradients on noisy voters, where the exact ones are known: what a radius
leaves out, how far pushes are felt, and the noise of estimates from some rollouts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from descant.core import discovery
from descant.core.domain import Domain
from descant.core.types import Key, Rollout
from descant.core.utility import AbstractObjective
from descant.train.collect import collect, open_worlds

if TYPE_CHECKING:
    from descant.domains.voter.exact import Exact


class Truth(NamedTuple):
    """Exact gradients at a policy of the own opinion, times the number of agents."""

    push: Float[np.ndarray, "N 2"]
    """Chances to push."""
    full: Float[np.ndarray, "N 2"]
    """By the logits of pushing."""
    near: Mapping[int, Float[np.ndarray, "N 2"]]
    """Truncated, by radius."""
    shadow: Float[np.ndarray, "N 2 2"]

    def bias(self, radius: int) -> float:
        """Length of what a radius leaves out, relative to the gradient."""
        off = np.linalg.norm(self.near[radius] - self.full)
        return float(off / np.linalg.norm(self.full))


def truth(exact: "Exact", objective: AbstractObjective, radii: Sequence[int], seed: int) -> Truth:
    """At a random policy."""
    agents = exact.agents
    push = np.random.default_rng(seed).uniform(0.05, 0.95, (agents, 2))
    chain = agents * push * (1 - push)
    near = exact.truncated(objective, push, radii)
    occupied = jnp.asarray(exact.occupied(push).occupancy)
    return Truth(
        push=push,
        full=chain * exact.gradient(objective, push),
        near={radius: chain * gradient for radius, gradient in near.items()},
        shadow=np.asarray(objective.shadow(occupied)),
    )


class Felt(NamedTuple):
    """Who is 0, 1, ... hops from each agent, and what they feel of its pushes."""

    agents: Float[np.ndarray, "N R"]
    """How many there are."""
    sum: Float[np.ndarray, "N R"]
    """What all of them feel together, in discounted shares of time."""


def felt(exact: "Exact", push: Float[np.ndarray, "N 2"], farthest: int) -> Felt:
    """At a policy of the own opinion, up to a distance."""
    centre, member, distance = exact.network.graph.pairs(farthest)
    inverse = exact.influence(push, np.arange(exact.agents))
    found = Felt(*np.zeros((2, exact.agents, farthest + 1)))
    np.add.at(found.agents, (centre, distance), 1)
    np.add.at(found.sum, (centre, distance), inverse[member, centre])
    return found


def noise(
    domain: Domain,
    known: Truth,
    values: Mapping[str, Any],
    *,
    radius: int,
    rollouts: int,
    batches: int,
    seed: int = 0,
) -> dict[str, float]:
    """Root mean squares over batches, relative to the full gradient: distance of estimates to the
    truncated gradient (`noise`) and to the full one (`error`). Shadow rewards are exact.

    Args:
        domain: noisy voters.
        known: exact gradients there.
        values: fields of the configuration of `localised`.
        radius: of credit.
        rollouts: scenarios of a batch.
        batches: how many are averaged over.
        seed: of the batches.
    """
    algorithm, learner, roll = sampler(domain, known, values, radius=radius, rollouts=rollouts)
    shadow = jnp.asarray(known.shadow)
    targets = [jnp.asarray(x, jnp.float32) for x in (known.near[radius], known.full)]

    @jax.jit
    def batch(key):
        slope, _ = algorithm.slope(learner, roll(key), shadow, jnp.float32(0))
        return [jnp.sum((slope.logits[..., 1] - x) ** 2) for x in targets]

    keys = jax.random.split(jax.random.key(seed), batches)
    squares = np.mean([[float(x) for x in batch(key)] for key in keys], axis=0)
    size = np.linalg.norm(known.full)
    return {"noise": float(np.sqrt(squares[0]) / size), "error": float(np.sqrt(squares[1]) / size)}


def sampler(
    domain: Domain, known: Truth, values: Mapping[str, Any], *, radius: int, rollouts: int
) -> tuple[Any, Any, Callable[[Key], Rollout]]:
    """The algorithm, a learner with the policy that exact answers are about, and what rolls out a
    batch of whole episodes under it."""
    module = discovery.load("algorithms", "localised")
    algorithm = module.make(module.Config(credit_radius=radius, **values), domain)
    logits = jnp.log(jnp.stack([1 - known.push, known.push], axis=-1)).astype(jnp.float32)
    learner = algorithm.init(jax.random.key(0))
    learner = learner._replace(actor=replace(learner.actor, logits=logits))

    def roll(key: Key) -> Rollout:
        open_key, roll_key = jax.random.split(key)
        worlds = open_worlds(domain.env, open_key, rollouts)
        ticks = domain.env.spec.horizon
        return collect(algorithm, learner, domain.env, worlds, roll_key, ticks, renew=False)[1]

    return algorithm, learner, roll
