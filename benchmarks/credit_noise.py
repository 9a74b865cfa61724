"""What each way to give credit does to the noise of one agent's gradient.

    python benchmarks/credit_noise.py --agents 5 20

Every algorithm is at the same untrained policy on the toy domain `balance`; critics follow that
policy for some iterations first, each its own. Then all are asked about the same draws. Signal to
noise is what counts: a smaller weight makes any variance smaller.
"""

import argparse
import json
import sys
from typing import Any

import jax
from timing import place

from descant.algorithms import _settings, coma, difference, ippo, maipg, mappo, mean_field, shaping
from descant.core.algorithm import AbstractAlgorithm
from descant.core.domain import Domain
from descant.domains import balance
from descant.evaluate import variance

NUS = (0.0, 0.3, 0.5, 1.0)
"""Weights of the factorised value's gradient."""
CRITIC = _settings.Critic(lag=0.02)


def algorithms(domain: Domain, discount: float) -> dict[str, AbstractAlgorithm]:
    """All of them, with one base."""
    base = mappo.Config(order="together", critic_epochs=4, minibatches=0, discount=discount)
    return {
        "MAPPO": mappo.make(base, domain),
        "IPPO": ippo.make(ippo.Config(base=base), domain),
        "difference": difference.make(difference.Config(base=base), domain),
        "shaping": shaping.make(shaping.Config(base=base), domain),
        "COMA": coma.make(coma.Config(base=base, critic=CRITIC), domain),
        "mean field": mean_field.make(mean_field.Config(base=base, critic=CRITIC), domain),
        "MAIPG, sum": maipg.make(maipg.Config(base=base, critic=CRITIC, mixer="sum"), domain),
        "MAIPG, monotone": maipg.make(maipg.Config(base=base, critic=CRITIC), domain),
    }


def rows(domain: Domain, options: argparse.Namespace) -> list[dict[str, Any]]:
    """One row for each algorithm and weight."""
    members = variance.at_one_policy(
        domain,
        algorithms(domain, options.discount),
        jax.random.key(options.seed),
        options.iterations,
        rollouts=16,
    )
    record = variance.measure(
        domain,
        members,
        samples=options.samples,
        steps=options.steps,
        warm=4,
        agents=2,
        alphas=NUS,
        seed=options.seed,
    )
    out = []
    for name, found in record["estimators"].items():
        noise = [{"alpha": None, **found["learning"]}] if not found["mixtures"] else []
        for mixture in noise + found["mixtures"]:
            out.append(
                {
                    "agents": domain.env.spec.agents,
                    "algorithm": name,
                    "nu": mixture["alpha"],
                    "variance": mixture["variance"],
                    "snr": mixture["snr"],
                    "others": mixture["shares"]["others"],
                }
            )
    return out


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--agents", type=int, nargs="+", default=[5, 20])
    parser.add_argument("--iterations", type=int, default=60, help="of critics before asking")
    parser.add_argument("--samples", type=int, default=256)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--discount", type=float, default=0.9)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    options = parser.parse_args()
    found = []
    for agents in options.agents:
        domain = balance.make(balance.Config(agents=agents))
        for row in rows(domain, options):
            found.append(row)
            if not options.json:
                nu = "" if row["nu"] is None else f"nu {row['nu']:.1f}"
                snr, share = row["snr"], row["others"]
                print(
                    f"{agents:4d} {row['algorithm']:16s} {nu:7s} "
                    f"variance {row['variance']['value']:9.4f}  signal to noise "
                    f"{snr['value']:.4f} [{snr['low']:.4f}, {snr['high']:.4f}]  of the others "
                    f"{100 * share['value']:.0f} %",
                    flush=True,
                )
    if options.json:
        print(json.dumps({"rows": found, **place()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
