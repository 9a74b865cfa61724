"""Localised policy gradients on noisy voters, where the best that any policy can do is known.

    python benchmarks/localised.py train --agents 1000 10000
    python benchmarks/localised.py noise
    python benchmarks/localised.py iteration --agents 100000
    python benchmarks/localised.py laws

`train` learns with default settings of the algorithm and prints seconds to 5 % of the optimum, and
the gap at the end, both exact. `noise` compares sampled gradients with the exact truncated one at
random policies: root mean square error, relative to the gradient, with returns of the light cone
and with all returns. `iteration` times one iteration and tells the peak of memory. `laws` times an
iteration on worlds that know the laws of all agents at once, and on the same agent by agent.
"""

import argparse
import resource
import sys
import time
from dataclasses import fields, replace
from typing import Any

import numpy as np
from timing import seconds

from descant.algorithms import localised
from descant.core.domain import Domain
from descant.core.network import AbstractNetwork
from descant.domains import epidemic, voter, wireless
from descant.domains.voter.exact import Exact
from descant.evaluate import truncated
from descant.ops import networked
from descant.reproduce.utilities import _work
from descant.train.loop import compile_period, plan, start

SHARE = 0.05
"""Of the optimum, that training must come within."""


def training(agents: int, options: argparse.Namespace) -> bool:
    """Learn, with exact values along the way."""
    found = _work.training(
        world={"agents": agents, "graph": options.graph, "horizon": options.horizon},
        settings={
            "credit_radius": options.radius,
            "discount": options.discount,
            "rate": options.rate,
        },
        rollouts=options.rollouts,
        iterations=options.iterations,
        period=options.period,
        seed=options.seed,
    )
    certified = found["bound"] - found["optimum"]
    print(f"{agents} agents: optimum {found['optimum']:.6f}, certified to {certified:.1e}; "
          f"compiled in {found['compiling']:.1f} s")  # fmt: skip
    spent = None
    for row in found["rows"][1:]:
        print(f"  iteration {row['iteration']:4}: {row['seconds']:6.1f} s, "
              f"value {row['value']:.6f}, gap {100 * row['share']:.2f} %")  # fmt: skip
        if spent is None and row["share"] <= SHARE:
            spent = found["compiling"] + row["seconds"]
    said = "never" if spent is None else f"after {spent:.1f} s, compiling included"
    print(f"  within {100 * SHARE:.0f} %: {said}", flush=True)
    return spent is not None


def noise(options: argparse.Namespace) -> None:
    """Errors of sampled gradients, by radius and by what counts of returns."""
    agents, discount = options.agents[0], options.discount
    domain = voter.make(voter.Config(agents=agents, graph="ring", horizon=options.horizon))
    exact = Exact(domain.network, discount)
    known = truncated.truth(exact, domain.objective, options.radii, options.seed)
    print(f"ring of {agents}, discount {discount}, {options.rollouts} rollouts of "
          f"{options.horizon} ticks; relative to the full gradient")  # fmt: skip
    print("radius    bias  noise, all returns  light cone  ratio")
    for radius in options.radii:
        every, cone = (
            truncated.noise(
                domain,
                known,
                {"discount": discount, "critic": critic},
                radius=radius,
                rollouts=options.rollouts,
                batches=options.batches,
                seed=options.seed,
            )["noise"]
            for critic in ("mc", "cone")
        )
        bias = known.bias(radius)
        print(f"{radius:6}{bias:8.3f}{every:20.3f}{cone:12.3f}{cone / every:7.2f}", flush=True)


def timed(domain: Domain, options: argparse.Namespace) -> tuple[list[float], float]:
    """Seconds of some iterations, and those of compiling."""
    config = localised.Config(credit_radius=options.radius, discount=options.discount)
    what = plan(
        localised.make(config, domain),
        domain.env,
        rollouts=options.rollouts,
        steps=0,
        iterations=options.iterations,
    )
    begin = time.perf_counter()
    runs, keys = start(what, options.seed, 1)
    period = compile_period(what, runs, keys, 1)
    compiling = time.perf_counter() - begin

    def once() -> Any:
        nonlocal runs
        runs, metrics = period(runs, keys, np.int32(0))
        return metrics

    return seconds(once, options.repeats + 1)[1:], compiling


def iteration(agents: int, options: argparse.Namespace) -> None:
    """Seconds of an iteration at so many agents, and the most memory that the process held."""
    config = voter.Config(agents=agents, graph=options.graph, horizon=options.horizon)
    taken, compiling = timed(voter.make(config), options)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{agents} agents, {options.rollouts} rollouts of {options.horizon} ticks: "
          f"{np.median(taken):.2f} s an iteration ({min(taken):.2f} to {max(taken):.2f}), "
          f"compiled in {compiling:.1f} s, peak {peak:.2f} GiB", flush=True)  # fmt: skip


def laws(agents: int, options: argparse.Namespace) -> None:
    """Seconds of an iteration with the laws of all agents at once, and agent by agent."""
    side = round(agents**0.5)
    worlds = {
        "voter": voter.make(voter.Config(agents=side**2, graph="torus")),
        "epidemic": epidemic.make(epidemic.Config(agents=side**2, graph="torus")),
        "wireless": wireless.make(wireless.Config(rows=side, columns=side)),
    }
    for name, domain in worlds.items():
        whole, each = (np.median(timed(d, options)[0]) for d in (domain, agent_by_agent(domain)))
        print(f"{name}, {side**2} agents, {options.rollouts} rollouts of "
              f"{domain.env.spec.horizon} ticks: {whole:.3f} s an iteration, agent by agent "
              f"{each:.3f} s, {each / whole:.2f} times as long", flush=True)  # fmt: skip


def agent_by_agent(domain: Domain) -> Domain:
    """The same, whose network knows the law of one agent alone."""
    network = domain.network

    class Plain(type(network)):
        chances = AbstractNetwork.chances

    slow = Plain(**{field.name: getattr(network, field.name) for field in fields(network)})
    return replace(domain, network=slow, env=networked.world(slow, domain.env.spec.horizon))


DEFAULTS = {
    "train": {"agents": [1000, 10000], "rollouts": 16, "horizon": 50},
    "noise": {"agents": [200], "rollouts": 64, "horizon": 50},
    "iteration": {"agents": [100000], "rollouts": 8, "horizon": 32},
    "laws": {"agents": [1024], "rollouts": 16, "horizon": 50},
}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", choices=tuple(DEFAULTS))
    parser.add_argument("--agents", type=int, nargs="+")
    parser.add_argument("--rollouts", type=int)
    parser.add_argument("--horizon", type=int)
    parser.add_argument("--graph", default="torus")
    parser.add_argument("--radius", type=int, default=2)
    parser.add_argument("--radii", type=int, nargs="+", default=[0, 1, 2, 4, 8])
    parser.add_argument("--discount", type=float, default=0.9)
    parser.add_argument("--rate", type=float, default=0.2)
    parser.add_argument("--iterations", type=int, default=100)
    parser.add_argument("--period", type=int, default=10)
    parser.add_argument("--batches", type=int, default=30)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for name, value in DEFAULTS[options.what].items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    if options.what == "train":
        near = [training(agents, options) for agents in options.agents]
        return 0 if all(near) else 1
    if options.what == "noise":
        noise(options)
        return 0
    for agents in options.agents:
        (laws if options.what == "laws" else iteration)(agents, options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
