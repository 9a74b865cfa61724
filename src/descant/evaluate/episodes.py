"""Whole episodes under a policy or a rule, scored on scenarios that nobody learns from.

An episode ends at its first tick that is terminated or truncated. What worlds say after it counts
for nothing: a reward of zero, and no part in diagnostics.
"""

from dataclasses import replace
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from descant.core.algorithm import AbstractPolicy
from descant.core.domain import Domain, Rule
from descant.core.model import AbstractModel
from descant.core.types import Action, Key, Keys, Observation, PyTree

Mode = Literal["act", "sampled", "greedy"]
"""As the policy is meant to be used, drawn from it, or every agent's most likely action."""

STRIDE = 10
"""Ticks from one question for alignment to the next."""

ROLES = {"training": 0, "validation": 1, "held-out": 2}


def scenario_keys(role: str, seed: int, count: int) -> Keys:
    """Scenarios of one role; the roles never share one, whatever the seeds."""
    return jax.random.split(jax.random.fold_in(jax.random.key(seed), ROLES[role]), count)


class Scores(NamedTuple):
    """What a policy got, scenario by scenario."""

    reward: Float[Array, " E"]
    """Return over horizon: the mean team reward per tick, where ticks after the end bring zero, so
    that scores of episodes of different lengths compare as their returns do."""
    diagnostics: dict[str, Float[Array, " E"]]
    """Means over the ticks of the episode, or what its last tick says of the spec's outcomes."""
    alignment: dict[str, Float[Array, " E"]]
    """Share of visited states from which a step down the model's potential would improve each term
    of the reward; every tenth tick is asked, and counts if somebody acts. Empty without a model."""
    series: dict[str, Float[Array, " T"]]
    """The domain's figures over the first scenario's episode, tick by tick; after its end they stay
    as they were."""


class Decided(NamedTuple):
    """A policy in the form of a rule, for observations that it has listened to."""

    policy: AbstractPolicy
    mode: Mode

    def __call__(self, state: PyTree, observation: Observation, key: Key) -> Action:
        policy = self.policy
        if self.mode == "greedy":
            return policy.best(observation)
        if self.mode == "act":
            return policy.act(observation, key)
        return policy.sample(observation, key)[0]

    def begin(self) -> PyTree:
        """What is remembered before an episode."""
        return self.policy.begin()

    def listen(self, state: PyTree, observation: Observation) -> Observation:
        """Take a tick in."""
        return self.policy.listen(self.policy.informed(state, observation))


class Trace(NamedTuple):
    """One episode, tick by tick, up to the horizon."""

    reward: Float[Array, " T"]
    """Zero after the end."""
    diagnostics: dict[str, Float[Array, " T"]]
    aligned: dict[str, Float[Array, " T"]]
    counts: Bool[Array, " T"]
    """Ticks at which alignment was asked for and somebody acted."""
    within: Bool[Array, " T"]
    """Ticks of the episode: up to its end, which they include."""


def play(domain: Domain, rule: Rule, key: Key) -> Trace:
    """One episode under a rule."""
    env = domain.env
    reset_key, run_key = jax.random.split(key)
    state, observation = env.reset(reset_key)
    memory = rule.begin() if isinstance(rule, Decided) else None

    def tick(carry, now):
        state, observation, within = carry
        key, index = now
        if isinstance(rule, Decided):
            observation = rule.listen(state, observation)
        act_key, step_key = jax.random.split(key)
        action = rule(state, observation, act_key)
        asked = index % STRIDE == 0
        aligned = _alignment(domain.model, asked, state, action)
        state, step = env.step(step_key, state, action)
        trace = Trace(
            reward=jnp.where(within, step.reward, 0.0),
            diagnostics=step.diagnostics,
            aligned=aligned,
            counts=asked & within & jnp.any(observation.active),
            within=within,
        )
        following = replace(step.observation, memory=observation.memory)
        return (state, following, within & ~(step.terminated | step.truncated)), trace

    keys = jax.random.split(run_key, env.spec.horizon)
    start = state, replace(observation, memory=memory), jnp.bool_(True)
    return jax.lax.scan(tick, start, (keys, jnp.arange(env.spec.horizon)))[1]


def _alignment(
    model: AbstractModel | None, asked: Bool[Array, ""], state: PyTree, action: Action
) -> dict[str, Float[Array, ""]]:
    """The model's alignment on ticks that are asked, zeros on others."""
    if model is None:
        return {}

    def ask(state, action):
        return model.alignment(model.context(state), action)

    def skip(state, action):
        shapes = jax.eval_shape(ask, state, action)
        return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)

    return jax.lax.cond(asked, ask, skip, state, action)


LANES = 800
"""Entities, over all scenarios, up to which stepping scenarios side by side is faster on a CPU than
one after another: beyond, what a decision looks at no longer stays in the nearest cache."""


def score(domain: Domain, rule: Rule, keys: Keys) -> Scores:
    """What each scenario's episode comes to."""
    spec = domain.env.spec

    def one(key):
        trace = play(domain, rule, key)
        last = jnp.sum(trace.within) - 1
        counted = jnp.maximum(jnp.sum(trace.counts), 1)
        scores = Scores(
            reward=jnp.mean(trace.reward),
            diagnostics={
                name: x[last] if name in spec.outcomes else jnp.mean(x, where=trace.within)
                for name, x in trace.diagnostics.items()
            },
            alignment={
                name: jnp.sum(x * trace.counts) / counted for name, x in trace.aligned.items()
            },
            series={},
        )
        until = jnp.minimum(jnp.arange(spec.horizon), last)
        return scores, {name: trace.diagnostics[name][until] for name in domain.figures}

    lanes = max(1, LANES // max(1, spec.entities))
    scores, series = jax.lax.map(one, keys, batch_size=min(lanes, keys.shape[0]))
    return scores._replace(series={name: x[0] for name, x in series.items()})


def score_rules(domain: Domain, keys: Keys) -> Scores:
    """Scores of all rules, [rules, E], by one program.

    Rules run one after another and a tick calls only the one whose turn it is, so fourteen rules
    compile about as fast as one.
    """
    rules = list(domain.rules.values())

    def with_rule(index):
        def rule(state, observation, key):
            return jax.lax.switch(index, rules, state, observation, key)

        return score(domain, rule, keys)

    return jax.lax.map(with_rule, jnp.arange(len(rules)))
