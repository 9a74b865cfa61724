"""Measurements on noisy voters and on wireless access; each returns what JSON can hold."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any, cast, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from descant.algorithms import localised
from descant.core import discovery
from descant.core.domain import Domain
from descant.core.utility import AbstractObjective
from descant.domains import voter, wireless
from descant.domains.voter.exact import Exact, rate
from descant.domains.voter.world import Voter, rewards
from descant.evaluate import truncated
from descant.evaluate.ceiling import ceiling, climbed, widened
from descant.evaluate.decay import certificate, fitted_factor
from descant.evaluate.enumerated import Enumerated, Truncation, enumerate_network
from descant.evaluate.episodes import Decided, scenario_keys, score, score_rules
from descant.evaluate.session import SEED
from descant.ops.utility import Fair, Mean, Worst, everybody
from descant.train.loop import Plan, Run, compile_period, plan, start

SHARPNESS = 20.0
"""Of the soft least of what agents are paid."""
UNDECIDED = 2.0
"""Logits that leave a choice open."""
FITTED = 5
"""Hops over which growth and decay are fitted, before small graphs end."""
POINTS = 50
"""Stretches of training that curves of wireless access tell of."""


def _voters(discount: float, **world: Any) -> tuple[Domain, Exact, AbstractObjective]:
    """A domain, exact answers about it, and what its team wants."""
    domain = voter.make(voter.Config(**world))
    return domain, Exact(cast(Voter, domain.network), discount), cast(Mean, domain.objective)


def _enumerated(
    name: str, discount: float, **world: Any
) -> tuple[Any, Enumerated, AbstractObjective]:
    """A network, all of it, and what its team wants."""
    module = discovery.load("domains", name)
    domain = module.make(module.Config(**world))
    return domain, enumerate_network(domain.network, discount), domain.objective


def decay(
    *, alpha: float, agents: int, radii: Sequence[int], discount: float, seed: int
) -> dict[str, Any]:
    """What a radius leaves out on a ring with a linear utility, at a random policy."""
    _, exact, objective = _voters(discount, agents=agents, alpha=alpha, utility="linear")
    every = sorted({*radii, *range(7)})
    known = truncated.truth(exact, objective, every, seed)
    return {
        "closed": float(rate(alpha, discount)),
        "measured": fitted_factor(np.array([known.bias(radius) for radius in range(7)])),
        "certified": certificate(exact.network, discount).factor,
        "light cone": discount,
        "errors": {str(radius): known.bias(radius) for radius in radii},
    }


def growth(
    *,
    graph: dict[str, Any],
    neighbours: int | None,
    alpha: float,
    agents: int,
    farthest: int,
    discount: float,
    seed: int,
) -> dict[str, Any]:
    """How the number of agents grows and what they feel decays with distance, at a random policy.

    Args:
        graph: fields of the voters' configuration.
        neighbours: of everybody on the endless tree whose closed form stands beside it, if any.
        alpha: how much is copied.
        agents: how many there are.
        farthest: distance, and radius, up to which it is told.
        discount: of what is felt.
        seed: of the policy, and of the graph where it is random.
    """
    world = {"agents": agents, "alpha": alpha, "graph_seed": seed, **graph}
    _, exact, objective = _voters(discount, utility="linear", **world)
    radii = range(farthest + 1)
    known = truncated.truth(exact, objective, radii, seed)
    each = truncated.felt(exact, known.push, farthest)
    count, felt = each.agents.mean(axis=0), each.sum.mean(axis=0)
    near = slice(1, 1 + FITTED)
    # Agents of a graph that ends nearer have no decay so far.
    whole = each.sum[each.agents[:, near].all(axis=1), near]
    closed = neighbours and rate(alpha, discount, neighbours) * (neighbours - 1)
    return {
        "agents": count.tolist(),
        "felt": felt.tolist(),
        "branching": fitted_factor(count[near]),
        "one": fitted_factor(felt[near] / count[near]),
        "all": fitted_factor(felt[near]),
        "worst": max(fitted_factor(row) for row in whole),
        "closed": None if closed is None else float(closed),
        "certified": certificate(exact.network, discount).factor,
        "errors": [known.bias(radius) for radius in radii],
    }


def noise(
    *,
    agents: int,
    rollouts: int,
    critic: str,
    radii: Sequence[int],
    horizon: int,
    batches: int,
    discount: float,
    seed: int,
) -> dict[str, Any]:
    """Errors of sampled gradients by radius, on a ring with utilities of three kinds."""
    domain, exact, objective = _voters(discount, agents=agents, horizon=horizon)
    known = truncated.truth(exact, objective, radii, seed)
    values = {"discount": discount, "critic": critic}
    return {
        str(radius): {"bias": known.bias(radius)}
        | truncated.noise(
            domain, known, values, radius=radius, rollouts=rollouts, batches=batches, seed=seed
        )
        for radius in radii
    }


def plug_in(
    *,
    world: dict[str, Any],
    radius: int,
    rollouts: int,
    batches: int,
    memories: Sequence[float],
    deltas: Sequence[float],
    discount: float,
    seed: int,
) -> dict[str, dict[str, float]]:
    """What estimated occupancies do to sampled gradients at a random policy, by how they are
    estimated: with exact ones; from the batch itself (`reuse`); from one half, and the gradient
    from the other (`split`); as moving averages; and from the batch with other smoothing.

    Lengths are relative to that of the exact gradient of the same radius. What estimates add to
    the mean (`bias`, `along` the exact gradient) is told from the same rollouts with exact shadow
    rewards, so that most of the noise of returns is not in it.

    Args:
        world: fields of the voters' configuration.
        radius: of credit.
        rollouts: scenarios of a batch.
        batches: how many are averaged over.
        memories: shares of earlier occupancies in moving averages.
        deltas: smoothing, in place of the world's.
        discount: per tick.
        seed: of policy and batches.
    """
    domain, exact, objective = _voters(discount, **world)
    known = truncated.truth(exact, objective, [radius], seed)
    target = jnp.asarray(known.near[radius], jnp.float32)
    algorithm, learner, roll = truncated.sampler(
        domain, known, {"discount": discount}, radius=radius, rollouts=rollouts
    )
    sure = jnp.asarray(known.shadow, jnp.float32)
    smoothed = {f"delta {x:g}": _voters(discount, **world | {"delta": x})[2] for x in deltas}

    def batch(averages, key):
        rollout = replace(roll(key), context=())
        half = rollouts // 2
        first = jax.tree.map(lambda x: x[:, :half], rollout)
        second = jax.tree.map(lambda x: x[:, half:], rollout)
        here = algorithm.occupancy(learner, rollout)
        averages = {m: m * kept + (1 - m) * here for m, kept in averages.items()}
        shadows = {"exact": sure, "reuse": objective.shadow(here)}
        shadows |= {f"memory {m:g}": objective.shadow(kept) for m, kept in averages.items()}
        shadows |= {name: wanted.shadow(here) for name, wanted in smoothed.items()}

        def slope(rollout, shadow):
            return algorithm.slope(learner, rollout, shadow, jnp.float32(0))[0].logits[..., 1]

        found = {name: slope(rollout, shadow) for name, shadow in shadows.items()}
        apart = {name: one - found["exact"] for name, one in found.items() if name != "exact"}
        halved = objective.shadow(algorithm.occupancy(learner, first))
        found["split"] = slope(second, halved)
        apart["split"] = found["split"] - slope(second, sure)
        errors = {name: jnp.sum((one - target) ** 2) for name, one in found.items()}
        return averages, (errors, apart)

    # Averages begin where they are going: what is measured is a policy that stands still.
    start = {m: jnp.asarray(exact.occupied(known.push).occupancy, jnp.float32) for m in memories}
    keys = jax.random.split(jax.random.key(seed), batches)
    _, (errors, apart) = jax.jit(lambda keys: jax.lax.scan(batch, start, keys))(keys)
    length = float(np.linalg.norm(target))
    return {
        name: {"error": float(np.sqrt(np.mean(error)) / length)}
        | (_added(np.asarray(apart[name]), np.asarray(target)) if name in apart else {})
        for name, error in errors.items()
    }


def _added(apart: Float[np.ndarray, "K N 2"], target: Float[np.ndarray, "N 2"]) -> dict[str, float]:
    """Length of the mean of independent differences, without what chance adds to it, and how far it
    goes along a target; both relative to the target's length."""
    mean, size = apart.mean(axis=0, dtype=np.float64), float(np.sum(target**2))
    chance = apart.var(axis=0, ddof=1, dtype=np.float64).sum() / len(apart)
    square = float(np.sum(mean**2)) - float(chance)
    return {
        "bias": max(square, 0.0) ** 0.5 / size**0.5,
        "along": float(np.sum(mean * target)) / size,
    }


