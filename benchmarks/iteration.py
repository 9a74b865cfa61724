"""Seconds of one DG-PG training iteration at default settings, and of compiling it.

    python benchmarks/iteration.py --servers 20

An iteration rolls out four scenarios of 3,000 ticks and updates actor and critic, by the very
program that `descant train` runs. The first call is left out; the median of ten is given.
"""

import argparse
import json
import statistics
import sys
from typing import Any

from timing import iterations, place

from descant.algorithms import dgpg, mappo
from descant.domains import cloud
from descant.train.config import Train
from descant.train.loop import plan


def measure(servers: int, heed: float | None, repeats: int) -> dict[str, Any]:
    """Median over repeats, after one iteration."""
    domain = cloud.make(cloud.Config(servers=servers))
    knobs = Train()
    what = plan(
        dgpg.make(dgpg.Config(base=mappo.Config(heed=heed)), domain),
        domain.env,
        rollouts=knobs.rollouts,
        steps=knobs.steps,
        iterations=knobs.iterations,
    )
    compiling, taken = iterations(what, repeats)
    ticks = what.rollouts * what.steps
    median = statistics.median(taken)
    return {
        "servers": servers,
        "rollouts": what.rollouts,
        "ticks": what.steps,
        "repeats": repeats,
        "compile_seconds": compiling,
        "iteration_seconds": median,
        "fastest": min(taken),
        "slowest": max(taken),
        "ticks_per_second": ticks / median,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--servers", type=int, default=20)
    parser.add_argument("--heed", type=float, help="agents ask the model, as --algorithm.heed")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    options = parser.parse_args()
    found = measure(options.servers, options.heed, options.repeats)
    if options.json:
        print(json.dumps({**found, **place()}))
        return 0
    print(
        f"{found['servers']} servers, {found['rollouts']} rollouts of {found['ticks']:,} ticks: "
        f"{found['iteration_seconds']:.2f} s an iteration "
        f"({found['fastest']:.2f} to {found['slowest']:.2f}, {found['repeats']} of them), "
        f"{found['ticks_per_second']:,.0f} ticks/s; compiled in {found['compile_seconds']:.1f} s."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
