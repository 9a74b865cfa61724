"""How large a run will be, found without running it."""

from functools import partial
from typing import Any

from descant.core.types import PyTree
from descant.train.settings import Settings
from descant.train.trained import make


def facts(settings: Settings) -> dict[str, Any]:
    """Sizes of a run: arrays of a rollout, weights, bytes of a rollout and of a checkpoint.

    All seeds together; a learner's update needs some times the memory of its rollout.

    Raises:
        UserError: a value cannot be used.
    """
    import jax

    from descant.train.collect import collect, open_worlds
    from descant.train.loop import begin, plan, unjudged

    domain, algorithm = make(settings)
    knobs, spec = settings.train, domain.env.spec
    what = plan(
        algorithm,
        domain.env,
        rollouts=knobs.rollouts,
        steps=knobs.steps,
        iterations=knobs.iterations,
    )

    def roll(key):
        run = begin(what, key)
        memory = algorithm.begin(run.learner)
        worlds = open_worlds(what.env, key, what.rollouts, memory=memory)
        return run, collect(
            algorithm, run.learner, what.env, worlds, key, what.steps, renew=not what.whole
        )[1]

    run, rollout = jax.eval_shape(roll, jax.random.key(0))
    policy = jax.eval_shape(algorithm.policy, run.learner)
    best = jax.eval_shape(partial(unjudged, algorithm), run.learner)
    kept = _bytes(best) if knobs.select == "best" else 0
    return {
        "agents": spec.agents,
        "actions": spec.actions,
        "ticks per iteration": settings.seeds * what.rollouts * what.steps,
        "policy weights": sum(leaf.size for leaf in jax.tree.leaves(policy)),
        "rollout bytes": settings.seeds * _bytes(rollout),
        "checkpoint bytes": settings.seeds * (_bytes(run) + kept),
        "rollout": {
            jax.tree_util.keystr(path, simple=True, separator="."): _shape(leaf)
            for path, leaf in jax.tree_util.tree_flatten_with_path(rollout)[0]
        },
    }


def _bytes(tree: PyTree) -> int:
    import jax

    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def _shape(leaf: Any) -> str:
    return f"{leaf.dtype}[{', '.join(map(str, leaf.shape))}]"
