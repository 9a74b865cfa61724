import jax.numpy as jnp
import numpy as np

from descant.ops.linear import eliminated


def test_solutions_are_those_of_lapack():
    """Matrices with a positive quadratic form, and far from symmetric."""
    rng = np.random.default_rng(0)
    half = rng.normal(size=(5, 7, 7))
    skew = rng.normal(size=(5, 7, 7))
    matrix = half @ half.swapaxes(1, 2) + np.eye(7) + skew - skew.swapaxes(1, 2)
    right = rng.normal(size=(5, 7))
    truth = np.linalg.solve(matrix, right[..., None])[..., 0]
    found = eliminated(jnp.asarray(matrix, jnp.float32), jnp.asarray(right, jnp.float32))
    np.testing.assert_allclose(found, truth, atol=1e-4)
