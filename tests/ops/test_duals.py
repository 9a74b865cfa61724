import jax.numpy as jnp
import numpy as np
import pytest

from descant.ops.duals import Duals

HELD, MARGIN = jnp.array([0.0, 1.0, 2.0, 7.9]), jnp.array([0.5, 0.1, -0.2, -1.0])


@pytest.mark.parametrize(
    ("rule", "held", "price"),
    [
        ("closed", [0, 1, 2, 7.9], [0, 0, 0.6, 3]),
        ("ascent", [0, 0.7, 2.6, 8], [0, 0.7, 2.6, 8]),
        ("augmented", [0, 0.7, 2.6, 8], [0, 0.2, 3.6, 8]),
    ],
)
def test_prices_by_hand(rule, held, price):
    duals = Duals(rule, rate=3.0, penalty=5.0, most=8.0)
    after = duals.follow(HELD, MARGIN)
    np.testing.assert_allclose(after, held, atol=1e-6)
    np.testing.assert_allclose(duals.price(after, MARGIN), price, atol=1e-6)
