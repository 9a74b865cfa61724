import sys
from importlib.util import find_spec
from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np
import pytest

pytest.importorskip("pettingzoo", reason="needs the extra pettingzoo")

from pettingzoo.test import parallel_api_test

from descant.bridges.football import Engine, Pitch
from descant.domains import football as domain
from descant.testing.contracts import check_domain
from toys import football

RIGHT, SHOT = football.RIGHT, football.SHOT


@pytest.fixture
def games(monkeypatch):
    """Games of the stand-in, as they are made."""
    found = football.module()
    monkeypatch.setitem(sys.modules, "gfootball", ModuleType("gfootball"))
    monkeypatch.setitem(sys.modules, "gfootball.env", found)
    return found.games


def pitch(players=3):
    return Pitch(Engine("academy_3_vs_1_with_keeper", players))


def play(env, seed, *choices):
    """What was seen first and what each tick gave, all players choosing alike."""
    first, _ = env.reset(seed=seed)
    return first, [env.step(dict.fromkeys(env.agents, choice)) for choice in choices]


def test_the_domain_holds_the_contract(games):
    check_domain(domain.make(domain.Config(horizon=14)), ticks=14)


def test_it_is_a_parallel_environment(games, capsys):
    parallel_api_test(pitch(), num_cycles=40)
    assert "Passed" in capsys.readouterr().out


def test_a_goal_terminates_and_counts(games):
    env = pitch()
    _, ticks = play(env, 0, RIGHT, RIGHT, SHOT)
    seen, rewards, ended, cut, infos = ticks[-1]
    assert {row.shape for row in seen.values()} == {(115,)}
    assert [*rewards.values()] == [1.0, 1.0, 1.0]
    assert (set(ended.values()), set(cut.values())) == ({True}, {False})
    assert [info["success"] for info in infos.values()] == [1.0] * 3
    assert env.agents == []
    np.testing.assert_allclose([*ticks[0][1].values()], [0.3, 0, 0], rtol=1e-6)


def test_a_goal_of_the_others_terminates_and_does_not(games):
    *_, (_, rewards, ended, _, infos) = play(pitch(), 0, SHOT)[1]
    assert (sum(rewards.values()), set(ended.values())) == (-3.0, {True})
    assert infos["player_0"]["success"] == 0


@pytest.mark.parametrize(("last", "late"), [(0, True), (SHOT, False)])
def test_the_clock_truncates_unless_the_last_tick_brings_a_goal(games, last, late):
    *_, (_, _, ended, cut, _) = play(pitch(), 0, *[0] * (football.LENGTH - 1), last)[1]
    assert (cut["player_0"], ended["player_0"]) == (late, not late)


def test_a_seed_names_the_game_whatever_was_played_before(games):
    used, orders = pitch(), set()
    for seed in range(6):
        (first, ticks), (again, others) = (play(env, seed, 0, RIGHT) for env in (used, pitch()))
        np.testing.assert_array_equal(first["player_1"], again["player_1"], err_msg=f"{seed}")
        np.testing.assert_array_equal(ticks[-1][0]["player_1"], others[-1][0]["player_1"])
        orders.add(float(first["player_0"][0]))
    assert orders == {0.0, 1.0}, "both orders of teams must come up here"


def test_without_a_seed_games_differ(games):
    env = pitch()
    one, other = (env.reset()[0]["player_0"] for _ in range(2))
    assert (one != other).any()


def test_a_player_alone_is_an_agent_like_others(games):
    seen, rewards, *_ = play(pitch(1), 0, RIGHT)[1][0]
    assert seen["player_0"].shape == (115,)
    assert rewards == {"player_0": pytest.approx(0.1)}


def test_the_team_gets_the_sum_and_success_is_the_outcome(games):
    env = domain.make(domain.Config(horizon=14)).env
    assert (env.spec.agents, env.spec.actions, env.spec.local) == (3, 19, 115)
    assert env.spec.outcomes == ("success",)

    def tick(state, action):
        return env.step(jax.random.key(0), state, action)

    state, _ = env.reset(jax.random.key(0))
    runs = jnp.full((4, 3), RIGHT).at[2].set(SHOT)
    _, steps = jax.jit(lambda s: jax.lax.scan(tick, s, runs))(state)
    np.testing.assert_allclose(steps.reward, [0.3, 0.3, 3, 0], rtol=1e-6)
    np.testing.assert_array_equal(steps.terminated[:3], [False, False, True])
    np.testing.assert_array_equal(steps.diagnostics["success"][:3], [0, 0, 1])


def interleaved(engine, seeds, ticks):
    """Games on one engine, a tick of each in turn, under random actions."""
    pitches = [Pitch(engine) for _ in seeds]
    chances = [np.random.default_rng(seed) for seed in seeds]
    found = [[env.reset(seed=seed)[0]] for env, seed in zip(pitches, seeds, strict=True)]
    for _ in range(ticks):
        for env, chance, views in zip(pitches, chances, found, strict=True):
            if env.agents:
                views.append(env.step({a: chance.integers(19) for a in env.agents})[0])
    return [np.array([[*view.values()] for view in views]) for views in found]


def check_games_do_not_meet(scenario, players, ticks):
    seeds = range(4)
    engine = Engine(scenario, players)
    together = interleaved(engine, seeds, ticks)
    for seed in seeds:
        for other in (engine, Engine(scenario, players)):
            (alone,) = interleaved(other, [seed], ticks)
            np.testing.assert_array_equal(alone, together[seed], err_msg=f"seed {seed}")
    assert len({views.tobytes() for views in together}) == len(seeds)


def test_games_of_one_engine_are_the_games_alone(games):
    check_games_do_not_meet("academy_3_vs_1_with_keeper", 3, 9)


def check_a_game_may_end_just_after_the_kick_off_of_another(scenario, players, ticks):
    engine = Engine(scenario, players)
    first, other = Pitch(engine), Pitch(engine)
    first.reset(seed=0)
    for _ in range(ticks):
        other.reset(seed=1)
        first.step(dict.fromkeys(first.agents, SHOT))
        if not first.agents:
            return
    pytest.fail("the game goes on")


def test_a_game_may_end_just_after_the_kick_off_of_another(games):
    check_a_game_may_end_just_after_the_kick_off_of_another("academy_corner", 3, 2)


@pytest.mark.parametrize("scenario", ["3_vs_1_with_keeper", "counterattack_hard"])
def test_so_they_are_on_the_real_engine(scenario):
    if find_spec("gfootball") is None:
        pytest.skip("needs gfootball, built from source")
    name = f"academy_{scenario}"
    check_games_do_not_meet(name, domain.PLAYERS[name], 25)
    check_a_game_may_end_just_after_the_kick_off_of_another(name, domain.PLAYERS[name], 400)
