import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from builders import Tabular, observations
from descant.core.errors import UserError
from descant.core.model import Advisor
from descant.nets import set as sets
from descant.nets.policy import Gaussian, Independent, InOrder
from descant.ops.guidance import grades
from toys import balance

CONFIG = balance.Config(agents=3, bins=3, idle=0.0, closed=0.3)
SPEC = balance.make(CONFIG).env.spec
DRAWS = 6000
assess = jax.jit(lambda policy, *given: policy.assess(*given))


@pytest.fixture(scope="module")
def observation():
    many = observations(CONFIG, jax.random.key(4), 1)
    return jax.tree.map(lambda x: x[0], many)


@pytest.fixture(scope="module")
def net():
    start = sets.pointer(jax.random.key(1), SPEC, hidden=8)
    return eqx.tree_at(lambda n: n.word, start, jnp.sign(start.word))


def draw(policy, observation, seed=0):
    keys = jax.random.split(jax.random.key(seed), DRAWS)
    return jax.jit(jax.vmap(policy.sample, in_axes=(None, 0)))(observation, keys)


@pytest.mark.parametrize("head", [Independent, InOrder])
def test_joint_frequencies_follow_the_chances_that_assess_states(head, net, observation):
    policy = head(net=net)
    actions, log_prob = draw(policy, observation)
    joint = jnp.array(list(itertools.product(range(3), repeat=3)))
    said = jax.vmap(policy.assess, in_axes=(None, 0))(observation, joint)
    chances = np.exp(np.asarray(jnp.sum(said.log_prob, axis=-1), np.float64))
    assert chances.sum() == pytest.approx(1, abs=1e-4)
    cells = np.asarray(actions @ jnp.array([9, 3, 1]))
    count = np.bincount(cells, minlength=27)
    assert not observation.mask.all(), "the toy must close a bin here"
    assert count[chances < 1e-12].sum() == 0, "an illegal action was drawn"
    often = DRAWS * chances > 5
    expected = np.append(chances[often], chances[~often].sum() + 1e-9)
    seen = np.append(count[often], count[~often].sum())
    assert stats.chisquare(seen, expected / expected.sum() * DRAWS).pvalue > 1e-3
    np.testing.assert_allclose(log_prob[:50], said.log_prob[cells[:50]], rtol=1e-3, atol=1e-4)


def test_once_trained_agents_in_order_take_the_best_and_others_draw(net, observation):
    keys = jax.random.split(jax.random.key(0), 64)

    def act(policy):
        return jax.jit(jax.vmap(lambda key: policy.act(observation, key)))(keys)

    best = InOrder(net=net).best(observation)
    assert bool(jnp.all(act(InOrder(net=net)) == best[None]))
    drawn = jax.vmap(lambda key: Independent(net=net).sample(observation, key)[0])(keys)
    np.testing.assert_array_equal(act(Independent(net=net)), drawn)


@pytest.mark.parametrize("head", [Independent, InOrder])
def test_best_takes_the_likeliest_turn_by_turn(head, net, observation):
    policy = head(net=net)
    best = jax.jit(lambda o: policy.best(o))(observation)
    chances = assess(policy, observation, best).probabilities
    np.testing.assert_array_equal(best, jnp.argmax(chances, axis=-1))


def test_agents_in_order_know_those_before_them_and_nobody_after(net, observation):
    policy = InOrder(net=net)
    open_all = eqx.tree_at(lambda o: o.mask, observation, jnp.ones((3, 3), bool))
    first = assess(policy, open_all, jnp.array([0, 1, 0])).probabilities
    other = assess(policy, open_all, jnp.array([0, 2, 2])).probabilities
    np.testing.assert_allclose(first[:2], other[:2], rtol=1e-5)
    assert float(jnp.abs(first[2] - other[2]).max()) > 1e-3


def test_agents_in_order_see_what_is_left(net, observation):
    """Agent i's chances are those of an agent acting alone where the others' demand is gone."""
    action = jnp.array([0, 0, 2])
    said = assess(InOrder(net=net), observation, action)
    demand, left, _ = SPEC.supplies[0]
    # The table of the tick is computed before anybody acts; only what is left is looked up anew.
    table = net.table(observation)
    remaining = table.left
    for agent in range(3):
        logits = jnp.where(
            observation.mask[agent], net.score(table, jnp.int32(agent), remaining, 3), -1e9
        )
        np.testing.assert_allclose(
            said.probabilities[agent], jax.nn.softmax(logits), rtol=1e-4, atol=1e-6
        )
        asked, there = observation.local[agent, demand], remaining[action[agent], 0]
        remaining = remaining.at[action[agent], 0].set(there - asked * (asked <= there))
    assert left == 1


