import jax
import jax.numpy as jnp
import numpy as np

from descant.credit.probes import Slope
from descant.ops.guidance import slope, slope_before
from toys import balance

TOY = balance.make(balance.Config(agents=4))


def test_moments_of_the_slope():
    state, observation = TOY.env.reset(jax.random.key(3))
    action = jnp.array([1, 1, 3, 1])
    context = TOY.model.context(state)

    def measure(moment):
        return Slope(model=TOY.model, actions=4, moment=moment)(state, action, jax.random.key(0))

    after, before, sequential = map(measure, ("after", "before", "sequential"))
    np.testing.assert_array_equal(after, slope(TOY.model, context, action, 4))
    np.testing.assert_array_equal(before, slope_before(TOY.model, context, action, 4))
    chosen = jax.nn.one_hot(action, 4) * observation.active[:, None]
    rise = TOY.model.potential(context, chosen) - TOY.model.potential(context, 0 * chosen)
    np.testing.assert_allclose(jnp.sum(sequential), rise, rtol=1e-5)
    # The potential is convex: what one adds in turn lies between its slopes before and after.
    assert bool(jnp.all((before <= sequential + 1e-6) & (sequential <= after + 1e-6)))
