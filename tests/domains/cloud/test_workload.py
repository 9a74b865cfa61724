"""Drawn workloads against Yang & Liu (2026), appendix H.1 and Table 4, by their moments."""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from descant.domains import cloud
from descant.domains.cloud import instances
from descant.domains.cloud.workload import Paper, Scenario, room

LARGE = Paper(
    servers=4000,
    fewest=4000,
    step=1,
    ordered=False,
    by_capacity=False,
    load=(0.8, 0.85),
    horizon=30,
    arrivals=20,
    jobs=400_000,
    longest=215,
)
"""One draw of it is a sample of four thousand servers and four hundred thousand jobs."""


@pytest.fixture(scope="module")
def large():
    return jax.tree.map(np.asarray, jax.jit(LARGE.draw)(jax.random.key(11)))


def near(sample, expected: float, sigmas: float = 4.5) -> bool:
    error = np.std(sample) / math.sqrt(len(sample))
    return abs(np.mean(sample) - expected) < sigmas * error


def test_mean_demand(large):
    """E[cores] 1.119, E[GB] 4.47; both are rounded, by half a unit of the last digit at most."""
    cores, memory = large.demand[:, 0] / 1000, large.demand[:, 1] / 1024
    for sample, expected, digit in ((cores, 1.119, 0.0005), (memory, 4.47, 0.005)):
        error = np.std(sample) / math.sqrt(len(sample))
        assert abs(sample.mean() - expected) < 4 * error + digit
    assert memory.sum() / cores.sum() == pytest.approx(4.0, abs=0.05)


def test_mean_duration(large):
    duration = large.duration
    assert duration.dtype == np.int32
    assert duration.mean() == pytest.approx(22.26, abs=0.005 + 4 * duration.std() / math.sqrt(4e5))


def test_durations_are_log_normal_clipped_and_cut(large):
    """P(floor(d) < k) = Phi((ln k - 3) / 0.5) between the clips."""
    assert large.duration.min() == 5
    assert large.duration.max() <= 150
    for k in (8, 15, 20, 40, 80):
        expected = scipy.stats.norm.cdf((math.log(k) - 3.0) / 0.5)
        assert near(large.duration < k, expected), k


def test_jobs_keep_to_their_clips(large):
    cores, memory = large.demand[:, 0] / 1000, large.demand[:, 1] / 1024
    # Pareto support: 0.6 cores for CPU-intensive jobs, 0.4 for the others, never below.
    assert cores.min() == pytest.approx(0.4, abs=0.001)
    assert cores.max() == 20
    assert memory.min() >= 0.6 * 1.5 - 0.001
    assert memory.max() <= 128
    ratio = memory / cores
    assert ratio.max() <= 12.05
    heavy = ratio <= 5
    assert cores[heavy].min() == pytest.approx(0.6, abs=0.001)
    assert cores[~heavy].max() <= 8
    assert memory[heavy & (cores < 20)].max() <= 64


def test_cores_are_pareto(large):
    """P(cores > x) = (x_m / x)^alpha; jobs of either kind are told apart by GB per core."""
    cores, memory = large.demand[:, 0] / 1000, large.demand[:, 1] / 1024
    heavy = memory / cores <= 4.5
    assert near(heavy, 0.6)
    for sample, shape, scale in ((cores[heavy], 1.7, 0.6), (cores[~heavy], 2.2, 0.4)):
        for x in (0.75, 1.0, 2.0, 5.0):
            # Half a millicore up: demands are rounded.
            assert near(sample > x + 0.0005, (scale / (x + 0.0005)) ** shape), (shape, x)


def test_memory_per_core_is_uniform(large):
    cores, memory = large.demand[:, 0] / 1000, large.demand[:, 1] / 1024
    ratio = memory / cores
    within = (cores > 0.45) & (cores < 5)
    for low, high in ((1.5, 3.0), (6.0, 12.0)):
        sample = ratio[within & (ratio > low - 0.1) & (ratio < high + 0.1)]
        assert near(sample, (low + high) / 2)
        assert np.std(sample) == pytest.approx((high - low) / math.sqrt(12), rel=0.01)


def test_servers_are_drawn_by_weight(large):
    """Chi-square over instance types; those of equal capacity differ in efficiency."""
    kinds = Counter(map(tuple, np.concatenate([large.capacity, large.efficiency], axis=1).tolist()))
    rows = [
        (*capacity, *efficiency)
        for capacity, efficiency in zip(
            instances.CAPACITY.tolist(), instances.EFFICIENCY.tolist(), strict=True
        )
    ]
    assert set(kinds) == set(rows)
    counts = [kinds[row] for row in rows]
    assert scipy.stats.chisquare(counts, 4000 * instances.SHARE).pvalue > 1e-3


