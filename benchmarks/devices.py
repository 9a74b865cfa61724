"""Seconds of a DG-PG iteration with its scenarios on one device and spread over several.

    python benchmarks/devices.py --servers 20 --devices 2

On a CPU the devices are shares of it that XLA makes; each runs the simulator's loops by itself. The
rollout alone and the whole iteration are timed, on one device and on several in turn, so that other
work on the machine falls on both. Medians, and the least of each.
"""

import argparse
import json
import statistics
import sys
from typing import Any

import jax
import numpy as np
from timing import place, seconds

from descant.algorithms import dgpg
from descant.domains import cloud
from descant.train.collect import collect, open_worlds
from descant.train.config import Train
from descant.train.devices import mesh, provide
from descant.train.loop import compile_period, plan, start


class Spread:
    """Training over some devices."""

    def __init__(self, servers: int, devices: int, rollouts: int):
        domain = cloud.make(cloud.Config(servers=servers))
        self.what = plan(
            dgpg.make(dgpg.Config(), domain),
            domain.env,
            rollouts=rollouts,
            steps=Train().steps,
            iterations=Train().iterations,
            mesh=mesh(devices, rollouts),
        )
        self.runs, self.keys = start(self.what, 0, 1)
        self.learner = jax.tree.map(lambda x: x[0].copy(), self.runs.learner)
        self.iteration = compile_period(self.what, self.runs, self.keys, 1)
        self.rollout = jax.jit(self._roll).lower(self.learner, self.keys[0]).compile()

    def _roll(self, learner: Any, key: Any) -> Any:
        what = self.what
        worlds = open_worlds(what.env, key, what.rollouts, what.mesh)
        rolled = collect(
            *(what.algorithm, learner, what.env, worlds, key, what.steps),
            renew=False,
            mesh=what.mesh,
        )
        return rolled[1]

    def iterate(self) -> Any:
        # The program takes over the memory of the runs it is given.
        self.runs, metrics = self.iteration(self.runs, self.keys, np.int32(0))
        return metrics

    def roll(self) -> Any:
        return self.rollout(self.learner, self.keys[0])


def measure(servers: int, devices: int, rollouts: int, repeats: int) -> dict[str, Any]:
    spreads = {count: Spread(servers, count, rollouts) for count in (1, devices)}
    found = {"servers": servers, "rollouts": rollouts, "repeats": repeats, "devices": {}}
    for count, spread in spreads.items():
        jax.block_until_ready((spread.roll(), spread.iterate()))
        found["devices"][count] = {"rollout": [], "iteration": []}
    for _ in range(repeats):
        for count, spread in spreads.items():
            found["devices"][count]["rollout"] += seconds(spread.roll, 1)
            found["devices"][count]["iteration"] += seconds(spread.iterate, 1)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--servers", type=int, default=20)
    parser.add_argument("--devices", type=int, default=2)
    parser.add_argument("--rollouts", type=int, default=Train().rollouts)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    options = parser.parse_args()
    provide(options.devices)
    found = measure(options.servers, options.devices, options.rollouts, options.repeats)
    if options.json:
        print(json.dumps({**found, **place()}))
        return 0
    print(f"{options.servers} servers, {options.rollouts} rollouts; median and least of")
    print(f"{options.repeats} in turn, seconds")
    for part in ("rollout", "iteration"):
        for count, taken in found["devices"].items():
            print(
                f"{part:<10}{count} device{'s' * (count > 1):<2}"
                f"{statistics.median(taken[part]):>8.2f}{min(taken[part]):>8.2f}"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