def training(
    *,
    world: dict[str, Any],
    settings: dict[str, Any],
    rollouts: int,
    iterations: int,
    period: int,
    seed: int = 0,
    smoothing: float | None = None,
) -> dict[str, Any]:
    """Learning curves with exact values: of the team, of its optimum, of violations.

    Args:
        world: fields of the voters' configuration.
        settings: fields of the configuration of `localised`.
        rollouts: scenarios of an iteration.
        iterations: in all.
        period: iterations from one exact value to the next.
        seed: of the run.
        smoothing: of the utility that is learnt from; left out, that of the one that is judged by.
    """
    config = localised.Config(**settings)
    domain, exact, objective = _voters(config.discount, **world)
    best = exact.optimum(objective)
    learnt = domain
    if smoothing is not None:
        wanted = _voters(config.discount, **world | {"delta": smoothing})[2]
        learnt = replace(domain, objective=wanted)

    def standing(learner: Any) -> dict[str, Any]:
        return _standing(domain, exact, best, _push(exact, learner))

    return _learnt(learnt, config, standing, rollouts, iterations, period, seed) | {
        "optimum": best.value,
        "bound": best.bound,
    }


def fairness(
    *,
    aversion: float | None,
    world: dict[str, Any],
    settings: dict[str, Any],
    rollouts: int,
    iterations: int,
    period: int,
    seed: int = 0,
) -> dict[str, Any]:
    """Learning curves of what agents are paid, where the team is averse to some having little: by
    so much, each for itself, or, with None, as a soft least of all."""
    config = localised.Config(**settings)
    domain, exact, _ = _voters(config.discount, **world)
    # What is spared is paid, so that nobody has less than nothing.
    paid = rewards(domain.network.cost) + domain.network.cost  # pyright: ignore
    objective = _fair(aversion, paid, exact.agents)
    domain = replace(domain, objective=objective)
    best = exact.optimum(objective)

    def pay(push: np.ndarray) -> dict[str, float]:
        each = np.sum(paid * exact.occupied(push).occupancy, axis=(1, 2))
        return {"mean": float(each.mean()), "least": float(each.min())}

    def standing(learner: Any) -> dict[str, Any]:
        push = _push(exact, learner)
        return _standing(domain, exact, best, push) | pay(push)

    even = np.stack([best.push, best.push], axis=1)
    return _learnt(domain, config, standing, rollouts, iterations, period, seed) | {
        "optimum": best.value,
        "bound": best.bound,
        "best": pay(even),
    }


