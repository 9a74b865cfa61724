"""The environment against the plain-Python oracle, tick by tick, and what must always hold."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from given import JOBS, Tick, member, play, play_all, play_one, scenario_of, stack, world

from descant.domains import cloud
from descant.domains.cloud.env import dominant
from descant.ops.ordering import best_listed

GOLDEN = json.loads(
    (Path(__file__).parents[2] / "golden" / "cloud_small.json").read_text(encoding="utf-8")
)
TICKS = 60
INTEGERS = ("running", "queued", "waiting")


@dataclass(frozen=True)
class Setting:
    """Sizes that share one compiled program."""

    servers: int
    groups: int
    agents: int
    scale: oracle.Scale
    golden: str = ""
    longest: int = 215
    """Short of the horizon, the ring of completions turns over within an episode."""


SETTINGS = {
    "every server its own group": Setting(4, 4, 4, "cores", "every server its own group"),
    "groups of two": Setting(6, 3, 6, "total", "groups of two"),
    "groups of four": Setting(8, 2, 12, "cores", longest=30),
}


@dataclass(frozen=True)
class Case:
    drawn: oracle.Scenario
    actions: np.ndarray
    """[T, N]; idle agents' included."""


@dataclass(frozen=True)
class Played:
    case: Case
    ticks: Tick
    last: dict


