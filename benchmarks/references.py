"""Which reference guides best, before anything is learned?

    python benchmarks/references.py --servers 20 --scenarios 20
    python benchmarks/references.py --servers 20 --scenarios 20 --load true

Agents in turn down the model's slope (rule slope-greedy) with every model of the cloud, kappa of
the efficiency-aware reference swept, on validation scenarios; no training. Beside the mean reward
stands the share of visited states in which moving to the reference, or down a potential without
one, improves each term of the reward, and the difference to the first model: paired, with a 95 %
bootstrap interval; above 0 is better than load in proportion to capacity.
"""

import argparse
import json
import sys
from typing import Any

import jax
import numpy as np
from timing import place

from descant.domains import cloud
from descant.evaluate.episodes import scenario_keys, score
from descant.evaluate.statistics import paired_difference

RULE = "slope-greedy"


def models(kappas: list[float]) -> dict[str, dict[str, Any]]:
    """Settings of each model, by label; the paper's comes first."""
    swept = {f"efficiency, kappa {k:g}": {"model": "efficiency", "kappa": k} for k in kappas}
    rest = {"queueing": {"model": "queueing"}, "crowding": {"model": "crowding"}}
    return {"proportional": {"model": "proportional"}} | swept | rest


def measure(options: argparse.Namespace, changes: dict[str, Any]) -> dict[str, Any]:
    """Mean reward per tick of each scenario, and shares of alignment."""
    config = cloud.Config(
        servers=options.servers,
        horizon=options.horizon,
        arrivals=2 * options.horizon // 3,
        load=options.load,
        reward_scale="total" if options.load == "true" else "cores",
        **changes,
    )
    domain = cloud.make(config)
    keys = scenario_keys("validation", options.seed, options.scenarios)
    scores = jax.jit(lambda keys: score(domain, domain.rules[RULE], keys))(keys)
    return {
        "values": np.asarray(scores.reward, np.float64),
        "alignment": {name: float(np.mean(x)) for name, x in scores.alignment.items()},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--servers", type=int, default=20)
    parser.add_argument("--scenarios", type=int, default=20)
    parser.add_argument("--horizon", type=int, default=3000)
    parser.add_argument("--load", choices=("slots", "true"), default="slots")
    parser.add_argument("--kappas", type=float, nargs="+", default=[0.5, 1, 2, 4, 8, 16])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    options = parser.parse_args()
    rows, first = [], None
    if not options.json:
        print("model                     mean  to proportional         alignment")
    for label, changes in models(options.kappas).items():
        found = measure(options, changes)
        first = found["values"] if first is None else first
        row = {
            "model": label,
            "mean": float(found["values"].mean()),
            "difference": paired_difference(found["values"], first),
            "alignment": found["alignment"],
        }
        rows.append(row)
        if not options.json:
            print(line(row), flush=True)
    if options.json:
        print(json.dumps({"settings": vars(options), **place(), "rows": rows}))
    return 0


def line(row: dict[str, Any]) -> str:
    difference = row["difference"]
    low, high = (difference[end] for end in ("low", "high"))
    interval = "" if low is None else f" [{low:+.2f}, {high:+.2f}]"
    shares = "  ".join(f"{name} {share:.2f}" for name, share in row["alignment"].items())
    return f"{row['model']:22}{row['mean']:8.2f}  {difference['mean']:+6.2f}{interval:18}  {shares}"


if __name__ == "__main__":
    sys.exit(main())
