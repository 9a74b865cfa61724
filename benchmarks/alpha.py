"""Does an adaptive guidance weight need a sweep?

    python benchmarks/alpha.py --servers 5 --iterations 8 --seeds 3 --scenarios 16

Trains DG-PG at fixed weights, with the three-phase ramp, annealed to 0, and with the weights that
are measured while learning, and compares all on the same validation scenarios, which nobody learns
from. The difference is to the best fixed weight, paired over seeds and scenarios, with a 95 %
bootstrap interval in which both are drawn anew; above 0 is better. Exits with 1 if the interval of
`adaptive` lies below 0.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from timing import place

from descant.algorithms import dgpg, mappo
from descant.algorithms._actor_critic import ActorCritic
from descant.core.domain import Domain
from descant.domains import cloud
from descant.evaluate.episodes import Decided, scenario_keys, score
from descant.train.loop import Plan, begin, iterate, plan

FIXED = (0.2, 0.4, 0.6, 0.8, 0.9, 1.0)
PLANNED = ("ramp", "annealed")
MEASURED = ("adaptive", "least-variance")


def choices(base: dgpg.Config) -> dict[str, dgpg.Config]:
    """Ways to set the weight, by name."""
    fixed = {f"fixed {level}": replace(base, alpha="fixed", start=level) for level in FIXED}
    return fixed | {name: replace(base, alpha=name) for name in (*PLANNED, *MEASURED)}


def trainer(algorithm: ActorCritic, what: Plan, seeds: int) -> Callable:
    """`(key, weights [iterations] or None) -> (learners, metrics [iterations, S])`, compiled.

    Planned weights are an argument, so that all of them are one program.
    """
    weigher, last = algorithm.weigher, what.iterations - 1
    if weigher is None:
        raise ValueError("the algorithm has no guidance weight")

    def run(key, weights):
        plan = what
        if weights is not None:
            at = lambda progress, evidence: weights[jnp.round(progress * last).astype(int)]  # noqa: E731
            planned = replace(algorithm, weigher=replace(weigher, rule=at))
            plan = what._replace(algorithm=planned)

        def one(key):
            step = lambda run, index: iterate(plan, run, key, index)  # noqa: E731
            return jax.lax.scan(step, begin(plan, key), jnp.arange(what.iterations))

        runs, metrics = jax.vmap(one, out_axes=(0, 1))(jax.random.split(key, seeds))
        return runs.learner, metrics

    return jax.jit(run)


def measure(domain: Domain, options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Returns per validation scenario, and weights by iteration, of every choice."""
    learner = mappo.Config(order=options.order)
    base = dgpg.Config(base=learner, guidance=options.guidance, samples=options.samples)
    keys = scenario_keys("validation", options.seed, options.scenarios)
    results: dict[str, dict[str, Any]] = {}

    @jax.jit
    def judge(learners):
        def one(learner):
            return score(domain, Decided(learner.actor, "act"), keys).reward

        return jax.lax.map(one, learners)

    shared = None
    for name, config in choices(base).items():
        if options.only and name not in options.only:
            continue
        algorithm = dgpg.make(config, domain)
        what = plan(
            algorithm,
            domain.env,
            rollouts=options.rollouts,
            steps=0,
            iterations=options.iterations,
        )
        weights = None
        if name not in MEASURED:
            weights = weights_of(config, options.iterations)
            train = shared = shared or trainer(algorithm, what, options.seeds)
        else:
            train = trainer(algorithm, what, options.seeds)
        start = time.perf_counter()
        learners, metrics = jax.block_until_ready(train(jax.random.key(options.seed), weights))
        results[name] = {
            "values": np.asarray(judge(learners), np.float64),
            "alpha": np.asarray(metrics["alpha"], np.float64).mean(axis=1),
            "return": np.asarray(metrics["return"], np.float64).mean(axis=1),
            "seconds": time.perf_counter() - start,
        }
    return results


def weights_of(config: dgpg.Config, iterations: int) -> jax.Array:
    """The planned weight of each iteration."""
    progress = jnp.arange(iterations) / max(iterations - 1, 1)
    return jax.vmap(dgpg.schedule(config))(progress)


def interval(difference: np.ndarray, resamples: int = 10_000) -> dict[str, float]:
    """Mean of [S, E] and its percentiles when seeds and scenarios are both drawn anew."""
    rng = np.random.default_rng(0)
    seeds, scenarios = difference.shape
    rows = rng.multinomial(seeds, np.full(seeds, 1 / seeds), resamples) / seeds
    columns = rng.multinomial(scenarios, np.full(scenarios, 1 / scenarios), resamples) / scenarios
    low, high = np.quantile(np.einsum("rs,se,re->r", rows, difference, columns), [0.025, 0.975])
    return {"mean": float(difference.mean()), "low": float(low), "high": float(high)}


def table(results: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """One row per choice, compared with the best fixed weight."""
    means = {name: float(found["values"].mean()) for name, found in results.items()}
    fixed = [name for name in means if name.startswith("fixed")] or list(means)
    best = max(fixed, key=means.__getitem__)
    rows = []
    for name, found in results.items():
        difference = found["values"] - results[best]["values"]
        rows.append(
            {
                "alpha": name,
                "mean": means[name],
                "seed_means": found["values"].mean(axis=1).tolist(),
                "difference": None if name == best else interval(difference),
                "weights": found["alpha"].tolist(),
                "training": found["return"].tolist(),
                "seconds": found["seconds"],
            }
        )
    return rows


def line(row: dict[str, Any]) -> str:
    difference = row["difference"]
    said = "the best fixed weight"
    if difference is not None:
        said = f"{difference['mean']:+6.2f} [{difference['low']:+.2f}, {difference['high']:+.2f}]"
    first, last = row["weights"][0], row["weights"][-1]
    spread = np.std(row["seed_means"], ddof=1) if len(row["seed_means"]) > 1 else 0.0
    return f"{row['alpha']:16}{row['mean']:8.2f} ±{spread:5.2f}  {first:.2f} to {last:.2f}  {said}"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--servers", type=int, default=5)
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--rollouts", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--scenarios", type=int, default=16)
    parser.add_argument("--horizon", type=int, default=3000)
    parser.add_argument("--load", choices=("slots", "true"), default="slots")
    parser.add_argument("--model", default="crowding")
    parser.add_argument("--guidance", default="exact")
    parser.add_argument("--order", default="in-turn")
    parser.add_argument("--samples", type=int, default=0, help="as --algorithm.samples")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these choices alone")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    options = parser.parse_args()
    domain = cloud.make(
        cloud.Config(
            servers=options.servers,
            horizon=options.horizon,
            arrivals=2 * options.horizon // 3,
            load=options.load,
            reward_scale="total" if options.load == "true" else "cores",
            model=options.model,
        )
    )
    rows = table(measure(domain, options))
    if options.json:
        print(json.dumps({"settings": vars(options), **place(), "rows": rows}))
    else:
        print("alpha               mean ± seeds  weight        difference to the best fixed weight")
        for row in rows:
            print(line(row))
    found = {row["alpha"]: row["difference"] for row in rows}.get("adaptive")
    return int(found is not None and found["high"] < 0)


if __name__ == "__main__":
    sys.exit(main())