def cases(setting: Setting, rng: np.random.Generator) -> dict[str, Case]:
    def drawn(**changes) -> oracle.Scenario:
        scenario = oracle.tight(rng, setting.servers, setting.groups)
        if setting.longest < TICKS:
            changes["duration"] = np.minimum(scenario.duration, 20)
        return replace(scenario, agents=setting.agents, reward_scale=setting.scale, **changes)

    def drawn_large() -> oracle.Scenario:
        """Machines a sixteenth of their size, jobs as they are: many fit nowhere, the first too."""
        demand, duration = oracle.workload(rng, JOBS)
        scenario = drawn()
        demand[0] = 2 * scenario.capacity.max(axis=0)
        duration = np.minimum(duration, scenario.duration.max())
        return replace(scenario, capacity=scenario.capacity // 2, demand=demand, duration=duration)

    def chance() -> np.ndarray:
        return rng.integers(setting.groups, size=(TICKS, setting.agents))

    usual, actions = drawn(), chance()
    # One queue is long, with job 0 at its head, before another has begun.
    one_queue_first = np.where(np.arange(TICKS)[:, None] < 5, 0, chance())
    few = replace(usual, arrivals=usual.arrivals // 4)
    result = {
        "random play": Case(usual, actions),
        "a list in random order": Case(drawn(place=rng.permutation(setting.servers)), chance()),
        "jobs that fit nowhere": Case(drawn_large(), one_queue_first),
        "everything to one server": Case(drawn(), np.zeros_like(actions)),
        "few jobs": Case(few, actions),
        "few jobs, idle agents do otherwise": Case(few, np.where(busy(few), actions, chance())),
    }
    if setting.golden:
        inputs = GOLDEN[setting.golden]["inputs"]
        arrays = {name: np.array(x) if isinstance(x, list) else x for name, x in inputs.items()}
        given = np.zeros_like(actions)
        for tick, chosen in enumerate(GOLDEN[setting.golden]["actions"]):
            given[tick, : len(chosen)] = chosen
        result["golden"] = Case(oracle.Scenario(**arrays), given)
    else:
        demand, duration = oracle.workload(rng, 2 * JOBS)
        duration = np.minimum(duration, 20)
        flood = replace(usual, arrivals=3 * usual.arrivals, demand=demand, duration=duration)
        result["more jobs than the table holds"] = Case(flood, actions)
    return result


def busy(drawn: oracle.Scenario) -> np.ndarray:
    """[T, N]: which agents hold a job, whatever anybody does."""
    buffered, counts = 0, []
    for arrivals in drawn.arrivals:
        counts.append(min(drawn.agents, buffered + arrivals))
        buffered += arrivals - counts[-1]
    return np.arange(drawn.agents) < np.array(counts)[:, None]


@pytest.fixture(scope="module")
def env_of():
    """Environments by setting; one object each, so that programs are shared."""
    kept = {}

    def get(name: str):
        if name not in kept:
            setting = SETTINGS[name]
            drawn = cases(setting, np.random.default_rng(0))["random play"].drawn
            kept[name] = world(drawn, longest=setting.longest)[0]
        return kept[name]

    return get


@pytest.fixture(scope="module", params=list(SETTINGS))
def played(request, env_of) -> dict[str, Played]:
    """All cases of a setting, played side by side."""
    chosen = cases(SETTINGS[request.param], np.random.default_rng(20))
    actions = jnp.asarray(np.stack([case.actions for case in chosen.values()]))
    scenarios = stack([scenario_of(case.drawn) for case in chosen.values()])
    out = play_all(env_of(request.param), scenarios, actions)
    return {
        name: Played(case, *member(out, index)) for index, (name, case) in enumerate(chosen.items())
    }


def local_queue(seen: dict, tick: int, server: int) -> list[int]:
    """Follow the links from the head of a local queue."""
    jobs, job = [], int(seen["head"][tick, server])
    for _ in range(seen["waiting"][tick, server]):
        jobs.append(job)
        job = int(seen["behind"][tick, job])
    return jobs


def assert_like_oracle(drawn: oracle.Scenario, actions, ticks: Tick) -> None:
    truth = drawn.oracle()
    for tick in range(len(drawn.arrivals)):
        observed = truth.observe()
        expected = {
            "running": observed["running"],
            "queued": observed["queued"],
            "waiting": observed["queue"],
            "total_buffered": observed["buffer"],
            "total_queued": truth.queued,
            "total_running": truth.running,
            "total_arrived": truth.arrived,
            "total_finished": truth.finished,
            "total_beyond": 0,
        }
        for name, value in expected.items():
            np.testing.assert_array_equal(ticks.seen[name][tick], value, f"{name} at tick {tick}")
        queues = [local_queue(ticks.seen, tick, m) for m in truth.cluster.servers]
        assert queues == truth.cluster.queues, f"tick {tick}"
        assert ticks.active[tick].sum() == len(observed["jobs"]), f"tick {tick}"
        reward, info = truth.step(actions[tick])
        truth.check()
        for name, key in zip(INTEGERS, ("running", "queued", "queue"), strict=True):
            placed = ticks.placed[name][tick]
            np.testing.assert_array_equal(
                placed, info[key], f"{name} after tick {tick}'s placement"
            )
        assert ticks.placed["total_buffered"][tick] == info["buffer"], f"tick {tick}"
        assert ticks.reward[tick] == pytest.approx(reward, rel=2e-6, abs=1e-5), f"tick {tick}"
        diagnostics = {name: series[tick] for name, series in ticks.diagnostics.items()}
        assert diagnostics["queue"] == pytest.approx(info["waiting"], rel=1e-6)
        assert diagnostics["energy"] == pytest.approx(20 * info["energy"], rel=2e-6)
        assert diagnostics["buffered"] == info["buffer"]


LIKE_ORACLE = (
    "random play",
    "a list in random order",
    "jobs that fit nowhere",
    "everything to one server",
    "few jobs",
)


@pytest.mark.parametrize("name", LIKE_ORACLE)
def test_every_tick_is_the_oracles(played, name):
    one = played[name]
    assert_like_oracle(one.case.drawn, one.case.actions, one.ticks)


def test_the_cases_are_hard(played):
    """Long queues, blocked ones, and agents with and without a job all occur."""
    waiting = played["everything to one server"].ticks.seen["waiting"]
    assert waiting.max() > 20
    nowhere = played["jobs that fit nowhere"]
    drawn = nowhere.case.drawn
    too_large = np.any(drawn.demand > drawn.capacity.max(axis=0), axis=-1)
    assert too_large[: drawn.arrivals.sum()].any()
    assert nowhere.last["waiting"].sum() > 0
    active = played["few jobs"].ticks.active
    assert active.any() and not active.all(axis=-1).any()


def test_golden_episode(played):
    if "golden" not in played:
        pytest.skip("no golden episode with these sizes")
    one = played["golden"]
    case = next(
        case
        for case in GOLDEN.values()
        if len(case["inputs"]["capacity"]) == len(one.last["waiting"])
    )
    outcome, placed = case["outcome"], one.ticks.placed
    np.testing.assert_allclose(one.ticks.reward, outcome["reward"], rtol=2e-6, atol=1e-5)
    np.testing.assert_array_equal(placed["total_buffered"], outcome["buffer"])
    np.testing.assert_array_equal(placed["waiting"], outcome["queue"])
    np.testing.assert_array_equal(placed["running"], outcome["running"])
    np.testing.assert_array_equal(placed["total_finished"], outcome["finished"])
    assert_like_oracle(one.case.drawn, one.case.actions, one.ticks)


def test_every_job_is_somewhere(played):
    for name, one in played.items():
        last = jax.tree.map(lambda leaf: leaf[None], one.last)
        for state in (one.ticks.seen, one.ticks.placed, last):
            parts = [state[f"total_{k}"] for k in ("buffered", "queued", "running", "finished")]
            np.testing.assert_array_equal(state["total_arrived"], sum(parts), name)
            assert all(np.all(part >= 0) for part in parts), name
            assert np.all(state["waiting"] >= 0) and np.all(state["jobs"] >= 0), name


def test_nothing_is_used_twice(played):
    """Free capacity is never negative, and no load is left where nobody is."""
    for name, one in played.items():
        for state in (one.ticks.seen, one.ticks.placed):
            assert np.all(state["running"] >= 0), name
            assert np.all(state["running"] <= one.case.drawn.capacity), name
            assert np.all(state["queued"] >= 0), name
            assert np.all(state["running"][state["jobs"] == 0] == 0), name
            assert np.all(state["queued"][state["waiting"] == 0] == 0), name


def test_committed_load_is_a_recount(played):
    """Kept by increments, it equals the sum over the jobs that the oracle finds at each server."""
    one = played["random play"]
    truth, seen = one.case.drawn.oracle(), one.ticks.seen
    for tick in range(TICKS):
        recount = np.zeros_like(one.case.drawn.capacity)
        for _, server, job in truth.service:
            recount[server] += one.case.drawn.demand[job]
        for server, queue in enumerate(truth.cluster.queues):
            recount[server] += one.case.drawn.demand[queue].sum(axis=0)
        np.testing.assert_array_equal(seen["running"][tick] + seen["queued"][tick], recount)
        truth.step(one.case.actions[tick])


def test_surplus_jobs_are_counted(played):
    name = "more jobs than the table holds"
    if name not in played:
        pytest.skip("played in another setting")
    one = played[name]
    arrived = np.cumsum(one.case.drawn.arrivals)
    surplus = np.maximum(0, arrived - JOBS)
    assert surplus[-1] > 300
    np.testing.assert_array_equal(one.ticks.placed["total_beyond"], surplus)
    np.testing.assert_array_equal(one.ticks.diagnostics["beyond"], surplus)
    assert np.all(one.ticks.diagnostics["buffered"] >= surplus)
    assert one.last["total_buffered"] == surplus[-1]
    cost = one.ticks.diagnostics["queue"][-1]
    assert cost * len(one.last["waiting"]) >= surplus[-1]


def test_idle_agents_change_nothing(played):
    one, other = played["few jobs"], played["few jobs, idle agents do otherwise"]
    differs = one.case.actions != other.case.actions
    assert differs.any()
    assert not np.any(differs & one.ticks.active)
    jax.tree.map(np.testing.assert_array_equal, one.ticks, other.ticks)


def test_an_episode_ends_by_truncation_at_the_horizon(played):
    truncated = played["random play"].ticks.truncated
    assert truncated.tolist() == [False] * (TICKS - 1) + [True]


def test_alone_or_side_by_side_is_the_same(env_of):
    """Pure: the same call twice, and as one of several, gives the same bits."""
    name = "groups of four"
    chosen = cases(SETTINGS[name], np.random.default_rng(20))
    env, case = env_of(name), chosen["jobs that fit nowhere"]
    index = list(chosen).index("jobs that fit nowhere")
    actions = jnp.asarray(np.stack([case.actions for case in chosen.values()]))
    scenarios = stack([scenario_of(case.drawn) for case in chosen.values()])
    together = member(play_all(env, scenarios, actions), index)
    alone = play_one(env, scenario_of(case.drawn), actions[index])
    again = play_one(env, scenario_of(case.drawn), actions[index])
    jax.tree.map(np.testing.assert_array_equal, alone, again)
    ticks, last = together
    jax.tree.map(np.testing.assert_array_equal, last, alone[1])
    jax.tree.map(np.testing.assert_array_equal, ticks.seen, alone[0].seen)
    np.testing.assert_allclose(ticks.reward, alone[0].reward, rtol=1e-6)


def test_the_domain_as_configured_is_the_oracles():
    """Drawn by the library, with its ring of completions and its room for jobs."""
    config = cloud.Config(servers=6, clusters=3, load="true", horizon=260, arrivals=200)
    env = cloud.make(config).env
    actions = np.random.default_rng(5).integers(3, size=(260, env.spec.agents))

    @jax.jit
    def episode(key, actions):
        return env.reset(key)[0].scenario, play(env, key, actions)

    out = jax.tree.map(np.asarray, episode(jax.random.key(7), actions))
    scenario, (ticks, _) = out
    jobs = scenario.arrived[-1]
    drawn = oracle.Scenario(
        capacity=scenario.capacity,
        efficiency=scenario.efficiency[:, 0] / 1000,
        arrivals=np.diff(scenario.arrived, prepend=0),
        demand=scenario.demand[:jobs],
        duration=scenario.duration[:jobs],
        agents=env.spec.agents,
        clusters=3,
        reward_scale="cores",
        place=scenario.place,
    )
    assert_like_oracle(drawn, actions, ticks)


def test_an_action_beyond_the_groups_is_the_last_group():
    """It must not leave a job that no round can place."""
    env = cloud.make(cloud.Config(servers=2, horizon=4, arrivals=4, utilisation=(4.0, 4.0))).env
    state, observation = env.reset(jax.random.key(1))
    assert observation.active.any()
    place = jax.jit(env.place)
    beyond, last = (place(state, jnp.full((2,), action)).servers for action in (99, 1))
    jax.tree.map(np.testing.assert_array_equal, beyond, last)


def test_dominant_share_of_a_missing_resource():
    capacity = jnp.array([[4, 0], [4, 0], [4, 8]])
    load = jnp.array([[3, 0], [1, 1], [1, 6]])
    share = dominant(load, capacity)
    assert share[0] == 0.75
    assert share[1] > 1e5
    assert share[2] == 0.75


def test_equals_are_told_apart_by_the_list():
    score = jnp.array([[1.0, 2.0, 2.0, 0.0], [3.0, 3.0, 3.0, 3.0]])
    place = jnp.array([[0, 3, 1, 2], [2, 0, 3, 1]])
    assert best_listed(score, place).tolist() == [2, 1]
