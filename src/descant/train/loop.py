"""The training loop: a period of iterations is one compiled call, for all seeds at once."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as Spec
from jaxtyping import Array, Int

from descant.core.algorithm import AbstractAlgorithm
from descant.core.env import AbstractEnv
from descant.core.errors import UserError
from descant.core.types import Key, Keys, PyTree, Rollout, Scalar
from descant.train.collect import AXIS, Worlds, collect, open_worlds
from descant.train.settings import MOST
from descant.train.verdict import Verdict, ahead


class Kept(NamedTuple):
    """The learner that did best on validation scenarios so far."""

    learner: PyTree
    verdict: Verdict
    iteration: Int[Array, ""]
    """After which it was; 0 before the first validation."""


class Run(NamedTuple):
    """All that a training run is between two iterations."""

    learner: PyTree
    worlds: Worlds | None
    """Scenarios under way; None where every iteration starts new episodes."""
    bad: Int[Array, ""]
    """Iterations in a row that were left out because something was not finite."""
    skipped: Int[Array, ""]
    """All such iterations."""
    kept: Kept | None = None
    """None where the last learner is the one to use."""


class Plan(NamedTuple):
    """What one iteration does; all of it static."""

    algorithm: AbstractAlgorithm
    env: AbstractEnv
    rollouts: int
    steps: int
    iterations: int
    whole: bool
    """Whether a rollout is one whole episode of each scenario."""
    mesh: Mesh | None = None
    """Devices over which scenarios are spread; None is one device."""
    judge: Callable[[PyTree], Verdict] | None = None
    """What a learner is worth; None where nobody asks."""
    every: int = 1
    """Iterations from one validation to the next; there is one after the last iteration, too."""


def plan(
    algorithm: AbstractAlgorithm,
    env: AbstractEnv,
    *,
    rollouts: int,
    steps: int,
    iterations: int,
    mesh: Mesh | None = None,
    judge: Callable[[PyTree], Verdict] | None = None,
    every: int = 1,
) -> Plan:
    """Rollouts of `steps` ticks; 0 takes the horizon.

    Raises:
        UserError: that is more than can be counted.
    """
    steps = steps or env.spec.horizon
    if rollouts * steps > MOST:
        raise UserError(
            f"train.rollouts: {rollouts:,} of {steps:,} ticks each are more than the {MOST:,} that "
            "an iteration may have."
        )
    whole = env.spec.fixed and steps == env.spec.horizon
    return Plan(algorithm, env, rollouts, steps, iterations, whole, mesh, judge, every)


def begin(plan: Plan, key: Key) -> Run:
    """A run before its first iteration."""
    learner, zero = plan.algorithm.init(learner_key(key)), jnp.int32(0)
    worlds = None if plan.whole else _open(plan, learner, jax.random.split(key)[1])
    kept = None if plan.judge is None else unjudged(plan.algorithm, learner)
    return Run(learner, worlds, zero, zero, kept)


def unjudged(algorithm: AbstractAlgorithm, learner: PyTree) -> Kept:
    """A learner of which nothing is known yet."""
    violation = None if algorithm.aims[1] is None else jnp.float32(0)
    return Kept(learner, Verdict(jnp.float32(0), violation), jnp.int32(0))


def learner_key(key: Key) -> Key:
    """What a run's first learner is drawn with, given the key that drives the run."""
    return jax.random.split(key)[0]


def _open(plan: Plan, learner: PyTree, key: Key) -> Worlds:
    memory = plan.algorithm.begin(learner)
    return open_worlds(plan.env, key, plan.rollouts, plan.mesh, memory)


