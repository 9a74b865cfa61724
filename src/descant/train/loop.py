"""The training loop: a period of iterations is one compiled call, for all seeds at once."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from descant.core.algorithm import AbstractAlgorithm
from descant.core.env import AbstractEnv
from descant.core.types import Key, Keys, PyTree, Rollout, Scalar
from descant.train.collect import Worlds, collect, open_worlds


class Run(NamedTuple):
    """All that a training run is between two iterations."""

    learner: PyTree
    worlds: Worlds | None
    """Scenarios under way; None where every iteration starts new episodes."""
    bad: Int[Array, ""]
    """Iterations in a row that were left out because something was not finite."""
    skipped: Int[Array, ""]
    """All such iterations."""


class Plan(NamedTuple):
    """What one iteration does; all of it static."""

    algorithm: AbstractAlgorithm
    env: AbstractEnv
    rollouts: int
    steps: int
    iterations: int
    whole: bool
    """Whether a rollout is one whole episode of each scenario."""


def plan(
    algorithm: AbstractAlgorithm, env: AbstractEnv, *, rollouts: int, steps: int, iterations: int
) -> Plan:
    """Rollouts of `steps` ticks; 0 takes the horizon."""
    steps = steps or env.spec.horizon
    whole = env.spec.fixed and steps == env.spec.horizon
    return Plan(algorithm, env, rollouts, steps, iterations, whole)


def begin(plan: Plan, key: Key) -> Run:
    """A run before its first iteration."""
    learner_key, worlds_key = jax.random.split(key)
    worlds = None if plan.whole else open_worlds(plan.env, worlds_key, plan.rollouts)
    return Run(plan.algorithm.init(learner_key), worlds, jnp.int32(0), jnp.int32(0))


def iterate(plan: Plan, run: Run, key: Key, index: Int[Array, ""]) -> tuple[Run, dict[str, Scalar]]:
    """Roll out, learn, and take the result only if all of it is finite."""
    open_key, roll_key, learn_key = jax.random.split(jax.random.fold_in(key, index), 3)
    worlds = run.worlds
    if worlds is None:
        worlds = open_worlds(plan.env, open_key, plan.rollouts)
    worlds, rollout = collect(
        plan.algorithm, run.learner, plan.env, worlds, roll_key, plan.steps, renew=not plan.whole
    )
    progress = index / max(plan.iterations - 1, 1)
    learner, metrics = plan.algorithm.update(run.learner, rollout, progress, learn_key)
    site = first_bad(rollout, learner, None if plan.whole else worlds)
    good = site == 0
    learner = jax.tree.map(lambda new, old: jnp.where(good, new, old), learner, run.learner)
    if not plan.whole:
        # What a world lost to NaN will not come back, and no checkpoint may hold it.
        fresh, lost = open_worlds(plan.env, open_key, plan.rollouts), ~_finite(worlds)
        worlds = jax.tree.map(lambda new, old: jnp.where(lost, new, old), fresh, worlds)
    run = Run(
        learner=learner,
        worlds=None if plan.whole else worlds,
        bad=jnp.where(good, 0, run.bad + 1),
        skipped=run.skipped + ~good,
    )
    metrics = {
        "return": jnp.mean(rollout.reward),
        **{name: jnp.mean(value) for name, value in rollout.diagnostics.items()},
        **metrics,
        "skipped": run.skipped.astype(jnp.float32),
        "bad": run.bad.astype(jnp.float32),
        "site": site.astype(jnp.float32),
    }
    return run, metrics


SITES = ("observation", "context", "value", "log_prob", "probes", "reward", "state", "learner")
"""Where something that is not finite may be seen, in the order in which a tick makes it."""


def first_bad(rollout: Rollout, learner: PyTree, worlds: PyTree = None) -> Int[Array, ""]:
    """1 + index into `SITES` of where NaN or infinity stood first; 0 if all is finite."""
    never = rollout.reward.shape[0] + 2
    ticks = [_first_tick(getattr(rollout, name), never) for name in SITES[:-2]]
    ticks += [jnp.where(_finite(worlds), never, never - 2)]
    ticks += [jnp.where(_finite(learner), never, never - 1)]
    first = jnp.stack(ticks)
    return jnp.where(jnp.min(first) < never, 1 + jnp.argmin(first), 0)


def _first_tick(tree: PyTree, never: int) -> jax.Array:
    """The first index along the leading axis at which some leaf is not finite."""
    finite = [
        jnp.all(jnp.isfinite(leaf), axis=tuple(range(1, leaf.ndim)))
        for leaf in _floats(tree)
        if leaf.size
    ]
    if not finite:
        return jnp.int32(never)
    bad = ~jnp.all(jnp.stack(finite), axis=0)
    return jnp.where(jnp.any(bad), jnp.argmax(bad), never)


def _finite(tree: PyTree) -> jax.Array:
    return jnp.all(jnp.array([jnp.all(jnp.isfinite(x)) for x in _floats(tree)], dtype=bool))


def _floats(tree: PyTree) -> list[jax.Array]:
    return [x for x in jax.tree.leaves(tree) if jnp.issubdtype(x.dtype, jnp.floating)]


def compile_period(plan: Plan, run: Run, keys: Keys, length: int) -> Callable:
    """A compiled `(runs, keys, first index) -> (runs, metrics [length, S])`; runs are donated."""

    def period(runs, keys, first):
        def one(run, key):
            return jax.lax.scan(
                lambda run, index: iterate(plan, run, key, index),
                run,
                first + jnp.arange(length),
            )

        runs, metrics = jax.vmap(one)(runs, keys)
        return runs, jax.tree.map(lambda x: x.T, metrics)

    return jax.jit(period, donate_argnums=0).lower(run, keys, jnp.int32(0)).compile()
