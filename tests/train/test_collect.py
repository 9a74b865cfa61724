import jax
import jax.numpy as jnp
import numpy as np
import pytest

from builders import SMALL
from descant.algorithms import mappo
from descant.ascent.together import fresh
from descant.core.algorithm import OVER_TICKS
from descant.train.collect import Worlds, collect, open_worlds
from toys import balance, echo

COUNT, STEPS = 2, 7


class Setting:
    """A domain, a learner, and rollouts of it by the compiled collector and by a plain loop."""

    def __init__(self, **config):
        self.domain = balance.make(balance.Config(**config))
        self.algorithm = mappo.make(SMALL, self.domain)
        self.learner = jax.jit(lambda key: self.algorithm.init(key))(jax.random.key(0))
        self.worlds = jax.jit(lambda key: open_worlds(self.domain.env, key, COUNT))(
            jax.random.key(1)
        )
        self.key = jax.random.key(2)

    def collect(self, steps, *, renew):
        return jax.jit(
            lambda worlds, key: collect(
                self.algorithm, self.learner, self.domain.env, worlds, key, steps, renew=renew
            )
        )(self.worlds, self.key)

    def by_hand(self, steps):
        """Tick after tick and world after world, with the collector's keys."""
        env, policy = self.domain.env, self.algorithm.policy(self.learner)

        @jax.jit
        def tick(state, observation, act_key, step_key):
            action, log_prob = policy.sample(observation, act_key)
            following, step = env.step(step_key, state, action)
            before = self.algorithm.value(self.learner, observation)
            after = self.algorithm.value(self.learner, step.observation)
            return following, step, action, log_prob, before, after

        reset = jax.jit(env.reset)
        worlds = [jax.tree.map(lambda x, e=e: x[e], tuple(self.worlds)) for e in range(COUNT)]
        rows, starts = [], []
        for key in jax.random.split(self.key, steps):
            act, step_key, reset_key = (
                jax.random.split(k, COUNT) for k in jax.random.split(key, 3)
            )
            row, fresh = [], []
            for e in range(COUNT):
                state, observation = worlds[e]
                state, step, *rest = tick(state, observation, act[e], step_key[e])
                done = bool(step.terminated | step.truncated)
                row.append((observation.local, step.reward, step.terminated, *rest))
                worlds[e] = reset(reset_key[e]) if done else (state, step.observation)
                fresh.append(done)
            rows.append(jax.tree.map(lambda *x: np.stack(x), *row))
            starts.append(fresh)
        return jax.tree.map(lambda *x: np.stack(x), *rows), np.array(starts)


def compare(rollout, rows):
    names = (
        "observation.local",
        "reward",
        "terminated",
        "action",
        "log_prob",
        "value",
        "bootstrap",
    )
    for name, wanted in zip(names, rows, strict=True):
        found = rollout.observation.local if "." in name else getattr(rollout, name)
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.fixture(scope="module")
def fixed():
    return Setting(horizon=3)


def test_episodes_that_end_inside_start_anew(fixed):
    _, rollout = fixed.collect(8, renew=True)
    rows, starts = fixed.by_hand(8)
    assert np.flatnonzero(starts[:, 0]).tolist() == [2, 5]
    compare(rollout, rows)
    clock = np.asarray(rollout.observation.world.globals[..., 0]) * 3
    np.testing.assert_allclose(clock[:, 0], [0, 1, 2, 0, 1, 2, 0, 1], atol=1e-5)
    # The value after the last tick is that of the old world, not of the one that follows.
    assert np.abs(rollout.bootstrap[2] - rollout.value[3]).min() > 1e-6
    np.testing.assert_allclose(rollout.bootstrap[:2], rollout.value[1:3], rtol=1e-5, atol=1e-6)


def test_worlds_end_by_themselves():
    setting = Setting(stop=0.4, horizon=4)
    _, rollout = setting.collect(8, renew=True)
    rows, starts = setting.by_hand(8)
    assert (starts[:, 0] != starts[:, 1]).any(), "worlds must end at different ticks here"
    assert rollout.terminated.any()
    compare(rollout, rows)


def test_learners_side_by_side_renew_each_its_own_worlds():
    setting = Setting(stop=0.4, horizon=4)

    def run(key):
        learner = setting.algorithm.init(key)
        env = setting.domain.env
        return collect(setting.algorithm, learner, env, setting.worlds, key, 8, renew=True)[1]

    keys = jax.random.split(jax.random.key(3), 2)
    both, alone = jax.jit(jax.vmap(run))(keys), [jax.jit(run)(key) for key in keys]
    for i in range(2):
        for a, b in zip(jax.tree.leaves(both), jax.tree.leaves(alone[i]), strict=True):
            np.testing.assert_allclose(a[i], b, rtol=1e-5, atol=1e-6)
    ended = [np.asarray(rollout.terminated).any(axis=1) for rollout in alone]
    assert (ended[0] != ended[1]).any(), "worlds must end at different ticks here"


