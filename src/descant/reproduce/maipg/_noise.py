"""How noisy the actor's gradient is at checkpoints of a run."""

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float
from rich.console import Console

from descant.ascent.together import even, fresh
from descant.ascent.weigher import spread
from descant.core.algorithm import AbstractAlgorithm
from descant.core.env import AbstractEnv
from descant.core.types import Keys, PyTree
from descant.evaluate.episodes import scenario_keys
from descant.evaluate.rollouts import gradients
from descant.evaluate.session import SEED
from descant.train.cache import enable_compile_cache
from descant.train.collect import collect, open_worlds
from descant.train.progress import phase
from descant.train.signals import graceful
from descant.train.trained import load_trained


def along(
    folder: Path, iterations: Sequence[int], rollouts: int, console: Console
) -> dict[str, Any]:
    r"""Covariance of $(g_J, g_Q)$ over rollouts, summed over weights, and inner products of their
    means, [iterations, S, 2, 2]; checkpoints of these iterations must be there."""
    enable_compile_cache()
    start = time.perf_counter()
    found = []
    with graceful(idle=True), phase(console, "Measuring gradients"):
        # The value may have no weight in the run; it is asked all the same.
        told = {"algorithm.nu": 0.5}
        every = [load_trained(folder, told, iteration) for iteration in iterations]
        first = every[0]
        steps = first.settings.train.steps or first.domain.env.spec.horizon
        measured = jax.jit(
            partial(
                _measured,
                first.algorithm,
                first.domain.env,
                rollouts,
                steps,
                even(steps, first.settings.algorithm.base.ticks_in_a_row),
            )
        )
        for trained in every:
            keys = scenario_keys("held-out", SEED + trained.iteration, trained.settings.seeds)
            found.append(jax.device_get(measured(trained.learners, keys)))
    covariance, signal = (np.asarray(part, np.float64) for part in zip(*found, strict=True))
    return {
        "kind": "gradients",
        "run": folder.name,
        "iterations": list(iterations),
        "rollouts": rollouts,
        "covariance": covariance.tolist(),
        "signal": signal.tolist(),
        "seconds": time.perf_counter() - start,
    }


def _measured(
    algorithm: AbstractAlgorithm,
    env: AbstractEnv,
    rollouts: int,
    steps: int,
    chunk: int,
    learners: PyTree,
    keys: Keys,
) -> tuple[Float[Array, "S P P"], Float[Array, "S P P"]]:
    def one(given):
        learner, key = given
        open_key, roll_key = jax.random.split(key)
        memory = algorithm.begin(learner)
        worlds = open_worlds(env, open_key, rollouts, memory=memory)
        rollout = collect(
            algorithm, learner, env, worlds, roll_key, steps, renew=not env.spec.fixed
        )[1]
        # Training cuts memory here, too.
        begun = fresh(rollout).at[::chunk].set(True)
        evidence, _ = spread(gradients(algorithm, learner, rollout, begun))
        return evidence.noise * rollouts, evidence.signal

    return jax.lax.map(one, (learners, keys))
