from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from descant.core.errors import UserError
from descant.domains import cloud
from descant.domains.cloud.trace import Trace, save

JOBS = 60


@pytest.fixture(scope="module")
def trace(tmp_path_factory):
    """Eight nodes, four with GPUs, and sixty jobs a minute apart, with a lull of a week."""
    rng = np.random.default_rng(0)
    gpus = np.where(np.arange(8) < 4, 8_000, 0)
    time = 60.0 * np.arange(JOBS)
    time[30:] += 7 * 86_400
    found = Trace(
        resources=("cpu", "memory", "gpu"),
        units=("millicore", "MiB", "milli-GPU"),
        names=tuple(f"node-{i}" for i in range(8)),
        capacity=np.stack([np.full(8, 64_000), np.full(8, 262_144), gpus], -1).astype(np.int32),
        model=tuple("A" if g else "" for g in gpus),
        time=time,
        demand=np.stack(
            [
                rng.integers(1_000, 16_000, JOBS),
                rng.integers(2_000, 32_000, JOBS),
                np.where(np.arange(JOBS) % 3 == 0, 2_000, 0),
            ],
            -1,
        ).astype(np.int32),
        duration=rng.uniform(300, 3_000, JOBS).astype(np.float32),
        source={},
    )
    out = tmp_path_factory.mktemp("traces") / "small"
    save(found, out)
    return out


@pytest.fixture(scope="module")
def config(trace):
    return cloud.Config(
        trace=str(trace), servers=4, horizon=80, arrivals=80, utilisation=(0.9, 0.9)
    )


@pytest.fixture(scope="module")
def drawn(config):
    workload = cloud.make(config).env.workload
    return workload, jax.jit(jax.vmap(workload.draw))(jax.random.split(jax.random.key(0), 64))


def test_jobs_that_no_drawn_node_could_hold_are_passed_over(drawn):
    _, scenarios = drawn
    without = ~np.any(np.asarray(scenarios.capacity)[..., 2] > 0, axis=1)
    assert np.any(without) and not np.all(without)
    assert np.all(np.asarray(scenarios.demand)[without][..., 2] == 0)
    assert np.any(np.asarray(scenarios.demand)[~without][..., 2] > 0)


def test_jobs_come_in_the_order_of_the_trace(drawn, trace):
    workload, scenarios = drawn
    rows = {tuple(row): i for i, row in enumerate(np.asarray(workload.demand).tolist())}
    for demand in np.asarray(scenarios.demand)[:8]:
        order = [rows[tuple(row)] for row in demand.tolist()]
        wraps = np.sum(np.diff(order) < 0)
        assert wraps <= len(order) / (JOBS / 3) + 1


def test_the_tightest_resource_is_as_full_as_asked_when_arrivals_end(drawn, config):
    """By Little's law: jobs times their mean stay, at most the window, over what the nodes hold."""
    workload, scenarios = drawn
    taken = np.asarray(scenarios.arrived)[:, -1]
    stay = np.minimum(np.asarray(workload.duration), config.arrivals)
    for capacity, count in zip(np.asarray(scenarios.capacity), taken, strict=True):
        possible = np.any(np.all(np.asarray(workload.demand)[:, None] <= capacity, -1), -1)
        work = (stay[possible, None] * np.asarray(workload.demand)[possible]).mean(axis=0)
        used = work > 0
        load = count / config.arrivals * work[used] / capacity.sum(axis=0)[used]
        assert load.max() == pytest.approx(0.9, abs=0.03)


def test_arrivals_start_at_once_spread_out_and_nothing_is_beyond(drawn):
    workload, scenarios = drawn
    arrived = np.asarray(scenarios.arrived)
    assert np.all(np.diff(arrived, axis=1) >= 0)
    assert np.all(arrived[:, 0] >= 1)
    assert np.all(arrived[:, -1] <= workload.jobs)
    # A week without jobs counts as a hundred gaps at most, so it never takes the whole window.
    assert np.all(arrived[:, -1] > arrived[:, 5])


def test_surplus_jobs_are_counted_and_not_dropped(drawn):
    workload, scenarios = drawn
    tight = replace(workload, jobs=10)
    few = jax.jit(lambda key: tight.draw(key))(jax.random.split(jax.random.key(0), 64)[0])
    assert int(few.arrived[-1]) == int(scenarios.arrived[0, -1]) > 10
    assert few.duration.shape == (10,)


def test_jobs_only_go_where_they_could_run(config):
    domain = cloud.make(config)
    env = domain.env
    state, observation = jax.jit(lambda key: env.reset(key))(jax.random.key(1))
    capacity, demand = state.scenario.capacity, env.hand(state).demand
    possible = jnp.all(demand[:, None] <= capacity[None], axis=-1)
    active = np.asarray(observation.active)
    np.testing.assert_array_equal(observation.mask[active], possible[active])


def test_energy_is_left_out_unless_asked_for(config):
    assert cloud.make(config).env.energy_weight == 0
    assert cloud.make(replace(config, energy_weight=2.0)).env.energy_weight == 2


def test_a_trace_is_found_from_any_folder(trace, tmp_path, monkeypatch):
    monkeypatch.chdir(trace.parent)
    config = cloud.Config(trace="small")
    monkeypatch.chdir(tmp_path)
    assert config.trace == str(trace)


def test_what_is_no_trace_is_refused(tmp_path):
    with pytest.raises(UserError, match="trace"):
        cloud.make(cloud.Config(trace=str(tmp_path)))
