"""Measurements on noisy voters; each returns what JSON can hold."""

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from descant.algorithms import localised
from descant.core.domain import Domain
from descant.core.utility import AbstractObjective
from descant.domains import voter
from descant.domains.voter.exact import Exact, rate
from descant.domains.voter.world import Voter
from descant.evaluate import truncated
from descant.evaluate.decay import certificate, fitted_factor
from descant.ops.utility import Mean
from descant.train.loop import compile_period, plan, start


def _voters(discount: float, **world: Any) -> tuple[Domain, Exact, AbstractObjective]:
    """A domain, exact answers about it, and what its team wants."""
    domain = voter.make(voter.Config(**world))
    return domain, Exact(cast(Voter, domain.network), discount), cast(Mean, domain.objective)


def decay(
    *, alpha: float, agents: int, radii: Sequence[int], discount: float, seed: int
) -> dict[str, Any]:
    """What a radius leaves out on a ring with a linear utility, at a random policy."""
    _, exact, objective = _voters(discount, agents=agents, alpha=alpha, utility="linear")
    every = sorted({*radii, *range(7)})
    known = truncated.truth(exact, objective, every, seed)
    return {
        "closed": float(rate(alpha, discount)),
        "measured": fitted_factor(np.array([known.bias(radius) for radius in range(7)])),
        "certified": certificate(exact.network, discount).factor,
        "light cone": discount,
        "errors": {str(radius): known.bias(radius) for radius in radii},
    }


def noise(
    *,
    agents: int,
    rollouts: int,
    critic: str,
    radii: Sequence[int],
    horizon: int,
    batches: int,
    discount: float,
    seed: int,
) -> dict[str, Any]:
    """Errors of sampled gradients by radius, on a ring with utilities of three kinds."""
    domain, exact, objective = _voters(discount, agents=agents, horizon=horizon)
    known = truncated.truth(exact, objective, radii, seed)
    values = {"discount": discount, "critic": critic}
    return {
        str(radius): {"bias": known.bias(radius)}
        | truncated.noise(
            domain, known, values, radius=radius, rollouts=rollouts, batches=batches, seed=seed
        )
        for radius in radii
    }


def training(
    *,
    world: dict[str, Any],
    settings: dict[str, Any],
    rollouts: int,
    iterations: int,
    period: int,
    seed: int = 0,
) -> dict[str, Any]:
    """Learning curves with exact values: of the team, of its optimum, of violations.

    Args:
        world: fields of the voters' configuration.
        settings: fields of the configuration of `localised`.
        rollouts: scenarios of an iteration.
        iterations: in all.
        period: iterations from one exact value to the next.
        seed: of the run.
    """
    config = localised.Config(**settings)
    domain, exact, objective = _voters(config.discount, **world)
    best = exact.optimum(objective)
    what = plan(
        localised.make(config, domain),
        domain.env,
        rollouts=rollouts,
        steps=0,
        iterations=iterations,
    )
    begin = time.perf_counter()
    runs, keys = start(what, seed, 1)
    program = compile_period(what, runs, keys, period)
    compiled = time.perf_counter() - begin
    spent, rows = 0.0, [_standing(domain, exact, best, runs.learner) | {"iteration": 0}]
    for done in range(0, iterations, period):
        begin = time.perf_counter()
        runs, _ = jax.block_until_ready(program(runs, keys, np.int32(done)))
        spent += time.perf_counter() - begin
        row = _standing(domain, exact, best, runs.learner)
        rows.append(row | {"iteration": done + period, "seconds": spent})
    return {
        "optimum": best.value,
        "bound": best.bound,
        "compiling": compiled,
        "rows": rows,
        "config": asdict(config),
    }


def _standing(domain: Any, exact: Exact, best: Any, learner: Any) -> dict[str, Any]:
    """What a learner's policy has, exactly."""
    logits = np.asarray(learner.actor.logits[0], np.float64)
    push = 1 / (1 + np.exp(logits[:, :, 0] - logits[:, :, 1]))
    push = np.broadcast_to(push, (exact.agents, 2))
    occupied = exact.occupied(push).occupancy
    value = exact.value(domain.objective, push)
    row: dict[str, Any] = {
        "value": value,
        "gap": best.bound - value,
        "share": (best.bound - value) / abs(best.bound),
    }
    if domain.constraint is not None:
        margin = np.asarray(domain.constraint.local(jnp.asarray(occupied)))
        row["violation"] = float(np.maximum(-margin, 0).mean())
    return row


def locality(
    *, alpha: float, agents: int, sharpness: Sequence[float], discount: float, seed: int
) -> dict[str, Any]:
    """Decay that is measured and that is certified, at policies from even to deterministic."""
    _, exact, objective = _voters(discount, agents=agents, alpha=alpha, utility="linear")
    proof = certificate(exact.network, discount)
    logits = np.random.default_rng(seed).normal(size=(agents, 2))
    found = {}
    for factor in sharpness:
        push = 1 / (1 + np.exp(-factor * logits))
        full = exact.gradient(objective, push)
        near = exact.truncated(objective, push, range(7))
        errors = np.array([np.linalg.norm(near[radius] - full) for radius in range(7)])
        found[str(factor)] = {
            "measured": fitted_factor(errors),
            "certified": proof.factor,
            "spectral radius": proof.spectral_radius(np.stack([1 - push, push], axis=-1)),
        }
    return found