def few(
    *,
    world: dict[str, Any],
    settings: dict[str, Any],
    rollouts: int,
    iterations: int,
    seeds: int,
) -> dict[str, Any]:
    """Exact utility at the end of training on so few voters that all their joint states can be
    enumerated, whatever policies see; at first, and at best."""
    config = localised.Config(**settings)
    domain, exact, objective = _voters(config.discount, **world)
    whole = enumerate_network(cast(Voter, domain.network), config.discount)
    _, runs, _ = _trained(domain, config, rollouts, iterations, seeds)
    learnt = cast(Any, runs.learner).actor.logits
    return {
        "values": [whole.value(objective, logits, config.view) for logits in np.asarray(learnt)],
        "first": whole.value(objective, whole.logits(config.view), config.view),
        "bound": exact.optimum(objective).bound,
        "config": asdict(config),
    }


def _trained(
    domain: Domain, config: localised.Config, rollouts: int, iterations: int, seeds: int
) -> tuple[Plan, Run, Any]:
    """What was run, learners at its end, and metrics, all seeds and iterations at once."""
    what = plan(
        localised.make(config, domain),
        domain.env,
        rollouts=rollouts,
        steps=0,
        iterations=iterations,
    )
    runs, keys = start(what, 0, seeds)
    return what, *compile_period(what, runs, keys, iterations)(runs, keys, np.int32(0))


