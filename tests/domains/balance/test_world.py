from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from descant.algorithms import dgpg
from descant.core.errors import UserError
from descant.domains import balance
from descant.evaluate.episodes import score_rules
from descant.testing.contracts import check_algorithm, check_domain

SMALL = balance.Config(agents=4, resources=3, horizon=6)
KEY = jax.random.key(0)


def test_contract_where_nothing_differs_and_for_one_agent():
    equal = {"uneven": 0.0, "sizes": 0.0, "stay": 0.0, "noise": 0.3}
    check_domain(balance.make(replace(SMALL, agents=1, **equal)))


def test_reward_is_minus_the_potential():
    domain = balance.make(SMALL)
    state, _ = domain.env.reset(KEY)
    action = jnp.array([0, 2, 2, 1])
    _, step = domain.env.step(KEY, state, action)
    chosen = jax.nn.one_hot(action, 3)
    assert domain.model is not None
    said = domain.model.potential(domain.model.context(state), chosen)
    assert float(step.reward) == pytest.approx(-float(said), rel=1e-6)


def test_loads_stay_and_are_never_lost():
    domain = balance.make(SMALL)
    state, _ = domain.env.reset(KEY)
    after, _ = domain.env.step(KEY, state, jnp.array([0, 0, 1, 2]))
    assert float(jnp.sum(after.level)) == pytest.approx(0.5 * float(jnp.sum(state.size)), rel=1e-5)
    np.testing.assert_allclose(jnp.sum(state.capacity), 4, rtol=1e-6)


def test_rules_rank_as_they_should():
    domain = balance.make(balance.Config())
    keys = jax.random.split(KEY, 20)
    scores = jax.jit(lambda keys: score_rules(domain, keys))(keys)
    reward = dict(zip(domain.rules, np.asarray(scores.reward).mean(axis=1), strict=True))
    assert reward["least-filled"] > reward["by-capacity"] > reward["anywhere"]


def test_algorithms_learn_on_it():
    base = dgpg.mappo.Config(hidden=4)
    check_algorithm(lambda d: dgpg.make(dgpg.Config(base=base), d), balance.make(SMALL))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"agents": 0}, "domain.agents: expected at least 1, got 0"),
        ({"resources": 1}, "domain.resources: expected at least 2"),
        ({"stay": 1.0}, "domain.stay: expected from 0 to below 1, got 1.0"),
        ({"noise": -0.1}, "domain.noise: expected at least 0"),
    ],
)
def test_values_out_of_range_are_named(changes, sentence):
    with pytest.raises(UserError, match=sentence):
        balance.make(balance.Config(**changes))
