"""What a team has of its objective under a policy or a rule: exactly where the domain knows it, and
otherwise as episodes on held-out scenarios have it.

Objectives are functions of occupancies in the mean over scenarios, so no scenario has a value of
its own that others do not change. Estimates are dealt out to scenarios by what leaving each out
changes, which also takes off what a curved function of a noisy mean is off by.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from descant.core import schema
from descant.core.algorithm import AbstractPolicy
from descant.core.domain import AbstractStateRule, Domain, Rule
from descant.core.errors import UserError
from descant.core.network import AbstractSystem
from descant.core.types import Keys, Scalar
from descant.core.utility import AbstractObjective, AbstractOracle
from descant.evaluate.episodes import Decided, Mode
from descant.evaluate.statistics import pseudo_values
from descant.train.trained import Trained

KEPT = 2**27
"""Numbers of occupancies, over all scenarios, that are kept to tell scenarios apart (half a GiB).
Where there are more, as with tens of millions of agents times scenarios, there are no intervals."""
PROBES = 3
"""Occupancies at which two objectives are held against each other."""
LANES = 64
"""Means that are looked at side by side."""


UTILITY, VIOLATION, MARGIN = "utility", "violation", "margin"


class Aims(NamedTuple):
    """What a team wants."""

    objective: AbstractObjective | None
    constraint: AbstractObjective | None
    groups: Mapping[str, Int[np.ndarray, " _"]]
    """Agents whose mean utility is asked for, by name."""


class Found(NamedTuple):
    """A function of occupancies under one policy."""

    mean: float
    values: Float[np.ndarray, " E"] | None
    """Dealt out to scenarios; None where it is known exactly, or there are too many agents to keep
    what each scenario's are."""


class Occupied(NamedTuple):
    """Where agents spend their time under one policy, and what the team has of that."""

    occupancy: Float[np.ndarray, "N S A"]
    exact: bool
    """Whether the domain knows it; otherwise episodes have estimated it."""
    found: Mapping[str, Found]
    """`utility`, `utility_GROUP` and `violation`, of constraints and summed over agents, as far as
    the domain wants anything but reward."""
    short: Float[np.ndarray, " N"] | None
    """By how much each agent violates its constraint; None where there is none."""

    @property
    def groups(self) -> dict[str, float]:
        """Mean utility of each group of agents."""
        start = f"{UTILITY}_"
        return {n.removeprefix(start): x.mean for n, x in self.found.items() if n.startswith(start)}


def occupied(
    trained: Trained,
    policies: Sequence[AbstractPolicy],
    keys: Keys,
    *,
    mode: Mode = "act",
    exact: bool = True,
) -> list[Occupied] | None:
    """Occupancies under some policies, at the discount of the algorithm; None where the domain is
    no network, or the algorithm does not discount. What the domain knows exactly is not estimated,
    unless `exact` says so."""
    domain, discount = trained.domain, discount_of(trained.settings.algorithm)
    if domain.network is None or discount is None:
        return None
    play = _player(domain, keys, discount, lambda policy: Decided(policy, mode))
    # What every agent is most likely to do is another policy.
    asked = [policy.by_state() if exact and mode != "greedy" else None for policy in policies]
    chances = [None if one is None else np.asarray(one, np.float64) for one in asked]
    return _occupied(domain, discount, policies, chances, play)


def occupied_by_rules(
    domain: Domain, keys: Keys, discount: float, *, exact: bool = True
) -> list[Occupied]:
    """The same under each of the domain's rules, by one program."""
    rules = list(domain.rules.values())

    def one(index):
        return lambda *given: jax.lax.switch(index, rules, *given)

    play = _player(domain, keys, discount, one)
    sizes = _sizes(domain)
    chances = [
        rule.by_state(*sizes) if exact and isinstance(rule, AbstractStateRule) else None
        for rule in rules
    ]
    return _occupied(domain, discount, list(map(jnp.int32, range(len(rules)))), chances, play)