def _fair(aversion: float | None, paid: np.ndarray, agents: int) -> AbstractObjective:
    if aversion is None:
        return Worst(reward=np.broadcast_to(paid, (agents, 2, 2)), sharpness=SHARPNESS)
    return everybody(Fair(reward=paid, aversion=aversion), agents)


def _learnt(
    domain: Domain,
    config: localised.Config,
    standing: Callable[[Any], dict[str, Any]],
    rollouts: int,
    iterations: int,
    period: int,
    seed: int,
) -> dict[str, Any]:
    """Rows of where training stands, and the seconds it takes."""
    what = plan(
        localised.make(config, domain),
        domain.env,
        rollouts=rollouts,
        steps=0,
        iterations=iterations,
    )
    begin = time.perf_counter()
    runs, keys = start(what, seed, 1)
    program = compile_period(what, runs, keys, period)
    compiled = time.perf_counter() - begin
    spent, rows = 0.0, [standing(runs.learner) | {"iteration": 0}]
    for done in range(0, iterations, period):
        begin = time.perf_counter()
        runs, _ = jax.block_until_ready(program(runs, keys, np.int32(done)))
        spent += time.perf_counter() - begin
        rows.append(standing(runs.learner) | {"iteration": done + period, "seconds": spent})
    return {"compiling": compiled, "rows": rows, "config": asdict(config)}


def _push(exact: Exact, learner: Any) -> np.ndarray:
    """Chances to push, by agent and opinion, of the first seed."""
    logits = np.asarray(learner.actor.logits[0], np.float64)
    push = 1 / (1 + np.exp(logits[:, :, 0] - logits[:, :, 1]))
    return np.broadcast_to(push, (exact.agents, 2))


def _standing(domain: Any, exact: Exact, best: Any, push: np.ndarray) -> dict[str, Any]:
    """What a policy has, exactly."""
    occupied = exact.occupied(push).occupancy
    value = exact.value(domain.objective, push)
    row: dict[str, Any] = {
        "value": value,
        "gap": best.bound - value,
        "share": (best.bound - value) / abs(best.bound),
    }
    if domain.constraint is not None:
        margin = np.asarray(domain.constraint.local(jnp.asarray(occupied)))
        row["violation"] = float(np.maximum(-margin, 0).mean())
    return row


def locality(
    *, alpha: float, agents: int, sharpness: Sequence[float], discount: float, seed: int
) -> dict[str, Any]:
    """Decay that is measured and that is certified, at policies from even to deterministic."""
    _, exact, objective = _voters(discount, agents=agents, alpha=alpha, utility="linear")
    proof = certificate(exact.network, discount)
    logits = np.random.default_rng(seed).normal(size=(agents, 2))
    found = {}
    for factor in sharpness:
        push = 1 / (1 + np.exp(-factor * logits))
        full = exact.gradient(objective, push)
        near = exact.truncated(objective, push, range(7))
        errors = np.array([np.linalg.norm(near[radius] - full) for radius in range(7)])
        found[str(factor)] = {
            "measured": fitted_factor(errors),
            "certified": proof.factor,
            "spectral radius": proof.spectral_radius(np.stack([1 - push, push], axis=-1)),
        }
    return found