def test_table_4():
    """What the weights and columns give on average: 39.92 vCPU, 157.4 GB, 0.934, 0.898."""
    assert instances.SHARE.sum() == pytest.approx(1)
    natural = instances.SHARE @ (instances.CAPACITY / [1000, 1024])
    np.testing.assert_allclose(natural, [39.92, 157.4], atol=0.05)
    np.testing.assert_allclose(instances.SHARE @ instances.EFFICIENCY, [934, 898], atol=0.5)


class Drawn(NamedTuple):
    workload: Paper
    draw: Callable
    """Compiled: keys [E] to scenarios [E]."""
    draws: Scenario
    """[E]"""


def batch(config: cloud.Config, count: int) -> Drawn:
    """Draws of a configured domain's workload."""
    workload = cloud.make(config).env.workload
    draw = jax.jit(jax.vmap(workload.draw))
    draws = draw(jax.random.split(jax.random.key(5), count))
    return Drawn(workload, draw, jax.tree.map(np.asarray, draws))


PAPER = cloud.Config(servers=5)


@pytest.fixture(scope="module")
def paper():
    return batch(PAPER, 60)


@pytest.fixture(scope="module")
def true_load():
    """In groups, so that servers are sorted, too."""
    return batch(replace(PAPER, servers=10, clusters=5, load="true", arrivals=1000), 60)


def test_as_many_jobs_as_slots_times_utilisation(paper):
    """rho N jobs a tick: 0.825 * 5 * 2000, rho uniform on [0.80, 0.85]."""
    draws = paper.draws
    total = draws.arrived[:, -1]
    mean, spread = 0.825 * 5 * 2000, 0.05 / math.sqrt(12) * 5 * 2000
    deviation = math.sqrt(mean + spread**2)
    assert abs(total.mean() - mean) < 4 * deviation / math.sqrt(len(total))
    assert 0.7 < total.std() / deviation < 1.35


def test_arrivals_swing_and_stop(paper):
    """1 + 0.3 sin(2 pi t / 1000) while there are arrivals, then a drain without any."""
    draws = paper.draws
    counts = np.diff(draws.arrived, axis=1, prepend=0)
    assert np.all(counts >= 0)
    assert np.all(counts[:, 2000:] == 0)
    high, low = counts[:, 150:350].mean(), counts[:, 650:850].mean()
    # Mean of the sine over the middle two fifths of a half wave: sin(0.2 pi) / (0.2 pi).
    swing = 0.3 * math.sin(0.2 * math.pi) / (0.2 * math.pi)
    assert high / low == pytest.approx((1 + swing) / (1 - swing), rel=0.03)


def test_arrivals_are_poisson_around_a_noisy_rate(paper):
    """Counts vary by the Poisson variance and by that of noise and utilisation."""
    draws = paper.draws
    counts = np.diff(draws.arrived, axis=1, prepend=0)[:, :2000]
    rate = counts.mean(axis=0)
    excess = (counts.var(axis=0, ddof=1) - rate).mean()
    noise = (0.825 * 5) ** 2 * (0.1**2 + (0.05 / math.sqrt(12) / 0.825) ** 2 * 1.045)
    assert excess == pytest.approx(noise, abs=0.1)


@pytest.mark.parametrize(("which", "spare"), [("paper", 1.25), ("true_load", 4)])
def test_there_is_room_for_every_draw(which, spare, request):
    """And not much more: under true load ten deviations of ten machines' size."""
    workload, _, draws = request.getfixturevalue(which)
    assert draws.arrived[:, -1].max() < workload.jobs < spare * draws.arrived[:, -1].mean()
    stay = np.ceil(draws.duration.max(axis=1) * 1000 / draws.efficiency[:, :, 0].min(axis=1))
    assert stay.max() <= workload.longest


def test_room_is_ten_deviations():
    assert room(10_000.0, 0.0) >= 10_000 + 10 * 100
    assert room(10_000.0, 500.0) >= 10_000 + 10 * 500
    assert room(0.0, 0.0) > 0


def test_room_when_arrivals_end_within_the_tide():
    """The few ticks lie in the flood, where the rate is higher than on average."""
    workload, _, draws = batch(replace(PAPER, servers=3, horizon=300, arrivals=250), 40)
    assert draws.arrived[:, -1].mean() > 1.1 * 0.825 * 3 * 250
    assert draws.arrived[:, -1].max() < workload.jobs


