"""Whole episodes under a policy or a rule, scored on scenarios that nobody learns from."""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from descant.core.algorithm import AbstractPolicy
from descant.core.domain import Domain, Rule
from descant.core.model import AbstractModel
from descant.core.types import Key, Keys, Observation, PyTree

Mode = Literal["act", "sampled", "greedy"]
"""As the policy is meant to be used, drawn from it, or every agent's most likely action."""

ROLES = {"training": 0, "validation": 1, "held-out": 2}


def scenario_keys(role: str, seed: int, count: int) -> Keys:
    """Scenarios of one role; the roles never share one, whatever the seeds."""
    return jax.random.split(jax.random.fold_in(jax.random.key(seed), ROLES[role]), count)


class Scores(NamedTuple):
    """What a policy got, scenario by scenario."""

    reward: Float[Array, " E"]
    """Mean team reward per tick."""
    diagnostics: dict[str, Float[Array, " E"]]
    alignment: dict[str, Float[Array, " E"]]
    """Share of ticks at which moving to the model's reference would improve each term of the
    reward; ticks at which nobody acts do not count. Empty without a model."""


def decide(policy: AbstractPolicy, mode: Mode) -> Rule:
    """A policy in the form of a rule."""

    def rule(state: PyTree, observation: Observation, key: Key) -> Array:
        if mode == "greedy":
            return policy.best(observation)
        return policy.act(observation, key) if mode == "act" else policy.sample(observation, key)[0]

    return rule


def play(
    domain: Domain, rule: Rule, key: Key, model: AbstractModel | None
) -> tuple[PyTree, PyTree]:
    """One episode: per tick reward, diagnostics, and alignment with whether anybody acted."""
    env = domain.env
    reset_key, run_key = jax.random.split(key)
    state, observation = env.reset(reset_key)

    def tick(carry, key):
        state, observation = carry
        act_key, step_key = jax.random.split(key)
        action = rule(state, observation, act_key)
        aligned = {} if model is None else model.alignment(model.context(state), action)
        state, step = env.step(step_key, state, action)
        acted = jnp.any(observation.active)
        return (state, step.observation), (step.reward, step.diagnostics, aligned, acted)

    keys = jax.random.split(run_key, env.spec.horizon)
    return jax.lax.scan(tick, (state, observation), keys)


def score(domain: Domain, rule: Rule, keys: Keys, *, alignment: bool) -> Scores:
    """Means over each scenario's episode."""
    model = domain.model if alignment else None

    def one(key):
        _, (reward, diagnostics, aligned, acted) = play(domain, rule, key, model)
        acting = jnp.maximum(jnp.sum(acted), 1)
        return Scores(
            reward=jnp.mean(reward),
            diagnostics=jax.tree.map(jnp.mean, diagnostics),
            alignment={name: jnp.sum(x * acted) / acting for name, x in aligned.items()},
        )

    return jax.vmap(one)(keys)


def score_rules(domain: Domain, keys: Keys, *, alignment: bool) -> Scores:
    """Scores of all rules, [rules, E], by one program.

    Rules run one after another and a tick calls only the one whose turn it is, so fourteen rules
    compile about as fast as one.
    """
    rules = list(domain.rules.values())

    def with_rule(index):
        def rule(state, observation, key):
            return jax.lax.switch(index, rules, state, observation, key)

        return score(domain, rule, keys, alignment=alignment)

    return jax.lax.map(with_rule, jnp.arange(len(rules)))


def series(domain: Domain, rule: Rule, key: Key) -> dict[str, Float[Array, " T"]]:
    """The domain's figures over one episode, tick by tick."""
    _, (_, diagnostics, _, _) = play(domain, rule, key, None)
    return {name: diagnostics[name] for name in domain.figures}
