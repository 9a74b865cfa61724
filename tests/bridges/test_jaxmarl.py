from typing import get_args, get_type_hints

import jax
import jax.numpy as jnp
import numpy as np
import pytest

pytest.importorskip("jaxmarl", reason="needs the extra jaxmarl")

import jaxmarl as foreign
from jaxmarl.environments.smax import map_name_to_scenario
from jaxmarl.environments.smax.smax_env import MAP_NAME_TO_SCENARIO

from descant.bridges.jaxmarl import by_name, call, named, padded, rows
from descant.domains import particle
from descant.domains.jaxmarl import Config
from descant.domains.particle.world import State
from descant.evaluate.episodes import scenario_keys, score
from descant.ops.rules import anything_legal
from descant.testing.contracts import check_domain

SPREAD = "MPE_simple_spread_v3"
LISTENER = "MPE_simple_speaker_listener_v4"


@pytest.mark.parametrize("name", [LISTENER, "SMAX"])
def test_contract(name):
    check_domain(named(name), ticks=4)


def test_contract_where_actions_are_continuous():
    check_domain(named(LISTENER, continuous=True), ticks=4)


def random_actions(key, observation):
    return anything_legal(None, observation, key)


def bridged(env, key, ticks):
    """An episode under random legal actions: what was seen first, actions, steps."""
    reset_key, run_key = jax.random.split(key)

    def tick(carry, key):
        state, seen = carry
        act_key, step_key = jax.random.split(key)
        action = random_actions(act_key, seen)
        # As the foreign `step` splits the key that it is given.
        after, step = env.step(jax.random.split(step_key)[0], state, action)
        return (after, step.observation), (action, step)

    start = env.reset(reset_key)
    return start[1], *jax.lax.scan(tick, start, jax.random.split(run_key, ticks))[1]


def direct(env, key, actions):
    """The same actions through the foreign `step`, up to the tick at which it starts anew."""
    reset_key, run_key = jax.random.split(key)

    def tick(state, given):
        key, action = given
        said = by_name(action, env.agents)
        seen, state, reward, done, _ = call(env.step, jax.random.split(key)[1], state, said)
        mask = rows(call(env.get_avail_actions, state), env.agents)
        return state, (seen, rows(reward, env.agents), done, mask)

    first, state = call(env.reset, reset_key)
    keys = jax.random.split(run_key, actions.shape[0])
    return first, jax.lax.scan(tick, state, (keys, actions))[1]


def test_spread_is_jaxmarl_s_to_the_bit():
    """Both as JaxMARL compiles them; within another program the last bit may round otherwise."""
    env, theirs, key = named(SPREAD).env, foreign.make(SPREAD), jax.random.key(4)
    (state, seen), (views, inner) = env.reset(key), call(theirs.reset, key)
    chance = np.random.default_rng(4)
    assert env.spec.horizon == 26
    for tick in range(26):
        np.testing.assert_array_equal(seen.local, rows(views, theirs.agents))
        action = jnp.asarray(chance.integers(0, 5, 3))
        key, now = jax.random.split(key)
        state, step = env.step(now, state, action)
        seen, said = step.observation, by_name(action, theirs.agents)
        views, inner, reward, done, _ = call(theirs.step_env, now, inner, said)
        np.testing.assert_array_equal(step.reward, sum(reward.values()))
        assert bool(step.truncated) == bool(done["__all__"]) == (tick == 25)
        assert not step.terminated


@pytest.fixture(scope="module")
def battles():
    """The bridge on 3m, and 12 battles under random legal actions."""
    env = named("SMAX", horizon=40).env
    keys = jax.random.split(jax.random.key(1), 12)
    return env, keys, jax.jit(jax.vmap(lambda key: bridged(env, key, 40)))(keys)


def test_smax_is_jaxmarl_s_to_the_bit(battles):
    _, keys, (first, actions, steps) = battles
    theirs = foreign.make("HeuristicEnemySMAX", scenario=map_name_to_scenario("3m"), max_steps=40)
    seen, (then, reward, done, mask) = jax.jit(jax.vmap(lambda k, a: direct(theirs, k, a)))(
        keys, actions
    )
    np.testing.assert_array_equal(first.world.globals, seen["world_state"])
    for i in range(12):
        end = int(np.argmax(done["__all__"][i]))
        until = slice(0, end + 1)
        np.testing.assert_array_equal(steps.reward[i, until], reward[i, until, 0])
        over = steps.terminated | steps.truncated
        np.testing.assert_array_equal(over[i, until], done["__all__"][i, until])
        np.testing.assert_array_equal(
            steps.observation.world.globals[i, :end], then["world_state"][i, :end]
        )
        np.testing.assert_array_equal(steps.observation.mask[i, :end], mask[i, :end])
        for j, agent in enumerate(theirs.agents):
            np.testing.assert_array_equal(steps.observation.local[i, :end, j], then[agent][i, :end])
            np.testing.assert_array_equal(
                steps.observation.active[i, until, j], ~done[agent][i, until]
            )


