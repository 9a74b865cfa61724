"""Ticks per second of training on small worlds, at the settings of JaxMARL's scripts.

    python benchmarks/throughput.py
    python benchmarks/throughput.py --only recurrent --repeats 10

Scenarios side by side, ticks of a rollout, epochs, minibatches and widths are those of JaxMARL
0.2.0's scripts for MPE spread and SMAX 3m; memory is learnt through 16 ticks in a row, theirs
through 128. A row's reference is the world alone under random actions, in the same run; rows of a
world with like networks take turns, iteration by iteration, and are also held against MAPPO's of
the same turn. The first iteration is left out; medians. SMAX needs the extra `jaxmarl` and is left
out without it.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
from timing import place, seconds, trainer

from descant.algorithms import ippo, maipg, mappo
from descant.core.domain import Domain
from descant.core.errors import UserError
from descant.domains import particle
from descant.train.collect import open_worlds
from descant.train.loop import plan

STEPS = 128
FORWARD = mappo.Config(
    net="mlp",
    order="together",
    hidden=64,
    depth=2,
    epochs=4,
    critic_epochs=4,
    minibatch=512,
    minibatches=0,
)
MEMORY = replace(FORWARD, net="gru", hidden=128, chunk=16)
BATTLE = replace(MEMORY, minibatch=4096)


def spread() -> Domain:
    return particle.make(particle.Config())


def marines() -> Domain:
    from descant.domains import jaxmarl

    return jaxmarl.make(jaxmarl.Config(env="SMAX", map="3m"))


GROUPS: tuple[tuple[Callable[[], Domain], int, dict[str, Callable[[Domain], Any]]], ...] = (
    (
        spread,
        16,
        {
            "spread, mappo": lambda d: mappo.make(FORWARD, d),
            "spread, ippo": lambda d: ippo.make(ippo.Config(base=FORWARD), d),
            "spread, maipg vdn": lambda d: maipg.make(maipg.Config(base=FORWARD, mixer="sum"), d),
            "spread, maipg qmix": lambda d: maipg.make(
                maipg.Config(base=FORWARD, mixer="monotone"), d
            ),
        },
    ),
    (
        spread,
        16,
        {
            "spread, recurrent mappo": lambda d: mappo.make(MEMORY, d),
            "spread, recurrent maipg vdn": lambda d: maipg.make(
                maipg.Config(base=MEMORY, mixer="sum"), d
            ),
            "spread, recurrent maipg qmix": lambda d: maipg.make(
                maipg.Config(base=MEMORY, mixer="monotone"), d
            ),
        },
    ),
    (marines, 128, {"3m, recurrent mappo": lambda d: mappo.make(BATTLE, d)}),
)
"""Worlds, how many side by side, and who is trained there, MAPPO first."""


def alone(domain: Domain, scenarios: int, repeats: int) -> float:
    """Ticks per second of the world under random legal actions."""
    env, rule = domain.env, domain.rules["random"]

    def tick(worlds, key):
        act_key, step_key = jax.random.split(key)
        state, observation = worlds
        action = jax.vmap(rule)(state, observation, jax.random.split(act_key, scenarios))
        state, step = jax.vmap(env.step)(jax.random.split(step_key, scenarios), state, action)
        return type(worlds)(state, step.observation), step.reward

    worlds = open_worlds(env, jax.random.key(0), scenarios)
    run = jax.jit(lambda w, key: jax.lax.scan(tick, w, jax.random.split(key, STEPS)))
    jax.block_until_ready(run(worlds, jax.random.key(1)))
    taken = seconds(lambda: run(worlds, jax.random.key(1)), repeats)
    return scenarios * STEPS / statistics.median(taken)


def measure(
    domain: Domain, scenarios: int, makers: dict[str, Callable[[Domain], Any]], repeats: int
) -> list[dict[str, Any]]:
    """Rows that take turns, held against the first of them."""
    compiling, calls = {}, {}
    for name, algorithm in makers.items():
        what = plan(algorithm(domain), domain.env, rollouts=scenarios, steps=STEPS, iterations=1000)
        compiling[name], calls[name] = trainer(what)
    taken: dict[str, list[float]] = {name: [] for name in makers}
    for _ in range(repeats):
        for name, call in calls.items():
            taken[name] += seconds(call, 1)
    world = alone(domain, scenarios, repeats)
    first = taken[next(iter(makers))]
    return [
        {
            "name": name,
            "scenarios": scenarios,
            "compile_seconds": compiling[name],
            "iteration_seconds": statistics.median(mine),
            "ticks_per_second": scenarios * STEPS / statistics.median(mine),
            "times_mappo": statistics.median(x / y for x, y in zip(mine, first, strict=True)),
            "world_alone": world,
        }
        for name, mine in taken.items()
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--only", metavar="WORD", default="", help="rows whose name has this word")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    options = parser.parse_args()
    rows = []
    for make, scenarios, makers in GROUPS:
        if not any(options.only in name for name in makers):
            continue
        # Without its first row a group has nothing to be held against.
        first = next(iter(makers))
        wanted = {k: v for k, v in makers.items() if options.only in k or k == first}
        try:
            rows += measure(make(), scenarios, wanted, options.repeats)
        except UserError as error:
            print(f"{', '.join(wanted)}: left out. {error}", file=sys.stderr)
    if options.json:
        print(json.dumps({"rows": rows, **place()}))
        return 0
    print(f"{'row':30} ticks/s   s an iteration   times MAPPO   compiled in   world alone, ticks/s")
    for row in rows:
        print(
            f"{row['name']:29} {row['ticks_per_second']:8,.0f} {row['iteration_seconds']:13.3f} "
            f"{row['times_mappo']:15.2f} {row['compile_seconds']:13.1f} s "
            f"{row['world_alone']:16,.0f}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
