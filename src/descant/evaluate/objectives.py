"""What a team has of its objective under a learned policy: exactly where the domain knows it, and
otherwise as episodes on held-out scenarios have it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from descant.core import schema
from descant.core.algorithm import AbstractPolicy
from descant.core.domain import Domain, Rule
from descant.core.errors import UserError
from descant.core.types import Keys, Scalar
from descant.core.utility import AbstractObjective, AbstractOracle, exact_local, exact_value
from descant.evaluate.episodes import Decided
from descant.train.trained import Trained


class Occupied(NamedTuple):
    """Where agents spend their time under one policy."""

    occupancy: Float[np.ndarray, "N S A"]
    exact: bool
    """Whether the domain knows it; otherwise episodes have estimated it."""


def occupied(
    trained: Trained, policies: Sequence[AbstractPolicy], keys: Keys
) -> list[Occupied] | None:
    """Occupancies under some policies, at the discount of the algorithm; None where the domain is
    no network, or the algorithm does not discount."""
    domain, discount = trained.domain, discount_of(trained.settings.algorithm)
    if domain.network is None or discount is None:
        return None
    oracle = domain.exact(discount) if domain.exact else None
    play = eqx.filter_jit(
        lambda policy, keys: visited(domain, Decided(policy, "act"), keys, discount)
    )

    def one(policy: AbstractPolicy) -> Occupied:
        chances = policy.by_state()
        if oracle is not None and chances is not None:
            return Occupied(oracle.occupancy(np.asarray(chances, np.float64)), True)
        return Occupied(np.asarray(play(policy, keys), np.float64), False)

    return [one(policy) for policy in policies]


def reached(
    trained: Trained, found: Sequence[Occupied] | None, *, bound: bool
) -> dict[str, Any] | None:
    """What each seed's policy has of the objective, by group, and what no policy exceeds, given
    where its agents spend their time; None where that is not known, or the domain wants nothing but
    reward."""
    domain, discount = trained.domain, discount_of(trained.settings.algorithm)
    objective = domain.objective
    if found is None or objective is None or discount is None:
        return None
    values = [exact_value(objective, each.occupancy) for each in found]
    local = np.mean([exact_local(objective, each.occupancy) for each in found], axis=0)
    oracle = domain.exact(discount) if domain.exact and bound else None
    return {
        "discount": discount,
        "exact": all(each.exact for each in found),
        "value": float(np.mean(values)),
        "values": values,
        "groups": {name: float(local[who].mean()) for name, who in objective.groups.items()},
        **_best(objective, oracle, float(np.mean(values))),
    }


def violated(domain: Domain, found: Sequence[Occupied] | None) -> dict[str, Any] | None:
    """By how much constraints are violated, in all and at most, and by what share of the agents, in
    the mean over seeds; None where there are none, or where agents are is not known."""
    constraint = domain.constraint
    if found is None or constraint is None:
        return None
    short = np.array([np.maximum(-exact_local(constraint, each.occupancy), 0) for each in found])
    return {
        "total": float(short.sum(axis=1).mean()),
        "worst": float(short.max(axis=1).mean()),
        "share": float((short > 0).mean()),
        "exact": all(each.exact for each in found),
    }


def discount_of(config: Any) -> float | None:
    """The discount in an algorithm's configuration, wherever it is nested."""
    known = schema.settings_of(config, "algorithm")
    names = schema.find("algorithm.discount", known)
    value = known[names[0]].default if len(names) == 1 else None
    return value if isinstance(value, float) and 0 < value < 1 else None


def standing(
    domain: Domain,
    rule: Rule,
    keys: Key[Array, " E"],
    discount: float,
    objective: AbstractObjective | None,
    constraint: AbstractObjective | None,
) -> tuple[Scalar | None, Scalar | None]:
    """The value of an objective and the violation of a constraint, in all, as episodes have them;
    None for one that there is not."""
    here = visited(domain, rule, keys, discount)
    short = None if constraint is None else jnp.sum(jnp.maximum(-constraint.local(here), 0))
    return None if objective is None else objective.value(here), short


def visited(
    domain: Domain, rule: Rule, keys: Key[Array, " E"], discount: float
) -> Float[Array, "N S A"]:
    """Estimated occupancies: discounted shares of the ticks of episodes, to their ends.

    Raises:
        UserError: the domain is no network.
    """
    env, network = domain.env, domain.network
    if network is None:
        raise UserError(f"{domain.name!r} has no network, so its agents have no occupancies.")
    agents, ticks = network.graph.agents, env.spec.horizon
    size = discount ** jnp.arange(ticks)
    weight = size / jnp.sum(size) / keys.shape[0]

    memory = rule.begin() if isinstance(rule, Decided) else None

    def tick(carry, now):
        (state, observation), seen = carry
        key, counts = now
        if isinstance(rule, Decided):
            observation = rule.listen(state, observation)
        act_key, step_key = jax.random.split(key)
        action = rule(state, observation, act_key)
        does = jax.nn.one_hot(action, network.actions)
        share = network.cells(network.seen(state.local))
        seen = seen + counts * share[:, :, None] * does[:, None]
        state, step = env.step(step_key, state, action)
        return ((state, replace(step.observation, memory=observation.memory)), seen), None

    def episode(seen, key):
        reset_key, run_key = jax.random.split(key)
        drawn = jax.random.split(run_key, ticks)
        state, observation = env.reset(reset_key)
        start = state, replace(observation, memory=memory)
        (_, seen), _ = jax.lax.scan(tick, (start, seen), (drawn, weight))
        return seen, None

    nothing = jnp.zeros((agents, network.states, network.actions))
    return jax.lax.scan(episode, nothing, keys)[0]


def _best(
    objective: AbstractObjective, oracle: AbstractOracle | None, value: float
) -> dict[str, Any]:
    """What some policy reaches, what none exceeds, and the gap to that."""
    if oracle is None:
        return {"optimum": None, "gap": None, "note": None}
    try:
        best, most = oracle.bracket(objective)
    except UserError as error:
        return {"optimum": None, "gap": None, "note": str(error)}
    gap = most - value
    share = gap / abs(most) if most else None
    return {
        "optimum": {"value": best, "bound": most},
        "gap": {"mean": gap, "relative": share},
        "note": None,
    }
