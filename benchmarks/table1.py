"""Does the environment reproduce Table 1 of Yang & Liu (2026)?

    python benchmarks/table1.py --scenarios 100 --servers 5 10 20 50

Best-Fit and Random are measured on held-out scenarios of the paper's environment and compared with
the published means of 40 scenarios. z is the difference over its standard error, which has the
paper's sampling error and ours in it. Beside them stands most-efficient-first, a rule that the
paper does not have. Exits with 1 if any |z| is above 2.
"""

import argparse
import json
import math
import sys
import time
from dataclasses import replace
from typing import Any

import jax
import numpy as np
from timing import place

from descant.domains import cloud
from descant.evaluate.episodes import scenario_keys, score_rules
from descant.reproduce.dgpg._paper import TABLE1, TABLE1_SCENARIOS

PAPER = {"best-fit": TABLE1["Best-Fit"], "random": TABLE1["Random"]}
RULES = (*PAPER, "most-efficient-first")
LARGEST_Z = 2.0


def measure(servers: int, scenarios: int, seed: int) -> dict[str, np.ndarray]:
    """Mean reward per tick of every scenario, by rule."""
    domain = cloud.make(cloud.Config(servers=servers, observation="paper"))
    domain = replace(domain, rules={name: domain.rules[name] for name in RULES})
    keys = scenario_keys("held-out", seed, scenarios)
    rewards = jax.jit(lambda keys: score_rules(domain, keys).reward)(keys)
    return dict(zip(RULES, np.asarray(rewards, np.float64), strict=True))


def row(servers: int, rule: str, values: np.ndarray) -> dict[str, Any]:
    """What is known of one rule at one size."""
    mean, deviation = float(values.mean()), float(values.std(ddof=1))
    error = deviation / math.sqrt(len(values))
    result = {
        "servers": servers,
        "rule": rule,
        "mean": mean,
        "std": deviation,
        "standard_error": error,
        "paper": None,
        "z": None,
    }
    if published := PAPER.get(rule, {}).get(servers):
        difference_error = math.hypot(published[1] / math.sqrt(TABLE1_SCENARIOS), error)
        result["paper"] = {"mean": published[0], "std": published[1]}
        result["z"] = (mean - published[0]) / difference_error
    return result


def line(found: dict[str, Any]) -> str:
    paper, z = found["paper"], found["z"]
    published = f"{paper['mean']:8.1f} ± {paper['std']:4.1f}{z:+7.2f}" if paper else ""
    return (
        f"{found['servers']:7}  {found['rule']:22}{found['mean']:8.2f} ± {found['std']:5.2f}"
        f"{found['standard_error']:8.2f}  {published}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--scenarios", type=int, default=100)
    parser.add_argument("--servers", type=int, nargs="+", default=[5, 10, 20, 50])
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    options = parser.parse_args()
    if options.scenarios < 2:
        parser.error("--scenarios: expected at least 2, for a standard error")
    if not any(servers in PAPER["random"] for servers in options.servers):
        parser.error("--servers: none of these is in Table 1, which has 5, 10, 20, 50, 100 and 200")
    start, rows = time.perf_counter(), []
    if not options.json:
        print("servers  rule                      mean ±   std   error     paper ±  std      z")
    for servers in options.servers:
        for rule, values in measure(servers, options.scenarios, options.seed).items():
            rows.append(row(servers, rule, values))
            if not options.json:
                print(line(rows[-1]), flush=True)
    largest = max(abs(found["z"]) for found in rows if found["z"] is not None)
    good = largest <= LARGEST_Z
    taken = time.perf_counter() - start
    if options.json:
        about = {"scenarios": options.scenarios, "seed": options.seed, "seconds": taken}
        print(json.dumps({**about, **place(), "largest_z": largest, "good": good, "rows": rows}))
    else:
        verdict = "within" if good else "BEYOND"
        print(f"Largest |z| {largest:.2f}, {verdict} {LARGEST_Z:g}. {taken:.0f} s.")
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