def test_who_rests_takes_nothing(net, observation):
    policy = InOrder(net=net)
    rests = eqx.tree_at(lambda o: o.active, observation, jnp.array([False, True, True]))
    a = assess(policy, rests, jnp.array([0, 1, 1])).probabilities
    b = assess(policy, rests, jnp.array([2, 1, 1])).probabilities
    np.testing.assert_array_equal(a, b)
    actions, _ = draw(policy, rests)
    nobody = eqx.tree_at(lambda o: o.active, observation, jnp.zeros(3, bool))
    assert actions.shape == (DRAWS, 3)
    assert policy.sample(nobody, jax.random.key(0))[1].tolist() == [0, 0, 0]


def test_without_demand_order_means_nothing(net, observation):
    none = eqx.tree_at(
        lambda o: o.local, observation, observation.local.at[:, SPEC.supplies[0][0]].set(0.0)
    )
    action = jnp.array([0, 1, 2])
    a, b = (assess(head(net=net), none, action) for head in (Independent, InOrder))
    np.testing.assert_allclose(a.probabilities, b.probabilities, rtol=1e-5, atol=1e-7)


def test_a_mask_row_may_stand_for_all(observation):
    policy = Independent(net=Tabular(jnp.zeros((3, 3))))
    row = eqx.tree_at(lambda o: o.mask, observation, jnp.array([[True, False, True]]))
    said = assess(policy, row, jnp.array([0, 2, 0]))
    np.testing.assert_allclose(said.probabilities, [[0.5, 0, 0.5]] * 3)
    np.testing.assert_allclose(said.entropy, np.log(2), rtol=1e-6)
    assert set(np.unique(draw(policy, row)[0])) == {0, 2}


ORDERED = {
    "one by one": 1,
    "blocks of two": 2,
    "one block": 3,
}


@pytest.mark.parametrize("head", ORDERED, ids=list(ORDERED))
def test_some_agents_are_assessed_as_among_all(head, net, observation):
    policy = InOrder(net=net, block=ORDERED[head])
    for active in ([True] * 3, [True, False, True], [False, False, True]):
        here = eqx.tree_at(lambda o: o.active, observation, jnp.array(active))
        action = jnp.array([0, 0, 1])
        whole = assess(policy, here, action)
        for some in ([0], [1], [2], [0, 2], [0, 1, 2]):
            part = assess(policy, here, action, jnp.array(some))
            for of_all, of_some in zip(whole, part, strict=True):
                if of_all is not None:
                    wanted = of_all[jnp.array(some)]
                    np.testing.assert_allclose(of_some, wanted, rtol=1e-5, atol=1e-6)


def test_a_block_knows_the_blocks_before_it(net, observation):
    policy = InOrder(net=net, block=2)
    open_all = eqx.tree_at(lambda o: o.mask, observation, jnp.ones((3, 3), bool))
    first = assess(policy, open_all, jnp.array([0, 1, 0]))
    other = assess(policy, open_all, jnp.array([2, 1, 0]))
    np.testing.assert_allclose(first.probabilities[:2], other.probabilities[:2], rtol=1e-5)
    assert float(jnp.abs(first.probabilities[2] - other.probabilities[2]).max()) > 1e-3
    assert first.known.tolist() == [0, 0, 2]
    together = assess(Independent(net=net), open_all, jnp.array([0, 1, 0]))
    np.testing.assert_allclose(first.probabilities[:2], together.probabilities[:2], rtol=1e-5)


@pytest.mark.parametrize("block", [2, 3])
def test_blocks_draw_what_they_state(block, net, observation):
    policy = InOrder(net=net, block=block)
    actions, log_prob = draw(policy, observation)
    said = jax.vmap(policy.assess, in_axes=(None, 0))(observation, actions[:200])
    np.testing.assert_allclose(log_prob[:200], said.log_prob, rtol=1e-3, atol=1e-4)


