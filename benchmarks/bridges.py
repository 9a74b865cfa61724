"""Ticks per second of JaxMARL's environments alone: stepped directly and through the bridge.

    python benchmarks/bridges.py --scenarios 128 --ticks 200

Scenarios side by side, the same random actions, in turn; a world that ends starts anew. Directly:
JaxMARL's own `step`, which draws the next scenario beside every tick, and its available actions
where it has some. Through the bridge: the domain's `step`, and new scenarios on ticks on which one
has ended, as training does. Both keep what agents see. Needs the extra `jaxmarl`.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from timing import place, seconds

from descant.bridges.jaxmarl import by_name, named
from descant.core.env import AbstractEnv


def through(env: AbstractEnv) -> Callable:
    """`(keys [T, E], actions [T, E, N])` to what the last tick saw, through the bridge."""

    def tick(carry, given):
        keys, action = given
        state, step = jax.vmap(env.step)(keys, carry[0], action)
        over = step.terminated | step.truncated

        def pick(new, old):
            return jnp.where(over.reshape(-1, *[1] * (new.ndim - 1)), new, old)

        def renew(worlds):
            return jax.tree.map(pick, jax.vmap(env.reset)(keys), worlds)

        worlds = state, step.observation
        return jax.lax.cond(jnp.any(over), renew, lambda worlds: worlds, worlds), step.reward

    return lambda keys, actions: jax.lax.scan(tick, jax.vmap(env.reset)(keys[0]), (keys, actions))


def directly(env: Any) -> Callable:
    """The same with JaxMARL alone."""

    def one(key, state, action):
        seen, state, reward, _, _ = env.step(key, state, by_name(action, env.agents))
        may = env.get_avail_actions(state) if hasattr(env, "unit_type_names") else ()
        return (seen, state, may), reward

    def tick(carry, given):
        keys, action = given
        return jax.vmap(one)(keys, carry[1], action)

    def run(keys, actions):
        start = jax.vmap(env.reset)(keys[0])
        first = jax.eval_shape(tick, start, (keys[0], actions[0]))[0][2]
        blank = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), first)
        return jax.lax.scan(tick, (*start, blank), (keys, actions))

    return run


def measure(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Medians over repeats that take turns, after one call of each program."""
    world, _, map_name = name.partition(":")
    env = named(world, map_name=map_name or "3m").env
    size = options.ticks, options.scenarios
    keys = jax.random.split(jax.random.key(0), size)
    shape = (*size, env.spec.agents)
    actions = jax.random.randint(jax.random.key(1), shape, 0, env.spec.actions, jnp.int32)
    runs = {"directly": directly(env.inner), "bridge": through(env)}
    programs = {kind: jax.jit(run).lower(keys, actions).compile() for kind, run in runs.items()}
    taken: dict[str, list[float]] = {kind: [] for kind in runs}
    for repeat in range(options.repeats + 1):
        for kind, program in programs.items():
            found = seconds(lambda program=program: program(keys, actions), 1)
            taken[kind] += found if repeat else []
    rates = {kind: size[0] * size[1] / statistics.median(of) for kind, of in taken.items()}
    pairs = zip(taken["directly"], taken["bridge"], strict=True)
    ratio = statistics.median(theirs / ours for theirs, ours in pairs)
    return {"world": name, "scenarios": options.scenarios, **rates, "ratio": ratio}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--worlds", nargs="+", default=["MPE_simple_spread_v3", "SMAX:3m"])
    parser.add_argument("--scenarios", type=int, default=128)
    parser.add_argument("--ticks", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    options = parser.parse_args()
    rows = [measure(name, options) for name in options.worlds]
    if options.json:
        print(json.dumps({"repeats": options.repeats, **place(), "rows": rows}))
        return 0
    print("world                   directly/s    bridge/s  bridge : directly")
    for row in rows:
        print(
            f"{row['world']:22}{row['directly']:12,.0f}{row['bridge']:12,.0f}{row['ratio']:10.2f}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