def price(
    *,
    domain: str,
    world: dict[str, Any],
    aversion: float | None,
    views: Sequence[int],
    starts: int,
    tolerance: float,
    discount: float,
    seed: int,
) -> dict[str, Any]:
    """The best localised policies that are found on a small network, by radius of their view, and
    what no policy exceeds.

    Args:
        domain: name.
        world: fields of its configuration.
        aversion: of a team that wants fair shares of random rewards; None has it as the domain.
        views: radii, ascending; what is found at one is a start at the next.
        starts: random ones, at each.
        tolerance: shares of what is to gain over even policies that count as equal.
        discount: of occupancies.
        seed: of the starts.
    """
    made, whole, objective = _enumerated(domain, discount, **world)
    if aversion is not None:
        agents = made.network.graph.agents
        objective = everybody(Fair(reward=made.network.table, aversion=aversion), agents, each=True)
    even = whole.value(objective, whole.logits())
    best = ceiling(whole, objective, tolerance=1e-6)
    near, found = [], {}
    for view in views:
        first = [whole.logits(view, seed=seed * starts + i) for i in range(starts)]
        wide = [end._replace(logits=widened(whole, end.logits, last, view)) for last, end in near]
        # Choices that are certain have no slope: what was found is also climbed from undecided.
        first += [np.clip(end.logits, -UNDECIDED, UNDECIDED) for end in wide]
        ends = [climbed(whole, objective, logits, view) for logits in first]
        top = max([*ends, *wide], key=lambda end: end.value)
        near = [(view, top)]
        level = top.value - tolerance * (best.bound - even)
        found[str(view)] = {
            "value": top.value,
            "price": (best.bound - top.value) / (best.bound - even),
            "agree": sum(end.value >= level for end in ends[:starts]) / starts,
        }
    return {
        "even": even,
        "bound": best.bound,
        "open": (best.bound - best.reached) / (best.bound - even),
        "views": found,
    }


def truncation(
    *,
    domain: str,
    world: dict[str, Any],
    view: int,
    radii: Sequence[int],
    discount: float,
    seed: int,
) -> dict[str, list[float]]:
    """Errors of truncated gradients at a random policy of a small network, relative to the
    gradient, by radius of credit, for each way of knowing another's Q, from as far as credit
    reaches and from a hop farther.

    Args:
        domain: name.
        world: fields of its configuration.
        view: radius that policies see.
        radii: of credit.
        discount: of occupancies.
        seed: of the policy.
    """
    _, whole, objective = _enumerated(domain, discount, **world)
    logits = whole.logits(view, seed=seed)
    full = whole.gradient(objective, logits, view)

    def off(radius: int, kind: Truncation, wider: int) -> float:
        near = whole.truncated(
            objective,
            logits,
            credit=radius,
            critic=radius + wider,
            truncation=kind,
            view=view,
        )
        return float(np.linalg.norm(near - full) / np.linalg.norm(full))

    return {
        f"{kind} {wider}": [off(radius, kind, wider) for radius in radii]
        for kind in get_args(Truncation)
        for wider in (0, 1)
    }


def access(
    *,
    world: dict[str, Any],
    settings: dict[str, Any],
    rollouts: int,
    iterations: int,
    scenarios: int,
    seeds: int,
) -> dict[str, Any]:
    """Packets that a user gets through in an episode of wireless access: along training, and of the
    policies at its end on held-out scenarios."""
    domain = wireless.make(wireless.Config(**world))
    config = localised.Config(**settings)
    what, runs, metrics = _trained(domain, config, rollouts, iterations, seeds)
    ticks = domain.env.spec.horizon
    names = {"return": ticks, "violation": 1}
    held_out = scenario_keys("held-out", SEED, scenarios)

    def one(learner):
        rule = Decided(what.algorithm.policy(learner), "sampled")
        return score(domain, rule, held_out).reward.mean()

    scores = jax.jit(lambda learners: jax.lax.map(one, learners))(runs.learner)
    return {
        "packets": (ticks * np.asarray(scores, np.float64)).tolist(),
        "curves": {
            name: _blocks(size * np.asarray(metrics[name], np.float64))
            for name, size in names.items()
            if name in metrics
        },
        "config": asdict(config),
    }


def access_rules(*, world: dict[str, Any], scenarios: int) -> dict[str, float]:
    """The same of each rule on the same scenarios."""
    domain = wireless.make(wireless.Config(**world))
    keys = scenario_keys("held-out", SEED, scenarios)
    reward = jax.jit(lambda keys: score_rules(domain, keys).reward)(keys)
    means = domain.env.spec.horizon * np.asarray(reward, np.float64).mean(axis=1)
    return dict(zip(domain.rules, means.tolist(), strict=True))


def _blocks(values: np.ndarray) -> list[list[float]]:
    """Means over stretches of training, [stretches, seeds]."""
    return [part.mean(axis=0).tolist() for part in np.array_split(values, min(POINTS, len(values)))]
