from dataclasses import fields, replace

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest

from builders import SMALL, domain_or_skip
from descant.algorithms import mappo
from descant.algorithms._actor_critic import ActorCritic
from descant.core import discovery
from descant.testing import contracts
from descant.testing.contracts import check_algorithm, check_domain
from toys import balance


@pytest.mark.parametrize("name", discovery.names("domains"))
def test_domains_of_the_library(name):
    check_domain(domain_or_skip(name))


@pytest.mark.parametrize(
    "config",
    [
        {"stop": 0.3, "per_bin": 2, "bins": 3},
        {"world": False, "agents": 9, "bins": 3},
    ],
)
def test_toys(config):
    check_domain(balance.make(balance.Config(**config)))


class World(balance.Balance):
    """The toy with one fault."""

    fault: str = eqx.field(static=True, default="")

    def step(self, key, state, action):
        if self.fault == "moves for who rests":
            state = eqx.tree_at(lambda s: s.level, state, state.level + 0.1 * jnp.sum(action))
        state, step = super().step(key, state, action)
        if self.fault == "ends early":
            step = eqx.tree_at(lambda s: s.truncated, step, state.time >= 3)
        if self.fault == "reward per agent":
            step = eqx.tree_at(lambda s: s.reward, step, jnp.full((3,), step.reward))
        if self.fault == "reward is infinite":
            step = eqx.tree_at(lambda s: s.reward, step, step.reward / 0)
        return state, step

    def observe(self, state):
        observation = super().observe(state)
        if self.fault == "no legal action":
            closed = jnp.zeros_like(observation.mask)
            observation = eqx.tree_at(lambda o: o.mask, observation, closed)
        if self.fault == "wrong width":
            wide = jnp.ones((3, 7))
            observation = eqx.tree_at(lambda o: o.local, observation, wide)
        return observation


def broken(fault, **changes):
    domain = balance.make(balance.Config())
    world = World(spec=domain.env.spec, config=domain.env.config, fault=fault)
    parts = {"env": world, "model": None, "rules": domain.rules, "name": "broken"}
    return type(domain)(**parts | changes)


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("moves for who rests", "inactive agents choose must change nothing"),
        ("ends early", "ended before the horizon"),
        ("reward per agent", "reward must be one number"),
        ("reward is infinite", "reward not finite"),
        ("no legal action", "no legal action"),
        ("wrong width", r"observation.local has shape \(3, 7\), but spec says \(3, 2\)"),
    ],
)
def test_faults_of_a_world_are_named(fault, sentence):
    with pytest.raises(AssertionError, match=sentence) as caught:
        check_domain(broken(fault))
    assert "'broken' (seed 0)" in str(caught.value)


def outside(state, observation, key):
    return jnp.full((3,), 4)


def forbidden(state, observation, key):
    return jnp.argmin(observation.mask, axis=-1)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"rules": {"outside": outside}}, "rule 'outside' gives actions outside 0 to 3"),
        ({"rules": {"forbidden": forbidden}}, "rule 'forbidden' gives actions that the mask"),
        ({"headline": "best"}, "headline 'best' is none of its rules"),
        ({"figures": ("load",)}, r"figures \['load'\] are no diagnostics"),
    ],
)
def test_faults_of_rules_and_names_are_told(changes, sentence):
    with pytest.raises(AssertionError, match=sentence):
        check_domain(broken("", **changes))


class Wrong(balance.Levels):
    """The toy's model with one fault."""

    fault: str = eqx.field(static=True)

    def potential(self, context, action):
        if self.fault == "reference moves":
            target = context.target + 0.2 * (context.size > 0) @ action
            return super().potential(context._replace(target=target), action)
        value = super().potential(context, action)
        if self.fault == "another potential":
            value = value + jnp.sum(((context.size > 0) @ action) * context.level)
        if self.fault == "rounded":
            return jnp.round(value * 16) / 16
        return value + 0.1 * jnp.sum(action) * (self.fault == "counts who rests")

    def expected(self, context, probabilities):
        if self.fault == "mean without variance":
            return self.potential(context, probabilities)
        return super().expected(context, probabilities)

    def alternatives(self, context, action):
        if self.fault == "alternatives from nothing":
            return self.in_turn(context, jnp.zeros_like(action))
        return super().alternatives(context, action)

    def in_turn(self, context, action):
        if self.fault == "in turn after all":
            return super().alternatives(context, action)
        return super().in_turn(context, action)

    def weight(self, context):
        factor = 2.0 if self.fault == "weight" else 1.0
        return factor * super().weight(context)

    def pull(self, context, agent, covector):
        factor = 2.0 if self.fault == "pull" else 1.0
        return factor * super().pull(context, agent, covector)

    def respond(self, context, action):
        power = 2 if self.fault == "not linear" else 1
        return context.level + context.size @ action**power

    def alignment(self, context, action):
        share = 0.5 if self.fault == "half aligned" else 1.0
        return {name: share * x for name, x in super().alignment(context, action).items()}


@pytest.fixture(scope="module")
def walk():
    env = balance.make(balance.Config()).env
    return jax.jit(lambda key: contracts._walk(env, key, 6))(jax.random.key(0))


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("reference moves", "does the reference move when actions move"),
        ("rounded", "is something rounded"),
        ("another potential", "is potential half the squared distance"),
        ("counts who rests", "their rows must count nothing"),
        ("mean without variance", "expected is not the mean"),
        ("alternatives from nothing", "alternatives is not what"),
        ("in turn after all", "in_turn is not what"),
        ("weight", "weight is not the squared length"),
        ("pull", "pull is not"),
        ("not linear", "respond is not linear"),
        ("half aligned", "must be 0 or 1"),
    ],
)
def test_faults_of_a_model_are_named(walk, fault, sentence):
    say, model = contracts._Say("toy"), Wrong(fault=fault)
    with jax.disable_jit(), pytest.raises(AssertionError, match=sentence):
        contracts._check_model(say, model, walk, jax.random.key(0))


class Faulty(ActorCritic):
    """MAPPO that goes wrong in one way."""

    fault: str = eqx.field(static=True, default="")

    def update(self, learner, rollout, progress, key):
        after, metrics = super().update(learner, rollout, progress, key)
        if self.fault == "does not learn":
            return learner, metrics
        if self.fault == "not finite":
            after = eqx.tree_at(lambda a: a.values.mean, after, jnp.float32(jnp.nan))
        if self.fault == "metric per agent":
            metrics = metrics | {"each": jnp.zeros(3)}
        return after, metrics


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("does not learn", "left every weight of the policy as it was"),
        ("not finite", r"learner that is not finite. It is .*values"),
        ("metric per agent", "metrics must be single numbers"),
    ],
)
def test_faults_of_an_algorithm_are_named(fault, sentence):
    def make(domain):
        base = mappo.make(replace(SMALL, net="linear", epochs=1), domain)
        return Faulty(**{f.name: getattr(base, f.name) for f in fields(base)}, fault=fault)

    with pytest.raises(AssertionError, match=sentence):
        check_algorithm(make, balance.make(balance.Config()))
