"""By what learners are judged follows from what their algorithm climbs."""

import jax
import jax.numpy as jnp
import pytest

from descant.algorithms import localised, mappo
from descant.domains import traffic, voter
from descant.evaluate.episodes import Decided
from descant.evaluate.objectives import standing
from descant.evaluate.verdicts import measures, verdict

VOTERS = voter.Config(agents=3, horizon=4, entropy=0.69)


def test_what_counts_first_stands_in_front():
    made, free = voter.make(VOTERS), localised.Config(dual="none")
    cases = [
        (localised, localised.Config(), made, ("violation", "utility")),
        (localised, free, made, ("utility",)),
        (mappo, mappo.Config(), made, ("reward",)),
        (
            localised,
            localised.Config(),
            traffic.make(traffic.Config(rows=1, columns=2)),
            ("reward",),
        ),
    ]
    for module, config, domain, by in cases:
        assert measures(module.make(config, domain), config) == by


def test_rewards_are_asked_for_only_where_they_count():
    made = voter.make(VOTERS)
    keys = jax.random.split(jax.random.key(0), 2)
    config = localised.Config()
    algorithm = localised.make(config, made)
    learner = algorithm.init(jax.random.key(1))

    def never():
        raise AssertionError("nobody asks")

    found = verdict(made, algorithm, config, learner, keys, never)
    acting = Decided(algorithm.policy(learner), "act")
    value, violation = standing(made, acting, keys, 0.9, made.objective, made.constraint)
    assert float(found.value) == pytest.approx(float(value), abs=1e-6)
    assert float(found.violation) == pytest.approx(float(violation), abs=1e-6)
    assert float(value) != 0 and float(violation) > 0
    plain = mappo.make(mappo.Config(), made)
    paid = verdict(made, plain, mappo.Config(), None, keys, lambda: jnp.float32(2.5))
    assert (float(paid.value), paid.violation) == (2.5, None)
