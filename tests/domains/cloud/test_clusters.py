import jax
import jax.numpy as jnp
import numpy as np

from descant.domains import cloud
from descant.domains.cloud import clusters


def test_numbers_of_a_cluster_worked_out_by_hand():
    used = np.array([[[0.2, 0.6], [0.95, 0.5], [0.5, 0.45], [0.0, 0.0]]])
    capacity = np.array([[[10, 40], [20, 40], [10, 20], [40, 100]]])
    queue = np.array([[0.0, 0.3, 0.1, 0.0]])
    efficiency = np.array([[1.0, 0.9, 0.8, 0.7]])
    said = np.asarray(clusters.describe(*map(jnp.asarray, (used, capacity, efficiency, queue))))[0]
    assert said.shape == (clusters.FEATURES,)
    u = used[0]
    quantiles = np.quantile(u, [0, 0.25, 0.5, 0.75, 1], axis=0)
    np.testing.assert_allclose(said[:10], quantiles.T.ravel(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(said[10:14], [*u.mean(0), *u.std(0)], rtol=1e-5)
    assert (
        said[14] == np.float32(np.corrcoef(u.T)[0, 1])
        or abs(said[14] - np.corrcoef(u.T)[0, 1]) < 1e-5
    )
    # Heavy in cores: the second; in memory: the first; neither: the others.
    np.testing.assert_allclose(said[15:18], [0.25, 0.25, 0.5])
    np.testing.assert_allclose(said[18:23], [0.4, 0.3, 0.1, queue.std(), 0.5], rtol=1e-5)
    free = 1 - (u * capacity[0]).sum(0) / capacity[0].sum(0)
    np.testing.assert_allclose(said[23:], [*free, 0.85, 0.2, 0.25], rtol=1e-5)


def test_equal_servers_have_no_correlation_and_an_empty_hand_no_jobs():
    same = jnp.full((1, 3, 2), 0.5)
    said = clusters.describe(
        same, jnp.ones((1, 3, 2), jnp.int32), jnp.ones((1, 3)), jnp.zeros((1, 3))
    )
    assert said[0, 14] == 0
    nobody = clusters.jobs(jnp.ones((4, 2)), jnp.zeros(4, bool))
    assert nobody.tolist() == [0] * 6
    some = clusters.jobs(
        jnp.array([[1.0, 2.0], [3.0, 2.0], [9.0, 9.0]]), jnp.array([True, True, False])
    )
    np.testing.assert_allclose(some, [2, 2, 1, 0, 3, 2], atol=1e-6)


def test_observations_grow_with_clusters_and_not_with_servers():
    config = cloud.Config(servers=200, observation="clusters", horizon=20, arrivals=10)
    spec = cloud.make(config).env.spec
    # 28 K + 10 numbers, the agent's own index among them; appendix H.2.
    assert spec.entities * spec.features + spec.globals + spec.local + 1 == 28 * 40 + 10
    _, observation = jax.jit(cloud.make(config).env.reset)(jax.random.key(0))
    assert observation.world.entities.shape == (40, 28)
    assert bool(jnp.all(jnp.isfinite(observation.world.entities)))
