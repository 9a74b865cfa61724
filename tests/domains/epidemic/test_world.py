import jax
import numpy as np
import pytest

from descant.core.errors import UserError
from descant.domains import epidemic
from descant.evaluate.episodes import score_rules


@pytest.mark.parametrize(
    ("contagion", "recovery", "least", "most"), [(0.3, 0.3, 0.1, 0.45), (0.8, 0.1, 0.8, 1.0)]
)
def test_mild_infections_fade_and_strong_ones_stay(contagion, recovery, least, most):
    config = epidemic.Config(agents=64, contagion=contagion, recovery=recovery)
    domain = epidemic.make(config)
    keys = jax.random.split(jax.random.key(0), 4)
    scores = jax.jit(lambda keys: score_rules(domain, keys))(keys)
    infected = dict(
        zip(domain.rules, np.asarray(scores.diagnostics["infected"]).mean(axis=1), strict=True)
    )
    assert least < infected["open"] < most
    assert infected["protect"] < infected["when-ill"] < infected["open"]
    # Far from the infection, protection changes nothing but its cost.
    assert infected["near-infection"] == infected["protect"]
    reward = dict(zip(domain.rules, np.asarray(scores.reward).mean(axis=1), strict=True))
    assert reward["near-infection"] > reward["protect"]


def test_what_agents_may_want():
    for name in ("linear", "target", "budget", "fair"):
        objective = epidemic.make(epidemic.Config(agents=5, utility=name)).objective
        assert objective is not None and objective.concave
        objective.check(5, 2, 2)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"contagion": 1.1}, "domain.contagion: expected 0 to 1, got 1.1"),
        ({"recovery": 0.9}, "domain.healing: expected at most 1 - domain.recovery = 0.1, got 0.2"),
        ({"cost": -0.1}, "domain.cost: expected at least 0"),
        ({"horizon": 0}, "domain.horizon: expected at least 1"),
    ],
)
def test_values_out_of_range_are_named(changes, sentence):
    with pytest.raises(UserError, match=sentence):
        epidemic.make(epidemic.Config(**changes))
