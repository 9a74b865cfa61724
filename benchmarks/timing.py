"""Seconds of calls whose results are arrays, and the place they were measured in."""

import os
import time
from collections.abc import Callable
from typing import Any

import jax


def seconds(call: Callable[[], Any], repeats: int) -> list[float]:
    """Wall-clock seconds of each call, until its results are there."""
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(call())
        taken.append(time.perf_counter() - start)
    return taken


def place() -> dict[str, Any]:
    """What a reader needs to know to judge the seconds."""
    usable = getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))(0)
    return {"device": jax.devices()[0].device_kind, "cores": len(usable), "jax": jax.__version__}
