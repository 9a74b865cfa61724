"""What training costs as the cluster grows: seconds, resident memory, bytes of a rollout.

    python benchmarks/scale.py --servers 20 200 1500

Each size runs in a process of its own, so that peak memory is its own: compile, then iterations of
DG-PG at default settings with two rollouts of whole episodes. The last line fits the bytes of a
rollout over N: a slope of 1 is memory that grows with N x T, 2 would be N x N x T.
"""

import argparse
import json
import math
import resource
import statistics
import subprocess
import sys
import time
from typing import Any

REPEATS = 2


def measure(servers: int, rollouts: int, steps: int) -> dict[str, Any]:
    """One size, in this process."""
    import jax
    import jax.numpy as jnp

    from descant.algorithms import dgpg
    from descant.domains import cloud
    from descant.train.collect import collect, open_worlds
    from descant.train.loop import begin, compile_period, plan

    domain = cloud.make(cloud.Config(servers=servers))
    algorithm = dgpg.make(dgpg.Config(), domain)
    what = plan(algorithm, domain.env, rollouts=rollouts, steps=steps, iterations=10)
    keys = jax.random.split(jax.random.key(0), 1)
    runs = jax.jit(jax.vmap(lambda key: begin(what, key)))(keys)
    start = time.perf_counter()
    iterate = compile_period(what, runs, keys, 1)
    compiling = time.perf_counter() - start

    def rollout(learner, key):
        worlds = open_worlds(domain.env, key, rollouts)
        return collect(
            algorithm, learner, domain.env, worlds, key, what.steps, renew=not what.whole
        )[1]

    one = jax.tree.map(lambda x: x[0], runs.learner)
    shapes = jax.eval_shape(rollout, one, keys[0])
    kept = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(shapes))
    taken, returns = [], []
    for index in range(REPEATS):
        start = time.perf_counter()
        runs, metrics = iterate(runs, keys, jnp.int32(index))
        returns.append(float(jax.device_get(metrics["return"])[0][0]))
        taken.append(time.perf_counter() - start)
    return {
        "servers": servers,
        "groups": domain.env.spec.actions,
        "rollouts": rollouts,
        "ticks": what.steps,
        "compile_seconds": compiling,
        "iteration_seconds": statistics.median(taken),
        "rollout_bytes": kept,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "returns": returns,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--servers", type=int, nargs="+", default=[20, 100, 200, 500, 1500])
    parser.add_argument("--rollouts", type=int, default=2)
    parser.add_argument("--steps", type=int, default=0, help="ticks of a rollout; 0: 3,000")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line instead")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        print(json.dumps(measure(options.servers[0], options.rollouts, options.steps)))
        return 0
    rows = []
    for servers in options.servers:
        command = [sys.executable, __file__, "--here", "--servers", str(servers)]
        command += ["--rollouts", str(options.rollouts), "--steps", str(options.steps)]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        row = json.loads(said.splitlines()[-1])
        rows.append(row)
        if options.json:
            print(json.dumps(row), flush=True)
            continue
        print(
            f"{row['servers']:6d} servers, {row['groups']:4d} groups: compile "
            f"{row['compile_seconds']:.0f} s, iteration {row['iteration_seconds']:.1f} s, rollout "
            f"{row['rollout_bytes'] / 2**20:.0f} MiB, peak {row['peak_bytes'] / 2**30:.2f} GiB",
            flush=True,
        )
    if len(rows) > 1 and not options.json:
        first, last = rows[0], rows[-1]
        slope = math.log(last["rollout_bytes"] / first["rollout_bytes"]) / math.log(
            last["servers"] / first["servers"]
        )
        print(f"Bytes of a rollout grow like N to the {slope:.2f}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
