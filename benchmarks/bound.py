"""How tight is the bound on the cloud, and what does it cost?

    python benchmarks/bound.py --servers 5 20 --scenarios 10 --preset true-load

For each size: the bound's mean over held-out scenarios and its seconds, on one core; the best of
three rules; and `led by prices`, which sends every job, in turn, to the server with room on which
energy and the bound's own prices are least. Prices know the future, so nobody could schedule like
that; but it is a schedule, so the best possible one lies between it and the bound.
"""

import argparse
import json
import sys
import time
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from timing import place

from descant.core.domain import Domain
from descant.domains import cloud
from descant.domains.cloud.bound import Fluid, ascend, cost, held, limit, pour
from descant.domains.cloud.env import dominant
from descant.evaluate.episodes import play, scenario_keys, score_rules
from descant.presets import PRESETS

RULES = ("best-fit", "tetris", "most-efficient-first")
TIE = 1e-3
"""What a full server is ahead of an empty one of the same kind, as a share of the cost."""


class Guide(NamedTuple):
    """One scenario's prices, for the simulator."""

    table: jax.Array
    """[R, M, T + 1]: energy and price of one integer unit on each server, summed over ticks."""
    reward: float
    """The bound."""
    seconds: float


def guide(domain: Domain, key: jax.Array) -> Guide:
    reset_key, _ = jax.random.split(key)
    state = jax.device_get(jax.jit(lambda k: domain.env.reset(k)[0])(reset_key))
    # Of this thread alone: others may be busy.
    start = time.thread_time()
    fluid = pour(domain.env, state.scenario)
    reward = limit(fluid)
    seconds = time.thread_time() - start
    return Guide(_by_server(fluid, state.scenario), reward, seconds)


def _by_server(fluid: Fluid, scenario: Any) -> jax.Array:
    """Prices of a server's kind; there are as many kinds as differ, so each server finds its
    own."""
    prices = ascend(fluid)
    if cost(fluid, prices) < cost(fluid, np.zeros_like(prices)):
        prices = np.zeros_like(prices)
    resources, kinds = len(fluid.unit), len(fluid.efficiency)
    table = held(fluid, prices).reshape(resources, kinds, -1) / fluid.unit[:, None, None]
    same = np.all(scenario.capacity[:, None] == fluid.largest[None], axis=-1)
    same &= scenario.efficiency[:, :1] == fluid.efficiency[None]
    if not np.all(np.any(same, axis=1)):
        raise SystemExit("More kinds of servers than the bound tells apart.")
    return jnp.asarray(table[:, np.argmax(same, axis=1)], jnp.float32)


def led(env: Any, table: jax.Array, state: Any, observation: Any, key: jax.Array) -> jax.Array:
    """Each agent's group: that of the cheapest server with room, else the least committed."""
    del observation, key
    scenario, servers, hand = state.scenario, state.servers, env.hand(state)
    capacity = scenario.capacity
    at = jnp.arange(capacity.shape[0])

    def one(load, job):
        running, committed = load
        demand, duration = job
        stay = jnp.maximum(1, -(-duration * 1000 // scenario.efficiency[:, 0]))
        until = jnp.minimum(state.time + stay, env.spec.horizon)
        price = jnp.tensordot(demand, table[:, at, until] - table[:, at, state.time], 1)
        price = price * (1 - TIE * dominant(running, capacity))
        fits = jnp.all(running + demand <= capacity, axis=-1)
        possible = jnp.all(demand <= capacity, axis=-1)
        full = jnp.where(possible, dominant(committed, capacity), jnp.inf)
        chosen = jnp.where(
            jnp.any(fits), jnp.argmin(jnp.where(fits, price, jnp.inf)), jnp.argmin(full)
        )
        running = running.at[chosen].add(jnp.where(fits[chosen], demand, 0))
        return (running, committed.at[chosen].add(demand)), chosen

    jobs = (hand.demand, hand.duration)
    _, chosen = lax.scan(one, (servers.running, servers.committed), jobs)
    return chosen // (capacity.shape[0] // env.groups)


def measure(servers: int, scenarios: int, values: dict[str, Any]) -> dict[str, Any]:
    """The bound, the best rule and what the bound's prices lead to, at one size."""
    settings = {name.removeprefix("domain."): value for name, value in values.items()}
    made = cloud.make(replace(cloud.Config(servers=servers), **settings))
    rules = {name: made.rules[name] for name in RULES}
    domain = replace(made, rules=rules, model=None)
    keys = scenario_keys("held-out", 2026, scenarios)
    guides = [guide(domain, key) for key in keys]
    rewards = np.asarray(jax.jit(lambda k: score_rules(domain, k).reward)(keys), np.float64)
    one = jax.jit(
        lambda key, table: play(domain, partial(led, domain.env, table), key).reward.mean()
    )
    prices = [float(one(key, found.table)) for key, found in zip(keys, guides, strict=True)]
    bounds = np.array([found.reward for found in guides])
    best = int(np.argmax(rewards.mean(axis=1)))
    highest = np.maximum(rewards.max(axis=0), prices)
    return {
        "servers": servers,
        "bound": float(bounds.mean()),
        "seconds": float(np.median([found.seconds for found in guides])),
        "rule": RULES[best],
        "best_rule": float(rewards[best].mean()),
        "led_by_prices": float(np.mean(prices)),
        "rule_gap": 1 - float(bounds.mean() / rewards[best].mean()),
        "prices_gap": 1 - float(bounds.mean() / np.mean(prices)),
        "beaten": bool(np.any(highest > bounds)),
    }


def line(found: dict[str, Any]) -> str:
    return (
        f"{found['servers']:7}{found['bound']:9.2f}{found['seconds']:9.2f}  {found['rule']:21}"
        f"{found['best_rule']:9.2f}{found['rule_gap']:7.1%}"
        f"{found['led_by_prices']:15.2f}{found['prices_gap']:7.1%}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--servers", type=int, nargs="+", default=[5, 20])
    parser.add_argument("--scenarios", type=int, default=10)
    parser.add_argument("--preset", choices=["paper", "true-load"], default="paper")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    options = parser.parse_args()
    rows = []
    if not options.json:
        print(
            "servers    bound  seconds  best rule               reward    gap  led by prices    gap"
        )
    for servers in options.servers:
        rows.append(measure(servers, options.scenarios, dict(PRESETS[options.preset].values)))
        if not options.json:
            print(line(rows[-1]), flush=True)
    beaten = any(row["beaten"] for row in rows)
    if options.json:
        about = {"scenarios": options.scenarios, "preset": options.preset, **place()}
        print(json.dumps({**about, "rows": rows}))
    elif beaten:
        print("BEATEN: the bound is wrong.")
    return int(beaten)


if __name__ == "__main__":
    sys.exit(main())
