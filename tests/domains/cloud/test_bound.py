"""No schedule that the simulator can produce costs less than the bound says."""

import itertools
from dataclasses import replace

import jax
import numpy as np
import oracle
import pytest
from given import world

from descant.domains import cloud
from descant.domains.cloud import bound as module
from descant.domains.cloud.bound import Fluid, ascend, cost, dispatched, limit, pour
from descant.domains.cloud.trace import Trace, save
from descant.evaluate.episodes import scenario_keys, score_rules

KEY = jax.random.key(0)
TINY = 1e-9


def fluid_of(drawn: oracle.Scenario, energy_weight: float = 20.0) -> Fluid:
    env, _ = world(drawn)
    return pour(replace(env, energy_weight=energy_weight), env.workload.draw(KEY))


def small(servers, jobs, arrivals, agents=4, efficiency=None) -> oracle.Scenario:
    """Servers in cores and GB; the last entry of a job is its duration."""
    units = np.array(oracle.NATURAL[:2])
    return oracle.Scenario(
        capacity=np.array(servers) * units,
        efficiency=np.array(efficiency or [1.0] * len(servers)),
        arrivals=np.array(arrivals),
        demand=np.rint(np.array([job[:2] for job in jobs]).reshape(-1, 2) * units).astype(int),
        duration=np.array([job[2] for job in jobs], dtype=float),
        agents=agents,
        clusters=len(servers),
        reward_scale="cores",
    )