def _player(
    domain: Domain, keys: Keys, discount: float, rule: Callable[[Any], Rule]
) -> Callable[[Any], tuple[np.ndarray, Any]]:
    """Mean occupancies over scenarios as episodes have them, and those of each scenario, where
    there is room for them."""
    room = keys.shape[0] * math.prod(_sizes(domain)) <= KEPT

    @eqx.filter_jit
    def play(policy, keys):
        if room:
            return by_scenario(domain, rule(policy), keys, discount)
        return visited(domain, rule(policy), keys, discount)

    def played(policy):
        seen = play(policy, keys)
        if not room:
            return np.asarray(seen, np.float64), None
        return np.asarray(seen).mean(axis=0, dtype=np.float64), seen

    return played


def _occupied(
    domain: Domain,
    discount: float,
    policies: Sequence[Any],
    chances: Sequence[Float[np.ndarray, "N S A"] | None],
    play: Callable[[Any], tuple[np.ndarray, Any]],
) -> list[Occupied]:
    oracle = domain.exact(discount) if domain.exact else None

    def one(policy: Any, chances: Float[np.ndarray, "N S A"] | None) -> Occupied:
        if oracle is not None and chances is not None:
            here = oracle.occupancy(chances)
            return Occupied(here, True, *_wanted(domain, here, None))
        here, seen = play(policy)
        return Occupied(here, False, *_wanted(domain, here, seen))

    return [one(policy, given) for policy, given in zip(policies, chances, strict=True)]