def iterate(plan: Plan, run: Run, key: Key, index: Int[Array, ""]) -> tuple[Run, dict[str, Scalar]]:
    """Roll out, learn, and take the result only if all of it is finite."""
    open_key, roll_key, learn_key = jax.random.split(jax.random.fold_in(key, index), 3)
    worlds = run.worlds
    if worlds is None:
        worlds = _open(plan, run.learner, open_key)
    worlds, rollout = collect(
        plan.algorithm,
        run.learner,
        plan.env,
        worlds,
        roll_key,
        plan.steps,
        renew=not plan.whole,
        mesh=plan.mesh,
    )
    if plan.mesh is not None:
        # Everybody learns from everything; minibatches mix scenarios.
        rollout = jax.lax.with_sharding_constraint(rollout, everywhere(plan.mesh))
    progress = index / max(plan.iterations - 1, 1)
    learner, metrics = plan.algorithm.update(run.learner, rollout, progress, learn_key)
    site = first_bad(rollout, learner, None if plan.whole else worlds)
    good = site == 0
    learner = jax.tree.map(lambda new, old: jnp.where(good, new, old), learner, run.learner)
    if not plan.whole:
        # What a world lost to NaN will not come back, and no checkpoint may hold it.
        fresh, lost = _open(plan, learner, open_key), ~_finite(worlds, plan.rollouts)
        worlds = jax.tree.map(lambda new, old: jnp.where(lost, new, old), fresh, worlds)
    run = Run(
        learner=learner,
        worlds=None if plan.whole else worlds,
        bad=jnp.where(good, 0, run.bad + 1),
        skipped=run.skipped + ~good,
        kept=run.kept,
    )
    metrics = {
        "return": jnp.mean(rollout.reward),
        **said(rollout, plan.env.spec.outcomes),
        **metrics,
        "skipped": run.skipped.astype(jnp.float32),
        "bad": run.bad.astype(jnp.float32),
        "site": site.astype(jnp.float32),
    }
    if plan.judge is not None and run.kept is not None:
        verdict = _validate(plan, plan.judge, learner, index)
        kept = better(run.kept, Kept(learner, verdict, index + 1))
        run = run._replace(kept=kept)
        metrics |= _told(plan, verdict) | {"selected": kept.iteration.astype(jnp.float32)}
    return run, metrics


def said(rollout: Rollout, outcomes: tuple[str, ...]) -> dict[str, Scalar]:
    """Diagnostics as means over ticks; of outcomes, over the episodes that ended here, NaN where
    none has."""
    done = rollout.terminated | rollout.truncated
    return {
        name: jnp.mean(value, where=done) if name in outcomes else jnp.mean(value)
        for name, value in rollout.diagnostics.items()
    }


def _validate(
    plan: Plan, judge: Callable[[PyTree], Verdict], learner: PyTree, index: Int[Array, ""]
) -> Verdict:
    """What the learner is worth on validation scenarios; NaN where it is not its turn."""
    due = ((index + 1) % plan.every == 0) | (index + 1 == plan.iterations)
    nothing = jax.tree.map(lambda _: jnp.float32(jnp.nan), jax.eval_shape(judge, learner))
    return jax.lax.cond(due, judge, lambda _: nothing, learner)


def _told(plan: Plan, verdict: Verdict) -> dict[str, Scalar]:
    """What to record of it: rewards, which rules have, too, are not mixed with utilities."""
    name = "validation" if plan.algorithm.aims[0] is None else "validation_utility"
    found = {name: verdict.value, "validation_violation": verdict.violation}
    return {name: jnp.asarray(value) for name, value in found.items() if value is not None}


def better(kept: Kept, new: Kept) -> Kept:
    """The one that violates less, then the one with more, the older one of equals; what is not
    finite has none."""
    leads = (kept.iteration == 0) | ahead(new.verdict, kept.verdict)
    wins = jnp.isfinite(new.verdict.value) & leads
    return jax.tree.map(lambda new, old: jnp.where(wins, new, old), new, kept)


SITES = ("observation", "context", "value", "log_prob", "probes", "reward", "state", "learner")
"""Where something that is not finite may be seen, in the order in which a tick makes it."""


def first_bad(rollout: Rollout, learner: PyTree, worlds: PyTree = None) -> Int[Array, ""]:
    """1 + index into `SITES` of where NaN or infinity stood first; 0 if all is finite."""
    never = rollout.reward.shape[0] + 2
    ticks = [_first_tick(getattr(rollout, name), never) for name in SITES[:-2]]
    ticks += [jnp.where(_finite(worlds, rollout.reward.shape[1]), never, never - 2)]
    ticks += [jnp.where(_finite(learner), never, never - 1)]
    first = jnp.stack(ticks)
    return jnp.where(jnp.any(first < never), 1 + jnp.argmin(first), 0)


