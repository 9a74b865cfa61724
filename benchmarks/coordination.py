"""How agents of one tick should choose: quality and cost of every order, trained alike.

    python benchmarks/coordination.py --servers 20 --load true

Each order is trained with DG-PG on the same scenarios and scored on the same validation scenarios,
beside the best rules; a paired difference says what it loses to agents one by one. Seconds are of
one episode of one scenario, compiled, the median of three.
"""

import argparse
import json
import statistics
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from timing import place, seconds

from descant.algorithms import dgpg, mappo
from descant.domains import cloud
from descant.evaluate.episodes import Decided, play, scenario_keys, score, score_rules
from descant.evaluate.statistics import paired_difference
from descant.train.loop import begin, compile_period, plan

ORDERS: dict[str, dict[str, Any]] = {
    "one by one": {"order": "in-turn", "block": 1},
    "blocks of 4": {"order": "in-turn", "block": 4},
    "blocks of 16": {"order": "in-turn", "block": 16},
    "priced, 1 round": {"order": "priced", "rounds": 1},
    "priced, 3 rounds": {"order": "priced", "rounds": 3},
    "correlated": {"order": "correlated"},
    "together": {"order": "together"},
}


def train(domain: Any, iterations: int, rollouts: int, seed: int, **base: Any) -> Any:
    """The policy after some iterations of DG-PG."""
    algorithm = dgpg.make(dgpg.Config(base=mappo.Config(**base)), domain)
    what = plan(algorithm, domain.env, rollouts=rollouts, steps=0, iterations=iterations)
    keys = jax.random.split(jax.random.key(seed), 1)
    runs = jax.jit(jax.vmap(lambda key: begin(what, key)))(keys)
    iterate = compile_period(what, runs, keys, 1)
    for index in range(iterations):
        runs, _ = iterate(runs, keys, jnp.int32(index))
    return algorithm.policy(jax.tree.map(lambda x: x[0], runs.learner))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--servers", type=int, default=20)
    parser.add_argument("--load", choices=["slots", "true"], default="true")
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--rollouts", type=int, default=4)
    parser.add_argument("--scenarios", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", choices=list(ORDERS), default=list(ORDERS))
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    options = parser.parse_args()
    scale = "total" if options.load == "true" else "cores"
    domain = cloud.make(
        cloud.Config(servers=options.servers, load=options.load, reward_scale=scale)
    )
    keys = scenario_keys("validation", options.seed, options.scenarios)
    rules = np.asarray(jax.jit(lambda k: score_rules(domain, k).reward)(keys), np.float64)
    scores = dict(zip(domain.rules, rules, strict=True))
    best = max(scores, key=lambda name: scores[name].mean())
    rows = [{"policy": best, "reward": scores[best].mean(), "kind": "best rule"}]
    reference = None
    # As in the presets: where much waits, nothing holds the policy back.
    held = {"trust": None} if options.load == "true" else {}
    for name in options.only:
        order = ORDERS[name] | held
        policy = train(domain, options.iterations, options.rollouts, options.seed, **order)
        rule = Decided(policy, "act")
        reward = np.asarray(jax.jit(lambda k, r=rule: score(domain, r, k).reward)(keys))
        reference = reward if reference is None else reference
        episode = jax.jit(lambda k, r=rule: play(domain, r, k).reward)
        jax.block_until_ready(episode(keys[0]))
        once = statistics.median(seconds(lambda e=episode: e(keys[0]), 3))
        found = paired_difference(reward.astype(float), reference.astype(float))
        rows.append(
            {
                "policy": name,
                "kind": "learned",
                "reward": float(reward.mean()),
                "minus_first": found,
                "minus_best_rule": float((reward - scores[best]).mean()),
                "episode_seconds": once,
            }
        )
        if not options.json:
            print(
                f"{name:18s} {reward.mean():8.3f}  minus {options.only[0]} "
                f"{(reward - reference).mean():+.3f}  minus {best} "
                f"{(reward - scores[best]).mean():+.3f}  {once:.2f} s an episode",
                flush=True,
            )
    if options.json:
        print(
            json.dumps({"servers": options.servers, "load": options.load, "rows": rows, **place()})
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