def _wanted(
    domain: Domain, here: Float[np.ndarray, "N S A"], seen: Float[Array, "E N S A"] | None
) -> tuple[dict[str, Found], Float[np.ndarray, " N"] | None]:
    """What the team has at mean occupancies, dealt out to those of each scenario if they are given
    and there are several, and by how much each agent violates its constraint.

    What is dealt out of constraints is each agent's margin; whoever has none left in the mean is
    short of it, and only then does it count.
    """
    groups = {} if domain.objective is None else dict(domain.objective.groups)
    aims = Aims(domain.objective, domain.constraint, groups)
    with jax.enable_x64(True):
        whole = {n: np.asarray(x, np.float64) for n, x in _margins(aims, jnp.asarray(here)).items()}
    dealt: dict[str, Float[np.ndarray, "E *_"]] = {}
    if seen is not None and len(seen) > 1 and whole:
        count = len(seen)
        leaving = (1 - np.eye(count)) / (count - 1)
        weights = jnp.asarray(np.concatenate([np.full((1, count), 1 / count), leaving]), seen.dtype)
        size = max(1, min(LANES, KEPT // seen[0].size))
        for name, x in _weighted(aims, seen, weights, size).items():
            # Single precision is off by as much in all of them, and is taken off.
            column = np.asarray(x, np.float64)
            dealt[name] = pseudo_values(whole[name], whole[name] + column[1:] - column[0])
    mean = whole | {name: values.mean(axis=0) for name, values in dealt.items()}
    found = {n: Found(float(mean[n]), dealt.get(n)) for n in mean if n != MARGIN}
    if MARGIN not in mean:
        return found, None
    short = np.maximum(-mean[MARGIN], 0.0)
    values = -dealt[MARGIN][:, short > 0].sum(axis=1) if dealt else None
    return found | {VIOLATION: Found(float(short.sum()), values)}, short


@eqx.filter_jit
def _weighted(
    aims: Aims, seen: Float[Array, "E N S A"], weights: Float[Array, "B E"], size: int
) -> dict[str, Float[Array, "B *_"]]:
    """Numbers and margins at weighted means of occupancies."""
    return jax.lax.map(
        lambda weight: _margins(aims, jnp.tensordot(weight, seen, axes=1)), weights, batch_size=size
    )


def _margins(aims: Aims, here: Float[Array, "N S A"]) -> dict[str, Float[Array, "*_"]]:
    """What the team has of its objective, in all and by group, and what every agent has left of its
    constraint."""
    found = {}
    if aims.objective is not None:
        local = aims.objective.local(here)
        found[UTILITY] = aims.objective.value(here)
        found |= {f"{UTILITY}_{n}": jnp.mean(local[who]) for n, who in aims.groups.items()}
    if aims.constraint is not None:
        found[MARGIN] = aims.constraint.local(here)
    return found


def _numbers(aims: Aims, here: Float[Array, "N S A"]) -> dict[str, Scalar]:
    """The same with margins as one number: by how much constraints are violated in all."""
    found = _margins(aims, here)
    if (margin := found.pop(MARGIN, None)) is not None:
        found[VIOLATION] = jnp.sum(jnp.maximum(-margin, 0))
    return found


def _sizes(domain: Domain) -> tuple[int, int, int]:
    """Agents, states and actions."""
    network = _network(domain)
    return network.graph.agents, network.states, network.actions


def _network(domain: Domain) -> AbstractSystem:
    """The domain's network.

    Raises:
        UserError: the domain is none.
    """
    if domain.network is None:
        raise UserError(f"{domain.name!r} has no network, so its agents have no occupancies.")
    return domain.network


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
    values = [each.found[UTILITY].mean for each in found]
    groups = [each.groups for each in found]
    oracle = domain.exact(discount) if domain.exact and bound else None
    return {
        "discount": discount,
        "exact": all(each.exact for each in found),
        "value": float(np.mean(values)),
        "values": values,
        "groups": {name: float(np.mean([each[name] for each in groups])) for name in groups[0]},
        **_best(objective, oracle, float(np.mean(values))),
    }


def bounded(domain: Domain, discount: float) -> dict[str, Any] | None:
    """What no policy has more of than that, at a discount; None where the domain wants nothing but
    reward, or does not know."""
    if domain.objective is None or domain.exact is None:
        return None
    best = _best(domain.objective, domain.exact(discount), 0.0)
    return {"discount": discount, "optimum": best["optimum"], "note": best["note"]}


def probed(domain: Domain) -> dict[str, list[float]]:
    """What a team wants, as some occupancies have it: domains that say the same may differ in
    worlds, but not in what they want of them."""
    agents, states, actions = _sizes(domain)
    drawn = np.random.default_rng(0).dirichlet(np.ones(states * actions), size=(PROBES, agents))
    aims = Aims(domain.objective, domain.constraint, {})
    here = jnp.asarray(drawn.reshape(PROBES, agents, states, actions), jnp.float32)
    found = jax.lax.map(lambda one: _numbers(aims, one), here)
    return {name: np.asarray(x, np.float64).tolist() for name, x in found.items()}


def violated(found: Sequence[Occupied] | None) -> dict[str, Any] | None:
    """By how much constraints are violated, in all and at most, and by what share of the agents, in
    the mean over seeds; None where there are none, or where agents are is not known."""
    if found is None or any(each.short is None for each in found):
        return None
    short = np.array([each.short for each in found])
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
    found = _numbers(Aims(objective, constraint, {}), visited(domain, rule, keys, discount))
    return found.get(UTILITY), found.get(VIOLATION)


def visited(
    domain: Domain, rule: Rule, keys: Key[Array, " E"], discount: float
) -> Float[Array, "N S A"]:
    """Estimated occupancies: discounted shares of the ticks of episodes, to their ends.

    Raises:
        UserError: the domain is no network.
    """

    def add(total, key):
        return total + episode(domain, rule, key, discount) / keys.shape[0], None

    return jax.lax.scan(add, jnp.zeros(_sizes(domain)), keys)[0]


def by_scenario(
    domain: Domain, rule: Rule, keys: Key[Array, " E"], discount: float
) -> Float[Array, "E N S A"]:
    """The same for each scenario alone.

    Raises:
        UserError: the domain is no network.
    """
    return jax.lax.map(lambda key: episode(domain, rule, key, discount), keys)


def episode(
    domain: Domain, rule: Rule, key: Key[Array, ""], discount: float
) -> Float[Array, "N S A"]:
    """Discounted shares of the ticks of one episode.

    Raises:
        UserError: the domain is no network.
    """
    env, sizes = domain.env, _sizes(domain)
    network = _network(domain)
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

    reset_key, run_key = jax.random.split(key)
    drawn = jax.random.split(run_key, env.spec.horizon)
    state, observation = env.reset(reset_key)
    start = (state, replace(observation, memory=memory)), jnp.zeros(sizes)
    size = discount ** jnp.arange(env.spec.horizon)
    return jax.lax.scan(tick, start, (drawn, size / jnp.sum(size)))[0][1]


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
