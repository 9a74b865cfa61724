"""Doing the jobs of the comparison: asking each algorithm what it takes, and measuring."""

import time
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import jax
import optax
from jaxtyping import Array
from rich.console import Console

from descant.core import discovery
from descant.core.algorithm import OVER_TICKS, AbstractAlgorithm
from descant.core.domain import Domain
from descant.core.env import AbstractEnv
from descant.core.errors import UserError
from descant.core.types import Key, PyTree
from descant.evaluate import variance
from descant.reproduce._common import work
from descant.reproduce._common.jobs import Train
from descant.reproduce._compare.jobs import ROLLOUTS, STEPS, WARM, Noise
from descant.train.cache import enable_compile_cache
from descant.train.collect import collect, open_worlds
from descant.train.progress import phase
from descant.train.settings import Settings
from descant.train.signals import graceful
from descant.train.trained import Trained, load_trained

OWN = (
    "agents have weights of their own, so there is no gradient at the policy whose weights the "
    "others share"
)


def learn(train: Train, scenarios: int, place: Path, console: Console) -> dict[str, Any]:
    """Train, play, and count what was learnt; or say why the algorithm refuses the domain."""
    settings = train.settings
    domain = domain_of(settings)
    try:
        algorithm_of(settings, domain)
    except UserError as refusal:
        return {"kind": "refused", "why": str(refusal)}
    folder = train.folder(place)
    record = work.train(settings, folder, console)
    return {
        **record,
        "iterating": record["seconds"],
        **work.score(folder, scenarios, {}, console),
        **counted(load_trained(folder), int(record["metrics"]["skipped"][-1][0])),
        "asks": asked(settings, domain),
    }


def counted(trained: Trained, skipped: int) -> dict[str, int]:
    """Weights of the first learner's actor, weights that it learns besides, and gradient steps of
    an update, one after another: an optimiser says what it moves, and how often it has. Updates
    that were skipped have moved nothing."""
    learner = jax.tree.map(lambda x: x[0], trained.learners)
    states = [state for state in jax.tree.leaves(learner, is_leaf=_moves) if _moves(state)]
    moved = sum(_size(state.mu) for state in states)
    # The chance to explore is part of a policy, and no weight.
    actor = jax.tree.leaves(trained.algorithm.policy(learner))
    weights = _size([x for x in actor if x.ndim])
    steps = sum(int(state.count.sum()) for state in states if _size(state.mu))
    updates = max(trained.iteration - skipped, 1)
    return {"actor": weights, "besides": moved - weights, "steps": steps // updates}


def _moves(node: Any) -> bool:
    return isinstance(node, optax.ScaleByAdamState)


def _size(tree: PyTree) -> int:
    return sum(x.size for x in jax.tree.leaves(tree))


def asked(settings: Settings, domain: Domain) -> list[str]:
    """What of a domain's knowledge an algorithm cannot do without."""
    known = [f.name for f in fields(domain) if f.default is None and getattr(domain, f.name)]
    return [name for name in known if _refuses(settings, replace(domain, **{name: None}))]


def _refuses(settings: Settings, domain: Domain) -> bool:
    try:
        algorithm_of(settings, domain)
    except UserError:
        return True
    return False


def domain_of(settings: Settings) -> Domain:
    """The domain that settings describe."""
    return discovery.load("domains", settings.domain_name).make(settings.domain)


def algorithm_of(settings: Settings, domain: Domain) -> AbstractAlgorithm:
    """The algorithm that they describe, in a domain; it may refuse."""
    return discovery.load("algorithms", settings.algorithm_name).make(settings.algorithm, domain)


def noise(job: Noise, console: Console) -> dict[str, Any]:
    """The noise of everybody's gradients, and why some have none to ask for."""
    enable_compile_cache()
    start = time.perf_counter()
    domain, key = domain_of(job.settings[0][1]), jax.random.key(job.seed)
    with graceful(idle=True), phase(console, "Measuring"):
        members, silent = heard(dict(job.settings), domain)
        estimators = variance.at_one_policy(domain, members, key, job.iterations, rollouts=ROLLOUTS)
        record = variance.measure(
            domain,
            estimators,
            samples=job.samples,
            warm=WARM,
            steps=STEPS,
            alphas=job.weights,
            seed=job.seed,
        )
    seconds = time.perf_counter() - start
    return {"kind": "credit", "seconds": seconds, "silent": silent, "record": record}


def heard(
    known: Mapping[str, Settings], domain: Domain
) -> tuple[dict[str, AbstractAlgorithm], dict[str, str]]:
    """The algorithms that have a gradient at the first one's policy, and what the others say
    instead; who refuses the domain is in neither."""
    members: dict[str, AbstractAlgorithm] = {}
    silent = {}
    for name, settings in known.items():
        if _refuses(settings, domain):
            continue
        algorithm = algorithm_of(settings, domain)
        shape = _policy(next(iter(members.values()), algorithm))
        why = without_gradient(algorithm, domain.env)
        if why is None and _policy(algorithm) != shape:
            why = OWN
        if why is None:
            members[name] = algorithm
        else:
            silent[name] = why
    return members, silent


def _policy(algorithm: AbstractAlgorithm) -> PyTree:
    """Kind and shape of an algorithm's policy."""
    shape = jax.eval_shape(lambda key: algorithm.policy(algorithm.init(key)), jax.random.key(0))
    leaves, tree = jax.tree.flatten(shape)
    return type(shape), str(tree), [(x.shape, x.dtype) for x in leaves]


def without_gradient(algorithm: AbstractAlgorithm, env: AbstractEnv) -> str | None:
    """The sentence with which an algorithm says that it has no gradient of single decisions; None
    if it has."""

    def parts(key: Key) -> tuple[Array, Array]:
        learner = algorithm.init(key)
        worlds = open_worlds(env, key, 1, memory=algorithm.begin(learner))
        rollout = collect(algorithm, learner, env, worlds, key, 1, renew=True)[1]
        assess = jax.vmap(algorithm.policy(learner).assess, (0, 0, None), OVER_TICKS)
        each = jax.vmap(assess, (0, 0, None), OVER_TICKS)
        return algorithm.parts(learner, each(rollout.observation, rollout.action, None), rollout)

    try:
        jax.eval_shape(parts, jax.random.key(0))
    except UserError as refusal:
        return str(refusal)
    return None
