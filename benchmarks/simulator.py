"""Placements per second of the cloud environment alone, under random actions.

    python benchmarks/simulator.py --servers 20 50 200

Eight scenarios side by side, whole episodes of 3,000 ticks with their drain, observations computed
as for training. A placement is one job that an agent sends to a group; idle agents do not count.
Reset (drawing machines and every job) is timed apart; both readings are given.
"""

import argparse
import json
import statistics
import sys
from typing import Any

import jax
import jax.numpy as jnp
from timing import place, seconds

from descant.domains import cloud


def measure(servers: int, scenarios: int, repeats: int) -> dict[str, Any]:
    """Medians over repeats, after one call of each program."""
    env = cloud.make(cloud.Config(servers=servers)).env
    spec = env.spec
    reset_keys = jax.random.split(jax.random.key(0), scenarios)
    step_key, action_key = jax.random.split(jax.random.key(1))
    shape = (spec.horizon, scenarios, spec.agents)
    actions = jax.random.randint(action_key, shape, 0, spec.actions, jnp.int32)

    def tick(carry, action):
        # The observation is carried, so that the compiler cannot leave it out.
        state, step = jax.vmap(env.step, in_axes=(None, 0, 0))(step_key, carry[0], action)
        return (state, step.observation), step.reward

    reset = jax.jit(jax.vmap(env.reset))
    episode = jax.jit(lambda start, actions: jax.lax.scan(tick, start, actions))
    start = reset(reset_keys)
    (state, _), _ = episode(start, actions)
    placements = int(jnp.sum(state.dispatched))
    resetting = statistics.median(seconds(lambda: reset(reset_keys), repeats))
    stepping = statistics.median(seconds(lambda: episode(start, actions), repeats))
    return {
        "servers": servers,
        "scenarios": scenarios,
        "placements": placements,
        "reset_seconds": resetting,
        "episode_seconds": stepping,
        "placements_per_second": placements / stepping,
        "placements_per_second_with_reset": placements / (stepping + resetting),
        "ticks_per_second": spec.horizon * scenarios / stepping,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--servers", type=int, nargs="+", default=[20, 50, 200])
    parser.add_argument("--scenarios", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    options = parser.parse_args()
    rows = []
    if not options.json:
        print("servers  placements   reset s  episode s  placements/s   with reset     ticks/s")
    for servers in options.servers:
        found = measure(servers, options.scenarios, options.repeats)
        rows.append(found)
        if not options.json:
            print(
                f"{servers:7}{found['placements']:12,}{found['reset_seconds']:10.3f}"
                f"{found['episode_seconds']:11.3f}{found['placements_per_second']:14,.0f}"
                f"{found['placements_per_second_with_reset']:13,.0f}"
                f"{found['ticks_per_second']:12,.0f}",
                flush=True,
            )
    if options.json:
        print(json.dumps({"repeats": options.repeats, **place(), "rows": rows}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