def drawn_cases() -> dict[str, tuple[oracle.Scenario, float]]:
    """Scenarios with their energy weights. In sixty ticks the paper's weight makes leaving jobs
    undone the cheapest by far, so most have less."""
    rng = np.random.default_rng(3)
    crowded = oracle.scenario(rng, 4, 0.9, load="true", arrival_ticks=40, drain_ticks=20)
    return {
        "queues that block": (oracle.tight(rng, 4, 4), 0.0),
        "groups": (oracle.tight(rng, 6, 3), 0.5),
        "full to the end": (oracle.scenario(rng, 3, 0.8, arrival_ticks=60, drain_ticks=0), 2.0),
        "the paper's weight": (
            oracle.scenario(rng, 5, 0.8, arrival_ticks=30, drain_ticks=90),
            20.0,
        ),
        "true load": (crowded, 5.0),
        "too large for some": (replace(crowded, capacity=crowded.capacity // 8), 0.0),
    }


CASES = drawn_cases()


@pytest.fixture(scope="module")
def rewards() -> dict[str, dict[str, float]]:
    """Mean reward of every rule in every case, by the oracle."""

    def play(drawn, weight, rule):
        played = oracle.Oracle(**vars(drawn), energy_weight=weight)
        return oracle.episode(played, rule, np.random.default_rng(0))

    return {
        name: {rule: play(*case, rule) for rule in oracle.RULES} for name, case in CASES.items()
    }


@pytest.mark.parametrize("name", CASES)
def test_no_rule_beats_it(name, rewards):
    assert max(rewards[name].values()) <= limit(fluid_of(*CASES[name])) < 0, rewards[name]


@pytest.mark.parametrize("name", ["groups", "true load"])
@pytest.mark.parametrize("scale", [1e-4, 1e-2, 1.0])
def test_any_prices_make_a_bound(name, scale, rewards):
    fluid = fluid_of(*CASES[name])
    rng = np.random.default_rng(1)
    least = -max(rewards[name].values()) * fluid.horizon
    for _ in range(5):
        shape = (*fluid.capacity.shape, len(fluid.edges) - 1)
        prices = scale * rng.exponential(size=shape) * (rng.random(shape) < 0.5)
        assert cost(fluid, prices) <= least + TINY


@pytest.mark.parametrize("seed", range(12))
def test_the_best_of_all_schedules_does_not_beat_it(seed):
    rng = np.random.default_rng(seed)
    jobs = [(*rng.integers(1, 4, 2), rng.integers(1, 5)) for _ in range(5)]
    drawn = small([(3, 4), (4, 3)], jobs, [3, 1, 1, 0, 0, 0, 0], 2, [0.8, 1.05])
    weight = float(rng.choice([0.0, 0.5, 5.0]))
    rewards = []
    for plan in itertools.product(range(2), repeat=len(jobs)):
        left, played = list(plan), replaced(drawn, weight)
        rewards.append(0.0)
        while not played.done:
            count = len(played.at_hand())
            rewards[-1] += played.step(left[:count])[0] / len(drawn.arrivals)
            left = left[count:]
    assert max(rewards) <= limit(fluid_of(drawn, weight)), seed


def replaced(drawn: oracle.Scenario, weight: float) -> oracle.Oracle:
    return oracle.Oracle(**vars(drawn), energy_weight=weight)


def test_two_jobs_and_room_for_one():
    """The second waits for two ticks: one unit of price on both makes every choice cost two."""
    drawn = small([(1, 1)], [(1, 1, 2), (1, 1, 2)], [2, 0, 0, 0, 0])
    fluid = fluid_of(drawn, energy_weight=0.0)
    prices = np.zeros((1, 2, 5))
    prices[0, 0, :2] = 1
    assert cost(fluid, prices) == 2
    assert cost(fluid, np.zeros_like(prices)) == 0
    assert -limit(fluid_of(drawn, energy_weight=0.0)) * 5 == pytest.approx(2, rel=0.05)


def test_energy_is_that_of_the_best_kind_and_stays_are_rounded_up():
    # 5 / 0.98 = 5.1 takes 6 ticks; 7 / 1.08 = 6.5 takes 7. 40 cores in all.
    drawn = small([(30, 99), (10, 99)], [(2, 3, 5)], [1, *[0] * 199], 1, [0.98, 0.70])
    assert cost(fluid_of(drawn), np.zeros((2, 2, 200))) == pytest.approx(20 * 5 / 40 / 0.98 * 6)


def test_the_buffer_is_no_choice():
    """One agent places three jobs in three ticks, so two wait in the first and one in the next."""
    drawn = small([(9, 9), (9, 9)], [(1, 1, 1)] * 3, [3, 0, 0, 0], 1)
    assert limit(fluid_of(drawn, energy_weight=0.0)) == pytest.approx(-(2 + 1) / 2 / 4, rel=1e-4)


def test_a_job_that_fits_nowhere_waits_to_the_end():
    drawn = small([(2, 2), (3, 1)], [(3, 2, 1)], [0, 1, 0, 0, 0])
    assert limit(fluid_of(drawn, energy_weight=0.0)) == pytest.approx(-4 / 2 / 5, rel=1e-4)


def test_no_jobs_cost_nothing():
    drawn = small([(2, 2)], [], [0, 0, 0])
    assert limit(fluid_of(drawn)) == 0


def test_jobs_without_a_row_stay_in_the_buffer():
    """As in the simulator, where they are never dispatched."""
    arrived = np.array([2, 7, 7, 7])
    assert dispatched(arrived, 4, 3).tolist() == [2, 4, 4, 4]


def test_dispatch_is_the_recursion():
    rng = np.random.default_rng(0)
    for agents in (1, 3, 5):
        arrived = np.cumsum(rng.poisson(3, 50))
        left = [0]
        for total in arrived:
            left.append(min(left[-1] + agents, total))
        assert dispatched(arrived, 10**6, agents).tolist() == left[1:]


def test_few_starts_are_as_good_as_all(monkeypatch):
    """Trying edges only, and stopping early, finds each job's cheapest choice among all ticks."""
    monkeypatch.setattr(module, "INTERVALS", 8)
    fluid = fluid_of(*CASES["true load"])
    assert np.any(np.diff(fluid.edges) != fluid.edges[1]), "the last interval should be shorter"
    rng = np.random.default_rng(2)
    prices = 0.2 * rng.exponential(size=(*fluid.capacity.shape, len(fluid.edges) - 1))
    per_tick = np.repeat(prices, np.diff(fluid.edges), axis=2) + fluid.energy[:, None, None]
    total = fluid.buffered - np.sum(
        np.repeat(prices, np.diff(fluid.edges), 2).sum(2) * fluid.capacity
    )
    delays = []
    for ready, demand, duration in zip(*fluid.jobs, strict=True):
        options = {fluid.horizon: fluid.wait * (fluid.horizon - ready)}
        for k, start in itertools.product(range(len(prices)), range(ready, fluid.horizon)):
            if np.any(demand > fluid.largest[k]):
                continue
            end = start + max(1, -(-int(duration) * 1000 // int(fluid.efficiency[k])))
            held = (demand / fluid.unit) @ per_tick[k, :, start:end].sum(axis=1)
            paid = fluid.wait * (start - ready) + held
            options[start] = min(options.get(start, np.inf), paid)
        delays.append(min(options, key=options.__getitem__) - ready)
        total += min(options.values())
    assert 0 < np.mean(np.array(delays) > 0) < 1
    assert cost(fluid, prices) == pytest.approx(total, rel=1e-12)


def test_in_pieces_it_is_the_same(monkeypatch):
    fluid = fluid_of(*CASES["true load"])
    prices = ascend(fluid)
    whole = cost(fluid, prices)
    monkeypatch.setattr(module, "CHUNK", 7)
    assert cost(fluid, prices) == pytest.approx(whole, rel=1e-12)


def test_prices_tighten_it():
    fluid = fluid_of(*CASES["queues that block"])
    prices = ascend(fluid)
    assert np.all(prices >= 0)
    assert cost(fluid, prices) > 1.1 * cost(fluid, np.zeros_like(prices))


def test_prices_from_samples_are_about_as_good(monkeypatch):
    fluid = fluid_of(*CASES["queues that block"])
    whole = cost(fluid, ascend(fluid))
    monkeypatch.setattr(module, "SAMPLE", len(fluid.jobs.ready) // 2)
    assert 0.8 * whole < cost(fluid, ascend(fluid)) < 1.02 * whole


@pytest.mark.parametrize("most", [1, 2])
def test_servers_that_are_lumped_together_only_offer_more(most, monkeypatch, rewards):
    name = "true load"
    apart = fluid_of(*CASES[name])
    monkeypatch.setattr(module, "MOST_KINDS", most)
    fluid = fluid_of(*CASES[name])
    assert len(fluid.capacity) == most < len(apart.capacity)
    np.testing.assert_allclose(fluid.capacity.sum(axis=0), apart.capacity.sum(axis=0))
    free = np.zeros((*fluid.capacity.shape, 60)), np.zeros((*apart.capacity.shape, 60))
    assert cost(fluid, free[0]) <= cost(apart, free[1])
    assert max(rewards[name].values()) <= limit(fluid_of(*CASES[name]))


@pytest.fixture(scope="module")
def trace(tmp_path_factory):
    """Six unlike nodes, two with GPUs, and forty jobs, one in four with a GPU."""
    rng = np.random.default_rng(0)
    gpus = np.where(np.arange(6) < 2, 4_000, 0)
    capacity = np.stack([rng.integers(16, 64, 6) * 1_000, rng.integers(32, 128, 6) * 1_024, gpus])
    gpu = np.where(np.arange(40) % 4 == 0, 1_000, 0)
    demand = np.stack([rng.integers(1, 8, 40) * 1_000, rng.integers(2, 24, 40) * 1_024, gpu])
    found = Trace(
        resources=("cpu", "memory", "gpu"),
        units=("millicore", "MiB", "milli-GPU"),
        names=tuple(f"node-{i}" for i in range(6)),
        capacity=capacity.T.astype(np.int32),
        model=("",) * 6,
        time=np.cumsum(rng.exponential(60, 40)) - 1,
        demand=demand.T.astype(np.int32),
        duration=rng.uniform(300, 2_400, 40).astype(np.float32),
        source={},
    )
    out = tmp_path_factory.mktemp("traces") / "small"
    save(found, out)
    return str(out)


@pytest.mark.parametrize("kind", ["slots in groups", "trace"])
def test_no_rule_of_the_library_beats_it(kind, trace):
    """What evaluation shows: scenarios as it draws them, rewards in float32."""
    config = {
        "slots in groups": cloud.Config(servers=6, clusters=3, horizon=60, arrivals=30),
        "trace": cloud.Config(
            servers=4, trace=trace, horizon=60, arrivals=60, utilisation=(1.4, 1.5)
        ),
    }[kind]
    domain = cloud.make(config)
    assert domain.bound is not None
    some = {name: domain.rules[name] for name in ("jsq", "best-fit", "tetris")}
    played = replace(domain, model=None, rules=some if config.trace else domain.rules)
    keys = scenario_keys("held-out", 1, 3)
    rewards = jax.jit(lambda keys: score_rules(played, keys).reward)(keys)
    for key, best in zip(keys, np.max(rewards, axis=0), strict=True):
        state, _ = domain.env.reset(jax.random.split(key)[0])
        assert best <= domain.bound(state) < 0
