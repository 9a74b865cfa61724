"""Errors of estimates, at a size that takes a moment."""

import numpy as np
import pytest

from descant.domains import voter
from descant.domains.voter.exact import Exact
from descant.evaluate.truncated import noise, truth

DOMAIN = voter.make(voter.Config(agents=24, horizon=30))
VALUES = {"discount": 0.8}


@pytest.fixture(scope="module")
def known():
    return truth(Exact(DOMAIN.network, 0.8), DOMAIN.objective, [0, 2, 4, 12], seed=0)


def test_what_a_radius_leaves_out_shrinks_to_nothing(known):
    bias = [known.bias(radius) for radius in (0, 2, 4, 12)]
    assert bias[0] > 4 * bias[1] > 8 * bias[2] and bias[3] < 1e-9
    np.testing.assert_allclose(known.near[12], known.full, atol=1e-9)


def test_light_cones_are_less_noisy_and_errors_are_bias_and_noise(known):
    """At kappa = 4 and 64 rollouts: at most 0.8 times the noise of all returns."""
    found = {
        critic: noise(DOMAIN, known, VALUES | {"critic": critic}, radius=4, rollouts=64, batches=8)
        for critic in ("cone", "mc")
    }
    assert found["cone"]["noise"] < 0.8 * found["mc"]["noise"]
    few = noise(DOMAIN, known, VALUES, radius=0, rollouts=64, batches=8)
    assert few["error"] ** 2 == pytest.approx(few["noise"] ** 2 + known.bias(0) ** 2, rel=0.3)