class TestCorrelated:
    """Agents that draw from strata of one shared source of chance."""

    def test_each_agents_chances_stay_and_loads_follow_them(self):
        agents = 40
        logits = jnp.broadcast_to(jnp.array([0.0, 1.0, -1.0]), (agents, 3))
        config = balance.Config(agents=agents, bins=3, idle=0.0, closed=0.0)
        observation = jax.tree.map(lambda x: x[0], observations(config, jax.random.key(0), 1))
        loads = {}
        for correlated in (False, True):
            policy = Independent(net=Tabular(logits), correlated=correlated)
            actions, _ = draw(policy, observation)
            chances = np.asarray(jax.nn.softmax(logits[0]))
            seen = np.asarray(jax.nn.one_hot(actions[:, 7], 3)).mean(0)
            np.testing.assert_allclose(seen, chances, atol=0.03)
            loads[correlated] = np.asarray(jax.nn.one_hot(actions, 3)).sum(1)
            np.testing.assert_allclose(loads[correlated].mean(0), agents * chances, rtol=0.02)
        # Alike agents in strata: every load is its mean, give or take one.
        assert loads[True].std(0).max() < 0.8 < 1.5 < loads[False].std(0).min()


class TestPriced:
    """Agents that hear what all others are likely to do."""

    def test_chances_are_a_product_and_what_is_drawn_follows_them(self, net, observation):
        policy = Independent(net=sets.Priced(net, 2), correlated=True)
        actions, log_prob = draw(policy, observation)
        said = jax.vmap(policy.assess, in_axes=(None, 0))(observation, actions[:100])
        np.testing.assert_allclose(log_prob[:100], said.log_prob, rtol=1e-3, atol=1e-4)

    def test_proposals_matter_where_others_ask_for_much(self, net, observation):
        alone = Independent(net=net).log_probabilities(observation)
        heard = Independent(net=sets.Priced(net, 1)).log_probabilities(observation)
        assert float(jnp.abs(alone - heard).max()) > 1e-3

    def test_a_single_agent_hears_nothing(self, net, observation):
        one = eqx.tree_at(lambda o: o.active, observation, jnp.array([False, True, False]))
        alone = Independent(net=net).log_probabilities(one)
        heard = Independent(net=sets.Priced(net, 3)).log_probabilities(one)
        np.testing.assert_allclose(heard[1], alone[1], rtol=1e-5, atol=1e-6)


@pytest.fixture(scope="module")
def advised():
    """A network that heeds the analytic model."""
    start = sets.pointer(jax.random.key(1), SPEC, hidden=8, heed=0.0)
    loud = jnp.sign(start.word), jnp.float32(1.5)
    return eqx.tree_at(lambda n: (n.word, n.heed), start, loud)


@pytest.fixture(scope="module")
def asked(advised):
    """What the model keeps of a state, and what agents who may ask it see."""
    toy = balance.make(CONFIG)
    state, observation = toy.env.reset(jax.random.key(4))
    policy = InOrder(net=advised, advisor=Advisor(toy.model))
    return toy.model.context(state), policy.informed(state, observation)


class TestAdvised:
    """Agents in order that ask the analytic model at their turn."""

    def test_it_hears_what_the_model_charges_given_those_before(self, advised, asked):
        context, observation = asked
        model, (demand, *_) = balance.make(CONFIG).model, SPEC.supplies[0]
        action = jnp.array([0, 0, 2])
        said = assess(InOrder(net=advised), observation, action)
        table = advised.table(observation)
        left, position = table.left, model.begin(context)
        for agent in range(3):
            charge = model.turn(context, position, jnp.int32(agent))
            grade = grades(charge, observation.mask[agent])
            logits = advised.score(table, jnp.int32(agent), left, 3, grade)
            wanted = jax.nn.softmax(jnp.where(observation.mask[agent], logits, -1e9))
            np.testing.assert_allclose(said.probabilities[agent], wanted, rtol=1e-4, atol=1e-6)
            position = model.move(context, position, jnp.int32(agent), action[agent])
            load, there = observation.local[agent, demand], left[action[agent], 0]
            left = left.at[action[agent], 0].set(there - load * (load <= there))

    @pytest.mark.parametrize("block", [1, 2])
    def test_what_is_drawn_is_what_is_assessed_for_all_and_for_some(self, block, advised, asked):
        _, observation = asked
        policy = InOrder(net=advised, block=block)
        actions, log_prob = draw(policy, observation)
        said = jax.vmap(policy.assess, in_axes=(None, 0))(observation, actions[:100])
        np.testing.assert_allclose(log_prob[:100], said.log_prob, rtol=1e-3, atol=1e-4)
        some = jnp.array([0, 2])
        part = assess(policy, observation, actions[0], some).probabilities
        np.testing.assert_allclose(part, said.probabilities[0][some], rtol=1e-5, atol=1e-6)

    def test_who_heeds_it_enough_goes_down_its_slope(self, advised, asked):
        context, observation = asked
        obedient = eqx.tree_at(lambda n: n.heed, advised, jnp.float32(1e5))
        best = InOrder(net=obedient).best(observation)
        charge = balance.make(CONFIG).model.in_turn(context, best)
        least = jnp.argmin(jnp.where(observation.mask, charge, jnp.inf), axis=-1)
        active = observation.active
        np.testing.assert_array_equal(best[active], least[active])

    def test_at_first_it_is_heeded_as_asked(self):
        assert sets.pointer(jax.random.key(1), SPEC, hidden=8, heed=2.5).heed == 2.5

    def test_without_the_model_it_says_what_it_needs(self, advised, observation):
        with pytest.raises(UserError, match="hand them what policy"):
            InOrder(net=advised).best(observation)

    def test_others_are_handed_nothing_and_hear_nothing(self, net, asked):
        _, observation = asked
        plain = eqx.tree_at(lambda o: o.advice, observation, None)
        policy = InOrder(net=net)
        assert policy.informed(None, plain) is plain
        ours, theirs = (draw(policy, o) for o in (observation, plain))
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(a, b)


