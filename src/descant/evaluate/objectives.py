"""What a team has of its objective under a learned policy: exactly where the domain knows it, and
otherwise as episodes on held-out scenarios have it."""

from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from descant.core import schema
from descant.core.algorithm import AbstractPolicy
from descant.core.domain import Domain, Rule
from descant.core.errors import UserError
from descant.core.types import Keys
from descant.core.utility import AbstractObjective, AbstractOracle
from descant.evaluate.episodes import Decided
from descant.train.trained import Trained


class _Reached(NamedTuple):
    """What one policy has."""

    value: float
    local: Float[np.ndarray, " N"]
    """Of each agent."""
    exact: bool
    short: Float[np.ndarray, " N"] | None
    """Violations of constraints, where there are any."""


def reached(trained: Trained, keys: Keys, *, bound: bool) -> dict[str, Any] | None:
    """What each seed's policy has of the objective, by group, and what no policy exceeds, at the
    discount of the algorithm; None where the domain wants nothing but reward, or the algorithm does
    not discount."""
    domain, discount = trained.domain, discount_of(trained.settings.algorithm)
    objective = domain.objective
    if objective is None or domain.network is None or discount is None:
        return None
    oracle = domain.exact(discount) if domain.exact else None
    found = [
        _local(objective, domain, trained.policy(seed), oracle, keys, discount)
        for seed in range(trained.settings.seeds)
    ]
    values = [each.value for each in found]
    local = np.mean([each.local for each in found], axis=0)
    return {
        "discount": discount,
        "exact": all(each.exact for each in found),
        "value": float(np.mean(values)),
        "values": values,
        "groups": {name: float(local[who].mean()) for name, who in objective.groups.items()},
        "violation": _violation(found),
        **_best(objective, oracle if bound else None, float(np.mean(values))),
    }


def discount_of(config: Any) -> float | None:
    """The discount in an algorithm's configuration, wherever it is nested."""
    known = schema.settings_of(config, "algorithm")
    names = schema.find("algorithm.discount", known)
    value = known[names[0]].default if len(names) == 1 else None
    return value if isinstance(value, float) and 0 < value < 1 else None


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


def _local(
    objective: AbstractObjective,
    domain: Domain,
    policy: AbstractPolicy,
    oracle: AbstractOracle | None,
    keys: Keys,
    discount: float,
) -> _Reached:
    chances = policy.by_state()
    if oracle is not None and chances is not None:
        here = oracle.occupancy(np.asarray(chances, np.float64))
    else:
        play = jax.jit(lambda keys: visited(domain, Decided(policy, "act"), keys, discount))
        here = np.asarray(play(keys), np.float64)
    with jax.enable_x64(True):
        local = np.asarray(objective.local(jnp.asarray(here)))
        value = float(objective.value(jnp.asarray(here)))
        margin = None if domain.constraint is None else domain.constraint.local(jnp.asarray(here))
    return _Reached(
        value=value,
        local=local,
        exact=oracle is not None and chances is not None,
        short=None if margin is None else np.maximum(-np.asarray(margin), 0),
    )


def _violation(found: list[_Reached]) -> dict[str, float] | None:
    """By how much constraints are violated in all and at most, in the mean over seeds; None where
    there are none."""
    short = [each.short for each in found if each.short is not None]
    if not short:
        return None
    return {
        "total": float(np.mean([x.sum() for x in short])),
        "worst": float(np.mean([x.max() for x in short])),
    }


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
