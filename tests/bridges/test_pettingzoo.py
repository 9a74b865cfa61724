import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

pytest.importorskip("pettingzoo", reason="needs the extra pettingzoo")

from gymnasium import spaces
from pettingzoo.test import parallel_api_test
from pettingzoo.test.seed_test import parallel_seed_test

from builders import domain_or_skip
from descant.algorithms import mappo
from descant.bridges.host import Host
from descant.bridges.pettingzoo import Parallel, domain_of
from descant.core import discovery
from descant.core.errors import UserError
from descant.domains import particle
from descant.testing.contracts import check_algorithm, check_domain
from descant.train.collect import collect, open_worlds
from toys.pairs import Pair

MLP = mappo.Config(net="mlp", hidden=8, depth=1, embedding=2, minibatch=4)


@pytest.mark.parametrize("name", discovery.names("domains"))
def test_every_domain_passes_pettingzoo_s_own_test(name, capsys):
    domain = domain_or_skip(name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parallel_api_test(Parallel(domain), num_cycles=30)
    assert "Passed" in capsys.readouterr().out


@pytest.fixture(scope="module")
def out():
    return Parallel(particle.make(particle.Config(horizon=5)))


def test_a_seed_names_the_episode():
    domain = particle.make(particle.Config(horizon=5))
    parallel_seed_test(lambda: Parallel(domain), num_cycles=4)


def test_all_get_the_team_s_reward_and_the_same_end(out):
    seen, _ = out.reset(seed=1)
    assert out.state().shape == out.state_space.shape
    for tick in range(5):
        assert len(out.agents) == 3
        for agent in out.agents:
            assert out.observation_space(agent).contains(seen[agent])
        seen, reward, terminated, truncated, infos = out.step(dict.fromkeys(out.agents, 1))
        assert len({*reward.values()}) == 1
        assert set(truncated.values()) == {tick == 4}
        assert set(terminated.values()) == {False}
        assert infos["agent_0"]["active"]
        assert infos["agent_0"]["distance"] > 0
    assert out.agents == []


def test_a_step_out_of_place_is_refused(out):
    out.reset(seed=1)
    with pytest.raises(ValueError, match="agent_1: expected an action from 0 to 4, got 7"):
        out.step({"agent_0": 0, "agent_1": 7, "agent_2": 0})
    for _ in range(5):
        out.step(dict.fromkeys(out.agents, 0))
    for over in (out, Parallel(particle.make(particle.Config(horizon=5)))):
        with pytest.raises(RuntimeError, match="call reset"):
            over.step({})


def test_who_rests_is_told_and_may_choose_what_changes_nothing():
    out = Parallel(domain_or_skip("cloud"))
    seen, infos = out.reset(seed=0)
    active = [infos[agent]["active"] for agent in out.agents]
    assert not all(active)
    first = np.eye(out.action_space("agent_0").n)[0]
    resting = out.agents[active.index(False)]
    np.testing.assert_array_equal(seen[resting]["action_mask"], first)


@pytest.fixture(scope="module")
def pair():
    return domain_of(Pair, name="pair", horizon=6)


def test_foreign_worlds_hold_the_contract(pair):
    check_domain(pair)
    check_domain(domain_of(lambda: Pair(goal=6.0), name="short pair", horizon=9), ticks=9)


def test_sizes_are_those_of_the_largest_agent(pair):
    spec = pair.env.spec
    assert (spec.agents, spec.actions, spec.local, spec.globals) == (2, 3, 2, 2)


def walk(env, seed, actions):
    """Steps of one world under given actions [T, N]."""

    def tick(state, action):
        return env.step(jax.random.key(0), state, action)

    state, first = env.reset(jax.random.key(seed))
    _, steps = jax.lax.scan(tick, state, actions)
    return state.seed, first, steps


ACTIONS = np.array([[2, 0], [0, 0], [1, 1], [1, 1], [2, 0], [0, 1]])
"""`small` leaves at the third tick."""


def test_episodes_are_the_environment_s_own(pair):
    seed, first, steps = jax.jit(lambda: walk(pair.env, 3, ACTIONS))()
    env = Pair()
    seen, _ = env.reset(seed=int(seed))
    np.testing.assert_array_equal(first.local, [seen["tall"]["observation"], [*seen["small"], 0]])
    for t, (tall, small) in enumerate(ACTIONS):
        live = list(env.agents)
        chosen = {"tall": tall + 1, "small": small}
        seen, rewards, *_ = env.step({agent: chosen[agent] for agent in live})
        row = jax.tree.map(lambda x, t=t: np.asarray(x[t]), steps)
        np.testing.assert_allclose(row.reward, sum(rewards.values()), rtol=1e-6)
        np.testing.assert_array_equal(row.observation.local[0], seen["tall"]["observation"])
        np.testing.assert_array_equal(row.observation.mask[0], [1, 1, t % 2])
        np.testing.assert_array_equal(row.observation.mask[1], [1, 1, 0])
        np.testing.assert_array_equal(row.observation.active, [True, t < 2])
        assert (bool(row.terminated), bool(row.truncated)) == (False, t == 5)
    assert not steps.observation.local[3:, 1].any()


def test_an_end_before_the_clock_terminates():
    env = domain_of(lambda: Pair(goal=5.0), name="pair", horizon=6).env
    _, _, steps = jax.jit(lambda: walk(env, 3, ACTIONS))()
    end = int(np.argmax(steps.terminated))
    assert 0 < end < 5
    assert not steps.truncated[: end + 1].any()
    assert not steps.reward[end + 1 :].any()


def test_worlds_side_by_side_are_the_worlds_alone(pair):
    """However they are nested; and what was put aside is played again."""
    small = domain_of(Pair, name="pair", horizon=6, most=2)

    def all_of(env):
        return jax.jit(jax.vmap(jax.vmap(lambda seed: walk(env, seed, ACTIONS))))(
            jnp.arange(4).reshape(2, 2)
        )

    before = pair.env.host.replayed
    together, again = all_of(pair.env), all_of(small.env)
    assert pair.env.host.replayed == before
    assert small.env.host.replayed > 0
    alone = jax.jit(lambda: walk(pair.env, 2, ACTIONS))()
    for many in (together, again):
        one = jax.tree.map(lambda x: x[1, 0], many)
        jax.tree.map(np.testing.assert_array_equal, one, alone)


class Telling(Pair):
    """The same, of which `tall` says how high it came, and which counts how often it is reset."""

    resets = 0

    def reset(self, seed=None, options=None):
        # A new copy is looked at once, with the seed 0.
        Telling.resets += seed != 0
        return super().reset(seed, options)

    def step(self, actions):
        *given, infos = super().step(actions)
        infos["tall"]["height"] = self.total
        return *given, infos


def test_what_agents_say_of_the_end_is_an_outcome():
    env = domain_of(Telling, name="telling", horizon=6, outcomes=("height",)).env
    *_, steps = jax.jit(lambda: walk(env, 3, ACTIONS))()
    assert env.spec.outcomes == ("height",)
    np.testing.assert_allclose(
        steps.diagnostics["height"], steps.observation.local[:, 0, 0], rtol=1e-6
    )


def test_worlds_are_reset_only_where_an_episode_has_ended():
    domain = domain_of(Telling, name="telling", horizon=6)
    algorithm = mappo.make(MLP, domain)
    learner = algorithm.init(jax.random.key(0))

    @jax.jit
    @jax.vmap
    def roll(key):
        worlds = open_worlds(domain.env, key, 3)
        return collect(algorithm, learner, domain.env, worlds, key, 14, renew=True)[1]

    Telling.resets = 0
    rollout = roll(jax.random.split(jax.random.key(1), 2))
    ends = int(jnp.sum(rollout.terminated | rollout.truncated))
    assert ends == 2 * 3 * 2
    # Once each at first and once for each end; all end at the same ticks, so nobody asks in vain.
    assert Telling.resets == 2 * 3 + ends
    assert domain.env.host.replayed == 0


def test_an_algorithm_learns_from_foreign_worlds(pair):
    check_algorithm(lambda domain: mappo.make(MLP, domain), pair)


def test_there_and_back():
    """A domain sent out and fetched back pays what it pays at home; a program that is called by
    another one may wait for it forever, so the host is asked directly."""
    home = particle.make(particle.Config(horizon=5))
    host = Host(lambda: Parallel(home), "mean", 4)
    actions = np.array([[1, 2, 3], [4, 0, 1], [2, 2, 2], [0, 3, 1], [4, 4, 4]])
    _, key = jax.random.split(jax.random.key(np.random.default_rng(7).integers(2**32)))
    state, _ = home.env.reset(key)
    for t, action in enumerate(actions):
        state, step = home.env.step(key, state, jnp.asarray(action))
        seen = host(np.uint32(7), actions, np.int32(t + 1))
        np.testing.assert_allclose(seen.reward, step.reward, rtol=1e-5)
        np.testing.assert_allclose(seen.local, step.observation.local, rtol=1e-5, atol=1e-6)
    assert bool(seen.truncated)
    assert seen.active.all()


class Smooth(Pair):
    """The same with points: more than half way is the next choice."""

    rows = {"tall": spaces.Box(0.0, 4.0, (2,)), "small": spaces.Box(-1.0, 1.0, (1,))}

    def action_space(self, agent):
        return self.rows[agent]

    def step(self, actions):
        assert all(self.rows[agent].contains(point) for agent, point in actions.items())
        middle = {"tall": 2.0, "small": 0.0}
        over = {agent: int(point[0] > middle[agent]) for agent, point in actions.items()}
        return super().step(over | {"tall": 1 + over["tall"]})


def test_points_are_taken_to_where_the_environment_acts():
    smooth, pair = (domain_of(kind, name="p", horizon=6) for kind in (Smooth, Pair))
    assert smooth.env.spec.continuous
    assert (smooth.env.spec.actions, smooth.env.spec.groups) == (2, (0, 1))
    check_domain(smooth)
    choices = np.minimum(ACTIONS, 1)
    points = np.stack([2.0 * choices - 1, np.zeros(ACTIONS.shape)], axis=-1, dtype=np.float32)
    walks = jax.jit(lambda: (walk(smooth.env, 3, points), walk(pair.env, 3, choices)))()
    np.testing.assert_allclose(walks[0][2].reward, walks[1][2].reward, rtol=1e-6)


def test_continuous_domains_pass_pettingzoo_s_own_test():
    parallel_api_test(Parallel(particle.make(particle.Config(push="force"))), num_cycles=5)


@pytest.mark.parametrize(
    ("kinds", "sentence"),
    [
        ({"tall": spaces.MultiBinary(2), "small": spaces.Discrete(2)}, "tall acts in MultiBinary"),
        ({"tall": spaces.Box(0, 1, (2,)), "small": spaces.Discrete(2)}, "small acts in Discrete"),
        ({"tall": spaces.Box(0, np.inf, (2,))}, "tall acts in Box.*a bounded row"),
    ],
)
def test_other_actions_are_refused(kinds, sentence):
    class Other(Pair):
        def action_space(self, agent):
            return kinds.get(agent, kinds["tall"])

    with pytest.raises(UserError, match=sentence):
        domain_of(Other, name="other", horizon=6)
