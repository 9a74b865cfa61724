"""Critics of actions, on games small enough to know what they should say."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from builders import SMALL
from descant.algorithms import _settings, coma, maipg, mappo, mean_field
from descant.algorithms._action_critic import variance_left
from descant.algorithms._actor_critic import _unjudged
from descant.core.domain import Domain
from descant.domains import matrix
from descant.train.collect import collect, open_worlds
from toys import balance, echo

TOY = balance.make(balance.Config(stop=0.2))
CRITIC = _settings.Critic(hidden=8, depth=1)
KEY = jax.random.key(0)


def learner_and_rollout(algorithm, domain: Domain, rollouts=4, steps=6):
    @jax.jit
    def both(key):
        learner = algorithm.init(key)
        worlds = open_worlds(domain.env, key, rollouts, memory=algorithm.begin(learner))
        return learner, collect(algorithm, learner, domain.env, worlds, key, steps, renew=True)[1]

    return both(KEY)


def fitted(critic, learner, rollout):
    """What the critic of actions has learnt from a rollout."""
    at = learner.actor, rollout, jnp.float32(0), KEY
    return jax.jit(lambda state: critic.fit(state, *at)[0])(learner.actions)


@pytest.fixture(scope="module")
def given():
    algorithm = coma.make(coma.Config(base=SMALL, critic=CRITIC), TOY)
    return algorithm, *learner_and_rollout(algorithm, TOY)


@pytest.mark.parametrize("name", ["coma", "mean field"])
def test_the_baseline_has_no_mean_effect(given, name):
    """Whatever the others did, an agent's expected advantage is zero."""
    algorithm, learner, rollout = given
    if name == "mean field":
        algorithm = mean_field.make(mean_field.Config(base=SMALL, critic=CRITIC), TOY)
        learner = jax.jit(lambda key: algorithm.init(key))(KEY)
    observation, action = rollout.observation, rollout.action
    chances = jax.vmap(jax.vmap(learner.actor.log_probabilities))(observation)

    @jax.jit
    def expected(agent):
        def instead(choice):
            other = replace(rollout, action=action.at[..., agent].set(choice))
            read = algorithm.actions.read(learner.actions, learner.actor, other)
            return read["counterfactual"][..., agent]

        gains = jax.vmap(instead)(jnp.arange(TOY.env.spec.actions))
        weight = jnp.moveaxis(jnp.exp(chances[..., agent, :]), -1, 0)
        return jnp.sum(weight * gains, axis=0), gains

    for agent in range(TOY.env.spec.agents):
        mean, gains = expected(agent)
        assert float(jnp.max(jnp.abs(gains))) > 1e-3
        np.testing.assert_allclose(mean, 0.0, atol=1e-5)


def test_at_lambda_one_targets_are_returns(given):
    """Discounted sums of what was paid, with the critic of ticks to say what follows the end."""
    algorithm, learner, rollout = given
    lesson = replace(algorithm.actions.lesson, trace=1.0)
    critic = replace(algorithm.actions, lesson=lesson)
    got = critic._targets(learner.actions, learner.actor, rollout)
    reward, ended = np.array(rollout.reward), np.array(rollout.terminated)
    cut, last = np.array(rollout.truncated), np.array(rollout.bootstrap)[..., 0]
    wanted, after = np.zeros_like(reward), last[-1]
    for t in reversed(range(len(reward))):
        after = np.where(cut[t], last[t], after)
        after = wanted[t] = reward[t] + lesson.discount * np.where(ended[t], 0.0, after)
    assert ended.any()
    np.testing.assert_allclose(got, wanted[..., None].repeat(3, -1), rtol=1e-4)


def test_a_sum_of_utilities_learns_what_is_a_sum():
    """A game that pays each agent's action by itself: the value knows it after some rounds."""
    pay = jnp.array([[0.0, 1.0, 2.0], [3.0, 0.0, 1.0]])
    game = matrix.make(matrix.Config(game="table5a"))
    env = replace(game.env, payoff=pay[0][:, None] + pay[1][None])
    domain = replace(game, env=env)
    base = mappo.Config(
        net="mlp", order="together", hidden=8, critic_epochs=200, minibatch=32, critic_rate=1e-2
    )
    config = maipg.Config(base=base, critic=_settings.Critic(hidden=16, depth=1), mixer="sum")
    algorithm = maipg.make(config, domain)
    learner, rollout = learner_and_rollout(algorithm, domain, rollouts=64, steps=1)
    state = fitted(algorithm.actions, learner, rollout)
    mean, deviation = algorithm.actions.lesson.fit.scale(state.values)
    seen = jax.tree.map(lambda x: x[0, 0], rollout.observation)

    def value(first, second):
        action = jax.nn.one_hot(jnp.array([first, second]), 3)
        return float(mean + deviation * state.net(seen, action)[0])

    for first in range(3):
        for second in range(3):
            assert value(first, second) == pytest.approx(
                float(pay[0, first] + pay[1, second]), abs=0.15
            )


