"""Seconds of calls whose results are arrays, and the place they were measured in."""

import os
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from descant.train.loop import Plan, compile_period, start


def seconds(call: Callable[[], Any], repeats: int) -> list[float]:
    """Wall-clock seconds of each call, until its results are there."""
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(call())
        taken.append(time.perf_counter() - start)
    return taken


def trainer(what: Plan) -> tuple[float, Callable[[], Any]]:
    """Seconds of compiling a training iteration, and a call that makes one; the first is made."""
    runs, keys = start(what, 0, 1)
    begin = time.perf_counter()
    iterate = compile_period(what, runs, keys, 1)
    compiling = time.perf_counter() - begin

    def once() -> Any:
        nonlocal runs
        # The program takes over the memory of the runs it is given.
        runs, metrics = iterate(runs, keys, jnp.int32(0))
        return runs, metrics

    jax.block_until_ready(once())
    return compiling, once


def iterations(what: Plan, repeats: int) -> tuple[float, list[float]]:
    """Seconds of compiling a training iteration, and of each of some, the first left out."""
    compiling, once = trainer(what)
    return compiling, seconds(once, repeats)


def place() -> dict[str, Any]:
    """What a reader needs to know to judge the seconds."""
    usable = getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))(0)
    return {"device": jax.devices()[0].device_kind, "cores": len(usable), "jax": jax.__version__}