def _first_tick(tree: PyTree, never: int) -> jax.Array:
    """The first index along the leading axis at which some leaf is not finite."""
    finite = [
        jnp.all(jnp.isfinite(leaf), axis=tuple(range(1, leaf.ndim)))
        for leaf in _floats(tree)
        if leaf.size
    ]
    if not finite:
        return jnp.int32(never)
    bad = jnp.any(~jnp.stack(finite), axis=0)
    return jnp.where(jnp.any(bad), jnp.argmax(bad), never)


SMALL = 2**16
"""Numbers up to which a leaf is copied to be looked at together with others."""


def _finite(tree: PyTree, rows: int = 1) -> jax.Array:
    """Whether all numbers are; of what is spread over devices, `rows` is the axis along which.

    Small leaves stand side by side in one array: looked at leaf by leaf, each is a kernel or two to
    compile, and XLA repeats the conjunction of all of them in whatever hangs on it. Large ones,
    such as a replay's, are not copied for that.
    """
    leaves = [x.reshape(rows, -1) for x in _floats(tree) if x.size]
    small = [x for x in leaves if x.size <= SMALL]
    parts = [x for x in leaves if x.size > SMALL]
    parts += [jnp.concatenate(small, axis=1)] if small else []
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(x)) for x in parts] or [jnp.bool_(True)]))


def _floats(tree: PyTree) -> list[jax.Array]:
    return [x for x in jax.tree.leaves(tree) if jnp.issubdtype(x.dtype, jnp.floating)]


def start(plan: Plan, seed: int, count: int) -> tuple[Run, Keys]:
    """Runs of `count` seeds before their first iteration, and the keys that drive them."""

    def make():
        keys = jax.random.split(jax.random.key(seed), count)
        return jax.vmap(partial(begin, plan))(keys), keys

    if plan.mesh is None:
        return jax.jit(make)()
    places = _places(plan.mesh, jax.eval_shape(make)[0]), everywhere(plan.mesh)
    return jax.jit(make, out_shardings=places)()


def compile_period(plan: Plan, run: Run, keys: Keys, length: int) -> Callable:
    """A compiled `(runs, keys, first index) -> (runs, metrics [length, S])`; runs are donated."""
    lowered, floats = lower_period(plan, run, keys, length)
    compiled = lowered.compile()
    return lambda runs, keys, first: compiled(runs, keys, first, floats)


def lower_period(
    plan: Plan, run: Run, keys: Keys, length: int
) -> tuple[jax.stages.Lowered, PyTree]:
    """The program before it is compiled, and its last argument: the algorithm's floats.

    Rates, clips and weights are no constants of the program, so that algorithms which differ in
    nothing else have one and the same, and a cache of compiled programs finds it.
    """
    floats, rest = eqx.partition(plan.algorithm, lambda leaf: isinstance(leaf, float))

    def period(runs, keys, first, floats):
        now = plan._replace(algorithm=eqx.combine(floats, rest))

        def one(run, key):
            return jax.lax.scan(
                lambda run, index: iterate(now, run, key, index),
                run,
                first + jnp.arange(length),
            )

        runs, metrics = jax.vmap(one)(runs, keys)
        return runs, jax.tree.map(lambda x: x.T, metrics)

    given = run, keys, np.int32(0), floats
    if plan.mesh is None:
        return jax.jit(period, donate_argnums=0).lower(*given), floats
    places = _places(plan.mesh, run), everywhere(plan.mesh)
    with jax.set_mesh(plan.mesh):
        program = jax.jit(period, donate_argnums=0, out_shardings=places)
        return program.lower(*given), floats


def _places(mesh: Mesh, run: Run) -> Run:
    """Where runs live: worlds are spread, of all else each device has a copy."""
    spread = NamedSharding(mesh, Spec(None, AXIS))
    places = jax.tree.map(lambda _: everywhere(mesh), run)
    return places._replace(worlds=jax.tree.map(lambda _: spread, run.worlds))


def everywhere(mesh: Mesh) -> NamedSharding:
    """A copy on each device."""
    return NamedSharding(mesh, Spec())