def test_dead_units_rest_and_the_end_says_how_it_came(battles):
    env, _, (_, _, steps) = battles
    stop = env.inner.num_movement_actions - 1
    active = np.asarray(steps.observation.active)
    assert not active.all()
    mask = np.asarray(steps.observation.mask)
    assert (mask[~active] == (np.arange(env.spec.actions) == stop)).all()
    ours, theirs = (np.asarray(steps.diagnostics[name]) for name in ("ours", "theirs"))
    np.testing.assert_allclose(active.mean(axis=-1), ours, rtol=1e-6)
    np.testing.assert_array_equal(steps.terminated, (ours == 0) | (theirs == 0))
    np.testing.assert_array_equal(steps.diagnostics["won"], (ours > 0) & (theirs == 0))
    assert not (steps.terminated & steps.truncated).any()
    assert steps.terminated.any()


def test_the_script_wins_where_chance_does_not():
    """The share of battles won is what an evaluation says, whatever their lengths."""
    domain, keys = named("SMAX"), scenario_keys("held-out", 0, 24)
    won = {}
    for name, rule in domain.rules.items():
        scores = jax.jit(lambda keys, rule=rule: score(domain, rule, keys))(keys)
        assert set(np.unique(scores.diagnostics["won"])) <= {0.0, 1.0}
        # A battle won pays 1 for all that is shot, and 1 more.
        wins = np.asarray(scores.diagnostics["won"]) == 1
        np.testing.assert_allclose(scores.reward[wins] * 100, 2.0, rtol=1e-4)
        assert (np.asarray(scores.reward)[~wins] * 100 < 1.01).all()
        won[name] = wins.mean()
    assert won["random"] < 0.1
    assert won["scripted"] > 0.2


def test_a_corner_of_the_cube_is_a_choice():
    env, smooth = named(SPREAD).env, named(SPREAD, continuous=True).env
    state, _ = env.reset(jax.random.key(0))
    assert smooth.spec.continuous
    for action in (jnp.array([0, 1, 2]), jnp.array([3, 4, 4])):
        _, step = env.step(jax.random.key(1), state, action)
        _, same = smooth.step(jax.random.key(1), state, 2 * jnp.eye(5)[action] - 1)
        np.testing.assert_allclose(same.observation.local, step.observation.local, atol=1e-6)


def test_shorter_views_and_choices_are_filled_up():
    env = named(LISTENER).env
    assert (env.spec.agents, env.spec.actions, env.spec.local) == (2, 5, 11)
    assert env.spec.groups == (0, 1)
    _, seen = env.reset(jax.random.key(0))
    np.testing.assert_array_equal(seen.mask, [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])
    assert not seen.local[0, 3:].any()
    many = {"a": jnp.array([1.0]), "b": jnp.array([2.0, 3.0])}
    np.testing.assert_array_equal(padded(many, ["a", "b"], 2), [[1, 0], [2, 3]])


def test_the_native_spread_moves_and_pays_as_jaxmarl_s():
    """From the same places, under the same actions, tick by tick."""
    foreign_env, native = named(SPREAD).env, particle.make(particle.Config(horizon=26)).env

    def both(key):
        reset_key, act_key = jax.random.split(key)
        state, _ = foreign_env.reset(reset_key)
        places = state.p_pos
        ours = State(places[:3], jnp.zeros((3, 2)), places[3:], jnp.int32(0), jnp.bool_(False))

        def tick(carry, action):
            theirs, ours = carry
            theirs, there = foreign_env.step(key, theirs, action)
            ours, here = native.step(key, ours, action)
            return (theirs, ours), (there.reward, here.reward, theirs.p_pos[:3], ours.position)

        actions = jax.random.randint(act_key, (26, 3), 0, 5)
        return jax.lax.scan(tick, (state, ours), actions)[1]

    keys = jax.random.split(jax.random.key(2), 32)
    there, here, positions, places = jax.jit(jax.vmap(both))(keys)
    np.testing.assert_allclose(places, positions, atol=1e-4)
    # A touch is a step in the reward; rounding may see it a tick apart.
    assert np.mean(np.abs(there - here) > 1e-3) < 0.005


def test_the_native_spread_is_worth_as_much_under_random_play():
    keys = scenario_keys("held-out", 5, 400)
    worlds = named(SPREAD, horizon=25), particle.make(particle.Config())
    found = [
        np.asarray(jax.jit(lambda keys, w=world: score(w, w.rules["random"], keys))(keys).reward)
        for world in worlds
    ]
    returns = [25 * reward.mean() for reward in found]
    error = 25 * np.sqrt(sum(reward.var() / len(reward) for reward in found))
    assert abs(returns[0] - returns[1]) < 3.5 * error, (returns, error)
    assert error < 3


def test_names_are_jaxmarl_s():
    hints = get_type_hints(Config)
    assert set(get_args(hints["map"])) == set(MAP_NAME_TO_SCENARIO)
    assert set(get_args(hints["env"])) <= set(foreign.registered_envs)


def test_sizes_by_flags():
    spec = named(SPREAD, agents=5, horizon=10).env.spec
    assert (spec.agents, spec.horizon, spec.local) == (5, 10, 4 + 10 + 16)
    spec = named("SMAX", map_name="5m_vs_6m").env.spec
    assert (spec.agents, spec.actions, spec.horizon) == (5, 11, 100)
    assert spec.outcomes == ("won",)