class TestGaussian:
    """Continuous actions of two coordinates, three agents."""

    MEAN = jnp.array([[0.3, -0.2], [0.0, 1.5], [-2.0, 0.1]])
    DEVIATION = jnp.log(jnp.array([[0.5, 0.1]]))

    def policy(self, squash):
        return Gaussian(net=Tabular(self.MEAN), deviation=self.DEVIATION, squash=squash)

    def test_clipped_draws_are_normal_and_density_is_the_normal_one(self, observation):
        action, log_prob = draw(self.policy("clipped"), observation)
        deviation = np.exp(self.DEVIATION)
        for agent, coordinate in itertools.product(range(3), range(2)):
            seen = np.asarray(action[:, agent, coordinate])
            law = stats.norm(self.MEAN[agent, coordinate], deviation[0, coordinate])
            assert stats.kstest(seen, law.cdf).pvalue > 1e-3
        wanted = stats.norm.logpdf(action, self.MEAN[None], deviation[None]).sum(-1)
        np.testing.assert_allclose(log_prob, wanted, rtol=1e-3, atol=1e-3)

    def test_squashed_draws_stay_inside_and_their_density_integrates_to_one(self, observation):
        policy = self.policy("tanh")
        action, _ = draw(policy, observation)
        assert float(jnp.abs(action).max()) < 1
        line = np.tanh(np.linspace(-5, 5, 400))
        grid = jnp.array(list(itertools.product(line, line)), jnp.float32)
        cells = jnp.broadcast_to(grid[:, None], (len(grid), 3, 2))
        said = jax.jit(jax.vmap(policy.assess, (None, 0)))(observation, cells)
        density = np.exp(np.asarray(said.log_prob[:, 0], float)).reshape(400, 400)
        total = np.trapezoid(np.trapezoid(density, line), line)
        assert total == pytest.approx(1, abs=0.02)

    @pytest.mark.parametrize("squash", ["clipped", "tanh"])
    def test_a_draw_is_assessed_as_it_was_drawn(self, squash, observation):
        policy = self.policy(squash)
        action, log_prob = policy.sample(observation, jax.random.key(3))
        said = assess(policy, observation, action)
        np.testing.assert_allclose(said.log_prob, log_prob, rtol=1e-3, atol=1e-3)
        wanted = stats.norm(scale=np.exp(self.DEVIATION)).entropy().sum()
        np.testing.assert_allclose(said.entropy, wanted, rtol=1e-4)
        some = assess(policy, observation, action, jnp.array([0, 2]))
        np.testing.assert_allclose(some.log_prob, log_prob[jnp.array([0, 2])], rtol=1e-3, atol=1e-3)

    def test_the_best_is_the_mean_and_levels_fix_the_draw(self, observation):
        policy = self.policy("clipped")
        np.testing.assert_array_equal(policy.best(observation), self.MEAN)
        np.testing.assert_array_equal(policy.act(observation, jax.random.key(0)), self.MEAN)
        levels = jax.random.uniform(jax.random.key(5), (4000, 3))
        drawn = jax.jit(jax.vmap(policy.draw, (None, 0)))
        action, _ = drawn(observation, levels)
        np.testing.assert_array_equal(action, drawn(observation, levels)[0])
        law = stats.norm(0.3, 0.5)
        assert stats.kstest(np.asarray(action[:, 0, 0]), law.cdf).pvalue > 1e-3
        first, second = np.asarray(action[:, 0, 0]), np.asarray(action[:, 0, 1])
        assert abs(np.corrcoef(first, second)[0, 1]) < 0.05
        assert abs(np.corrcoef(first, np.asarray(action[:, 1, 0]))[0, 1]) < 0.05