@pytest.fixture(scope="module")
def echoed():
    """A value that remembers, fitted where nothing else tells what pays, and the rollout as the
    algorithm then reads it."""
    domain = echo.make(echo.Config())
    base = mappo.Config(
        net="gru",
        order="together",
        hidden=8,
        chunk=0,
        critic_epochs=60,
        minibatch=48,
        critic_rate=1e-2,
    )
    critic = _settings.Critic(hidden=16)
    config = maipg.Config(base=base, critic=critic, mixer="sum", noise=False)
    algorithm = maipg.make(config, domain)
    learner, rollout = learner_and_rollout(algorithm, domain, rollouts=64, steps=3)
    learner = replace(learner, actions=fitted(algorithm.actions, learner, rollout))
    return algorithm, learner, jax.jit(lambda r: algorithm._read(learner, r))(rollout)


def asked(rollout):
    """What would have been right to say at the last tick, as rows."""
    return jax.nn.one_hot((rollout.observation.local[0, :, :, 0] > 0).astype(int), 2)


def test_a_value_that_remembers_knows_what_was_shown_long_ago(echoed):
    algorithm, learner, rollout = echoed
    state = learner.actions
    right = asked(rollout)
    last = jax.tree.map(lambda x: x[2], rollout.observation)
    _, deviation = algorithm.actions.lesson.fit.scale(state.values)
    value = jax.jit(jax.vmap(state.net))
    gain = deviation * (value(last, right) - value(last, 1 - right))
    np.testing.assert_allclose(gain, 1.0, atol=0.2)


def test_actors_climb_a_value_at_what_it_remembers(echoed):
    algorithm, learner, rollout = echoed
    term = algorithm.actions.term(learner.actions, _unjudged(rollout))
    last = jax.tree.map(lambda x: x[2], rollout)

    @jax.jit
    @jax.grad
    def pulled(logits):
        """How chances that are about even are moved."""
        said = jax.vmap(learner.actor.assess)(last.observation, last.action)
        chances = jax.nn.softmax(logits)
        said = said._replace(probabilities=chances, who=said.who[0], known=said.known[0])
        return jnp.sum(term.each(said, last))

    right = asked(rollout)
    slope = pulled(jnp.zeros_like(right))
    assert float(jnp.max(jnp.sum(slope * right, axis=-1))) < -1e-3


class TestVarianceLeft:
    """On made-up ticks: a state's value, an action's, and noise."""

    def ticks(self, skill, about_states):
        keys = jax.random.split(KEY, 4)
        state, noise = (jax.random.normal(key, (4000,)) for key in keys[:2])
        taken = jax.random.normal(keys[2], (4000,))
        others = jax.random.normal(keys[3], (4000, 8))
        known = about_states * state
        value, drawn = known + skill * taken, known[:, None] + skill * others
        return variance_left(taken + noise, value, drawn, jnp.ones(4000))

    def test_a_value_of_actions_leaves_the_noise(self):
        found = self.ticks(skill=1.0, about_states=0.0)
        assert float(found["variance_left"]) == pytest.approx(0.5, abs=0.05)
        assert float(found["variance_left_centred"]) == pytest.approx(0.5, abs=0.05)

    def test_what_is_known_of_states_counts_only_as_the_formula_reads(self):
        found = self.ticks(skill=1.0, about_states=3.0)
        assert float(found["variance_left"]) == pytest.approx(0.5 + 9 / 2, rel=0.1)
        assert float(found["variance_left_centred"]) == pytest.approx(0.5, abs=0.05)

    def test_who_knows_nothing_of_actions_leaves_all(self):
        found = self.ticks(skill=0.0, about_states=3.0)
        assert float(found["variance_left_centred"]) == pytest.approx(1.0, abs=1e-3)

    def test_ticks_in_which_nobody_acts_do_not_count(self):
        wild = jnp.array([1.0, -1.0, 1e6])
        found = variance_left(
            wild, jnp.zeros(3), jnp.zeros((3, 2)), counts=jnp.array([1.0, 1.0, 0.0])
        )
        assert float(found["variance_left"]) == pytest.approx(1.0)


def test_what_a_value_leaves_is_measured_before_it_learns():
    """In a game that pays the same each time, a value of joint actions comes to know nearly all;
    what it leaves of a rollout is told by what it knew before."""
    domain = matrix.make(matrix.Config(game="table5a"))
    base = mappo.Config(
        net="mlp", order="together", hidden=8, critic_epochs=100, minibatch=32, critic_rate=1e-2
    )
    critic = _settings.Critic(hidden=16, depth=1)
    config = maipg.Config(base=base, critic=critic, mixer="joint", nu=0.0)
    algorithm = maipg.make(config, domain)
    learner, rollout = learner_and_rollout(algorithm, domain, rollouts=128, steps=1)

    @jax.jit
    def twice(learner):
        now, first = algorithm.update(learner, rollout, jnp.float32(0), KEY)
        return first, algorithm.update(now, rollout, jnp.float32(0), KEY)[1]

    first, second = twice(learner)
    assert float(first["variance_left_centred"]) > 0.9
    assert float(second["variance_left_centred"]) < 0.1


def test_the_copy_lags(given):
    algorithm, learner, rollout = given
    for share in (0.0, 1.0):
        lesson = replace(algorithm.actions.lesson, lag=share)
        critic = replace(algorithm.actions, lesson=lesson)
        after = fitted(critic, learner, rollout)
        wanted = after.net if share else learner.actions.net
        pairs = zip(jax.tree.leaves(after.target), jax.tree.leaves(wanted), strict=True)
        assert all(np.array_equal(a, b) for a, b in pairs)
