import jax
import jax.numpy as jnp
import numpy as np

from descant.domains.voter.exact import Exact
from descant.domains.voter.world import voters
from descant.nets.table import Table, Tabular, Window
from descant.ops import graphs, occupancy
from descant.ops.networked import states_of, world
from descant.ops.restarts import Restarts

PUSH = np.array([[0.9, 0.3], [0.6, 0.8], [0.2, 0.9]])


def test_walks_have_the_discounted_occupancy_however_short_they_are():
    """Voters who all begin with opinion 0: episodes of as many ticks have not forgotten it."""
    network = voters(graphs.line(3), alpha=0.5, start=0.0)
    truth = Exact(network, 0.9).occupied(PUSH).ones
    logits = jnp.log(jnp.asarray(np.stack([1 - PUSH, PUSH], axis=-1), jnp.float32))
    policy = Tabular(net=Table(logits=logits, window=Window(network.graph, 2)))
    worlds = Restarts(env=world(network, 4), count=500, discount=0.9)

    def walks(chains, key):
        chains, seen = worlds.walk(policy, chains, key, 4)
        return chains, jnp.mean(states_of(seen, 2), axis=(0, 1))

    @jax.jit
    def run(key):
        open_key, key = jax.random.split(key)
        return jax.lax.scan(walks, worlds.open(open_key), jax.random.split(key, 60))[1]

    ones = np.asarray(run(jax.random.key(0)))
    assert np.abs(ones[20:].mean(axis=0) - truth).max() < 0.02
    cut = np.asarray(occupancy.tick_weights(0.9, 4))
    assert cut[0] > 0.25 and np.all(ones[0] < truth - 0.05), "fresh worlds are not there yet"