@pytest.mark.parametrize("steps", [2, 3])
def test_whole_episodes_need_no_renewal(fixed, steps):
    worlds, plain = fixed.collect(steps, renew=False)
    others, renewed = fixed.collect(steps, renew=True)
    for (path, a), b in zip(
        jax.tree.leaves_with_path(plain), jax.tree.leaves(renewed), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6, err_msg=jax.tree_util.keystr(path))
    assert bool(plain.truncated[-1].all()) == (steps == 3)
    clocks = int(worlds.state.time[0]), int(others.state.time[0])
    assert clocks == ((3, 0) if steps == 3 else (2, 2))


def test_a_rollout_goes_on_where_the_last_one_stopped(fixed):
    first, _ = fixed.collect(2, renew=True)
    assert first.state.time.tolist() == [2, 2]
    again = Setting(horizon=3)
    again.worlds = Worlds(*first)
    _, rollout = again.collect(2, renew=True)
    np.testing.assert_array_equal(rollout.observation.local[0], first.observation.local)
    assert rollout.truncated.tolist() == [[True, True], [False, False]]


def test_scenarios_differ(fixed):
    target = np.asarray(fixed.worlds.state.target)
    assert np.abs(target[0] - target[1]).min() > 0
    assert jnp.ndim(fixed.worlds.state.time) == 1


@pytest.fixture(scope="module")
def remembered():
    domain = echo.make(echo.Config(wait=2))
    algorithm = mappo.make(mappo.Config(net="gru", hidden=4, chunk=0), domain)
    learner = jax.jit(algorithm.init)(jax.random.key(0))

    @jax.jit
    def run(key):
        worlds = open_worlds(domain.env, key, COUNT, memory=algorithm.begin(learner))
        return collect(algorithm, learner, domain.env, worlds, key, STEPS, renew=True)

    return algorithm, learner, run(jax.random.key(1))


class TestMemory:
    """Agents and critics that remember, in a world whose episodes last three ticks."""

    def test_an_episode_begins_with_nothing_remembered(self, remembered):
        memory = remembered[2][1].observation.memory
        for who in ("actor", "critic"):
            size = np.abs(memory[who]).max(axis=(1, 2, 3))
            assert (size > 0).tolist() == [t % 3 > 0 for t in range(STEPS)]

    def test_what_is_stored_is_what_listening_left(self, remembered):
        algorithm, learner, (worlds, rollout) = remembered
        policy = algorithm.policy(learner)
        listen = jax.jit(lambda o: algorithm.listen(learner, o))
        value = jax.jit(lambda o: algorithm.value(learner, o))
        assess = jax.jit(lambda *given: policy.assess(*given))
        for t in range(STEPS):
            one = jax.tree.map(lambda x, t=t: x[t, 0], rollout)
            heard = listen(one.observation)
            said = assess(heard, one.action)
            np.testing.assert_allclose(one.log_prob, said.log_prob, rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(one.value, value(heard), rtol=1e-4, atol=1e-5)
            following = (
                jax.tree.map(lambda x, t=t: x[t + 1, 0], rollout.observation)
                if t + 1 < STEPS
                else jax.tree.map(lambda x: x[0], worlds.observation)
            )
            if not one.terminated:
                for who in ("actor", "critic"):
                    np.testing.assert_allclose(
                        following.memory[who], heard.memory[who], rtol=1e-4, atol=1e-5
                    )
                after = value(listen(following))
                np.testing.assert_allclose(one.bootstrap, after, rtol=1e-4, atol=1e-5)

    def test_following_a_rollout_finds_what_collecting_remembered(self, remembered):
        """Learning through an episode's end neither carries memory over it nor loses any."""
        algorithm, learner, (_, rollout) = remembered
        policy = algorithm.policy(learner)
        heard = jax.jit(jax.vmap(policy.follow, 1, 1))(rollout.observation, fresh(rollout))
        said = jax.vmap(jax.vmap(policy.assess, (0, 0, None), OVER_TICKS), (0, 0, None), OVER_TICKS)
        log_prob = jax.jit(said)(heard, rollout.action, None).log_prob
        np.testing.assert_allclose(log_prob, rollout.log_prob, rtol=1e-4, atol=1e-5)