def test_true_load_keeps_the_tightest_resource_busy(true_load):
    """Work that arrives per tick over effective capacity is the target utilisation."""
    draws = true_load.draws
    jobs = draws.arrived[:, -1] / 1000
    effective = np.sum(draws.capacity * (draws.efficiency[..., :1] / 1000), axis=1) / [1000, 1024]
    work = np.array(instances.MEAN_DEMAND) * instances.MEAN_DURATION
    utilisation = jobs / np.min(effective / work, axis=-1)
    assert utilisation.mean() == pytest.approx(0.825, abs=0.005)
    assert np.all((utilisation > 0.76) & (utilisation < 0.89))


def test_the_same_key_is_the_same_scenario(paper):
    turned = paper.draw(jax.random.split(jax.random.key(5), 60)[::-1])
    turned = jax.tree.map(lambda leaf: np.asarray(leaf)[::-1], turned)
    jax.tree.map(np.testing.assert_array_equal, turned, paper.draws)
    assert not np.array_equal(turned.demand[0], turned.demand[1])
    assert not np.array_equal(turned.arrived[0], turned.arrived[1])


def test_grouped_servers_are_sorted_and_remember_their_place(true_load, paper):
    """By cores, then memory; the place is the position before sorting."""
    draws = true_load.draws
    rank = draws.capacity[..., 0].astype(np.int64) * 10**6 + draws.capacity[..., 1]
    assert np.all(np.diff(rank, axis=1) >= 0)
    assert np.all(np.sort(draws.place, axis=1) == np.arange(10))
    assert np.any(draws.place != np.arange(10))
    assert np.all(paper.draws.place == np.arange(5))


def test_rows_wrap_around(paper):
    scenario = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), paper.draws)
    scenario = replace(scenario, demand=scenario.demand[:10], duration=scenario.duration[:10])
    assert scenario.rows(jnp.arange(10)).tolist() == list(range(10))
    turned = replace(scenario, offset=jnp.int32(8))
    assert turned.rows(jnp.array([0, 1, 2, 9])).tolist() == [8, 9, 0, 7]


class TestSizes:
    """Scenarios that draw how many servers they have."""

    config = cloud.Config(servers=12, fewest=4, horizon=30, arrivals=20)

    @pytest.fixture(scope="class")
    def played(self):
        """States, observations and rewards of Best-Fit in forty scenarios."""
        domain = cloud.make(self.config)

        def episode(key):
            state, observation = domain.env.reset(key)

            def tick(carry, key):
                state, observation = carry
                action = domain.rules["best-fit"](state, observation, key)
                after, step = domain.env.step(key, state, action)
                return (after, step.observation), (state, observation, action, step.reward)

            return jax.lax.scan(tick, (state, observation), jax.random.split(key, 30))[1]

        keys = jax.random.split(jax.random.key(2), 40)
        return jax.tree.map(np.asarray, jax.jit(jax.vmap(episode))(keys))

    def test_every_size_between_comes(self, played):
        sizes = played[0].scenario.size[:, 0]
        assert set(sizes) == set(range(4, 13))

    def test_those_who_are_absent_are_never_seen_nor_used(self, played):
        state, observation, action, _ = played
        size = state.scenario.size[..., None]
        absent = np.arange(12) >= size
        np.testing.assert_array_equal(observation.world.present, ~absent)
        np.testing.assert_array_equal(observation.mask[..., 0, :], ~absent)
        assert state.servers.running[absent].sum() == 0
        assert state.servers.waiting[absent].sum() == 0
        assert (action < size)[observation.active].all()

    def test_arrivals_and_agents_are_in_proportion(self, played):
        state, observation, *_ = played
        size = state.scenario.size[:, 0]
        arrived = state.scenario.arrived[:, 0, -1]
        assert 0.5 < (arrived / size).mean() / (0.825 * 20) < 1.5
        assert np.corrcoef(arrived, size)[0, 1] > 0.8
        assert (observation.active.sum(-1) <= size[:, None]).all()
        assert (observation.active.sum(-1) == size[:, None]).any()

    def test_a_scenario_is_worth_what_one_of_its_size_is(self, played):
        """Rewards are per server and do not grow with the room for more of them."""
        size, reward = played[0].scenario.size[:, 0], played[3].mean(-1)
        assert abs(np.corrcoef(size, reward)[0, 1]) < 0.6
        assert reward.min() > -100


def test_groups_of_drawn_sizes_are_whole():
    workload = cloud.make(
        cloud.Config(servers=12, fewest=4, clusters=4, horizon=10, arrivals=5)
    ).env.workload
    drawn = jax.jit(jax.vmap(workload.draw))(jax.random.split(jax.random.key(0), 40))
    assert set(np.asarray(drawn.size).tolist()) == {6, 9, 12}
    assert bool(jnp.all(jnp.any(drawn.capacity > 0, -1).sum(-1) == drawn.size))
