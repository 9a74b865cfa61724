"""Ground truth: occupancies and gradients of small networks, by routes that share nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from descant.core.errors import UserError
from descant.core.graph import Graph
from descant.domains import epidemic
from descant.domains.epidemic.world import epidemic as infection
from descant.domains.tables.world import tables
from descant.domains.voter.world import voters
from descant.evaluate.enumerated import enumerate_network
from descant.ops import graphs
from descant.ops.utility import Entropy, Imitation, Linear, Mean, Part, dealt, everybody

LINE = graphs.line(5)
ROUNDING = 1e-15


def mixed(agents, states=2):
    """Linear, entropy and imitation in turn."""
    table = np.random.default_rng(0).normal(size=(states, 2))
    target = np.arange(1, states + 1) / np.arange(1, states + 1).sum()
    wants = {"kl": Imitation(target=target), "entropy": Entropy(), "linear": Linear(reward=table)}
    return dealt(agents, wants)


NETWORKS = {
    "tables": tables(LINE, coupling=1.0, sharp=2.0, seed=1),
    "three states": tables(graphs.line(4), coupling=0.7, states=3, seed=2),
    "voters": voters(graphs.ring(5), alpha=0.8),
    "epidemic": infection(LINE, epidemic.Config(contagion=0.8, recovery=0.1)),
}


@pytest.fixture(scope="module")
def wholes():
    return {name: enumerate_network(network, 0.8) for name, network in NETWORKS.items()}


@pytest.mark.parametrize("name", NETWORKS)
def test_moves_are_those_of_the_laws_and_occupancies_of_many_steps(wholes, name):
    whole = wholes[name]
    np.testing.assert_allclose(whole.move.sum(axis=2), 1, rtol=1e-12)
    joint = whole.joint(whole.logits(0, seed=3))
    now, total = whole.start, np.zeros_like(joint.occupancy)
    for tick in range(150):
        total += (1 - 0.8) * 0.8**tick * now[:, None] * joint.policy
        now = now @ whole.chain(joint.policy)
    np.testing.assert_allclose(joint.occupancy, total, atol=1e-14)
    np.testing.assert_allclose(whole.local(joint.occupancy).sum(axis=(1, 2)), 1, rtol=1e-13)


def test_a_law_by_hand(wholes):
    whole = wholes["epidemic"]
    ill = np.array([[1, 0, 1, 0, 0]])
    here = int(np.flatnonzero((whole.states == ill).all(axis=1))[0])
    acts = int(np.flatnonzero((whole.actions == [0, 1, 0, 0, 1]).all(axis=1))[0])
    law = whole.laws[here, acts, :, 1]
    contact = 0.8 * 0.3
    assert law[0] == pytest.approx(1 - 0.1, abs=1e-12)
    assert law[1] == pytest.approx(1 - 0.98 * (1 - contact) ** 2, abs=1e-12)
    assert law[3] == pytest.approx(1 - 0.98 * (1 - 0.8), abs=1e-12)
    assert law[4] == pytest.approx(0.02, abs=1e-12)


@pytest.mark.parametrize("view", [0, 1])
@pytest.mark.parametrize("name", NETWORKS)
def test_gradient_is_the_slope(wholes, name, view):
    """Finite differences of step 1e-5: 1e-8."""
    whole, objective = wholes[name], mixed(*NETWORKS[name].start.shape)
    logits = whole.logits(view, seed=4)
    gradient = whole.gradient(objective, logits, view)
    rng = np.random.default_rng(5)
    for _ in range(3):
        way = rng.normal(size=logits.shape)
        ends = [whole.value(objective, logits + s * 1e-5 * way, view) for s in (1, -1)]
        assert np.sum(gradient * way) == pytest.approx((ends[0] - ends[1]) / 2e-5, abs=1e-8)


@pytest.mark.parametrize(("name", "view"), [("tables", 0), ("three states", 1)])
def test_gradient_is_that_of_the_equations(wholes, name, view):
    whole, objective = wholes[name], mixed(*NETWORKS[name].start.shape)
    logits = whole.logits(view, seed=4)
    found = whole.gradient(objective, logits, view)
    truth = whole.differentiated(objective, logits, view)
    np.testing.assert_allclose(found, truth, atol=1e-12)


@pytest.mark.parametrize(
    ("truncation", "view"),
    [("none", 0), ("none", 1), ("conditional", 1), ("td", 0), ("placeholder", 1)],
)
def test_a_radius_as_wide_as_the_graph_truncates_nothing(wholes, truncation, view):
    for name in ("three states", "epidemic") if truncation != "td" else ("voters",):
        whole, objective = wholes[name], mixed(*NETWORKS[name].start.shape)
        logits = whole.logits(view, seed=4)
        full = whole.gradient(objective, logits, view)
        wide = whole.truncated(objective, logits, credit=9, truncation=truncation, view=view)
        np.testing.assert_allclose(wide, full, atol=ROUNDING)


@pytest.mark.parametrize("radius", [0, 1, 2, 3])
@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_kept_is_exact_for_own_state_policies(wholes, name, radius):
    """Means given states and actions nearby cost nothing beyond the agents that are dropped."""
    whole, objective = wholes[name], mixed(*NETWORKS[name].start.shape)
    logits = whole.logits(0, seed=4)
    dropped = whole.truncated(objective, logits, credit=radius)
    for critic in (radius, radius + 1):
        means = whole.truncated(
            objective, logits, credit=radius, critic=critic, truncation="conditional"
        )
        np.testing.assert_allclose(means, dropped, atol=1e-12)


def test_placeholders_are_far_worse_than_what_a_critic_finds(wholes):
    """Of what 5-agent chains lose, in order: dropped agents, what TD finds, placeholders."""
    whole, objective = wholes["tables"], mixed(5)
    logits = whole.logits(0, seed=2)
    full = whole.gradient(objective, logits)
    for radius in range(3):
        off = {
            kind: np.linalg.norm(
                whole.truncated(objective, logits, credit=radius, truncation=kind) - full
            )
            for kind in ("none", "td", "placeholder")
        }
        assert off["td"] == pytest.approx(off["none"], rel=0.3)
        assert off["placeholder"] > 4 * off["none"]


def test_agents_that_have_nothing_to_do_with_each_other_need_no_radius():
    whole = enumerate_network(tables(LINE, coupling=0.0, seed=3), 0.9)
    objective, logits = mixed(5), whole.logits(0, seed=1)
    full = whole.gradient(objective, logits)
    for truncation in ("none", "conditional", "td"):
        near = whole.truncated(objective, logits, credit=0, truncation=truncation)
        np.testing.assert_allclose(near, full, atol=1e-12)


def test_temporal_differences_find_their_fixed_point(wholes):
    """Expected updates of a table of what is nearby, until they stand still."""
    whole, radius = wholes["tables"], 1
    joint = whole.joint(whole.logits(0, seed=6))
    reward = np.asarray(NETWORKS["tables"].table, np.float64)
    values = whole.action_values(joint, reward)
    found = whole._known(joint, reward, values, radius, "td")
    agent = 2
    _, cell = np.unique(whole._nearby(agent, radius), return_inverse=True)
    cell = cell.reshape(values[agent].shape)
    paid = reward[agent][whole.states[:, agent][:, None], whole.actions[:, agent]]
    table = np.zeros(cell.max() + 1)
    weight = np.bincount(cell.ravel(), joint.occupancy.ravel())
    for _ in range(200):
        ahead = whole.move @ (joint.policy * table[cell]).sum(axis=1)
        error = joint.occupancy * (paid + 0.8 * ahead - table[cell])
        table = table + np.bincount(cell.ravel(), error.ravel()) / weight
    np.testing.assert_allclose(found[agent], table[cell], atol=1e-12)


def test_relabelled_agents_have_relabelled_gradients(wholes):
    order = np.array([3, 0, 4, 1, 2])
    place = np.argsort(order)
    base = NETWORKS["voters"]
    weight = np.random.default_rng(0).random((5, 5)) * base.graph.adjacency.toarray()
    weight /= weight.sum(axis=1, keepdims=True)
    given = {"alpha": 0.7, "start": 0.3}
    moved = Graph(5, place[base.graph.edges])
    one = enumerate_network(voters(base.graph, weight=weight, **given), 0.8)
    two = enumerate_network(voters(moved, weight=weight[order][:, order], **given), 0.8)
    objective = mixed(5)
    parts = tuple(
        Part(name=p.name, utility=p.utility, who=place[np.asarray(p.who)]) for p in objective.parts
    )
    logits = one.logits(0, seed=8)
    for radius in (0, 1, 5):
        first = one.truncated(objective, logits, credit=radius)
        second = two.truncated(Mean(parts=parts), logits[order], credit=radius)
        np.testing.assert_allclose(second, first[order], atol=1e-9)


def test_an_isolated_agent_changes_only_the_scale(wholes):
    four = graphs.line(4)
    wider = Graph(5, four.edges)
    both = [enumerate_network(voters(graph, alpha=0.6), 0.8) for graph in (four, wider)]
    want = Imitation(target=np.array([0.3, 0.7]))
    logits = both[1].logits(0, seed=9)
    small = both[0].gradient(everybody(want, 4), logits[:4])
    large = both[1].gradient(everybody(want, 5), logits)
    np.testing.assert_allclose(5 * large[:4], 4 * small, atol=1e-12)


def test_a_constant_more_for_everybody_changes_no_gradient(wholes):
    whole, logits = wholes["tables"], wholes["tables"].logits(0, seed=1)
    table = np.random.default_rng(1).normal(size=(2, 2))
    found = [
        whole.truncated(everybody(Linear(reward=table + c), 5), logits, credit=1) for c in (0, 3)
    ]
    np.testing.assert_allclose(*found, atol=1e-7)


def test_a_linear_utility_is_the_ordinary_return(wholes):
    whole, logits = wholes["tables"], wholes["tables"].logits(0, seed=1)
    table = NETWORKS["tables"].table
    joint = whole.joint(logits)
    values = whole.action_values(joint, np.asarray(table, np.float64)).mean(axis=0)
    expected = 0.2 * whole.start @ np.sum(joint.policy * values, axis=1)
    value = whole.value(everybody(Linear(reward=table), 5, each=True), logits)
    assert value == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("view", "ticks"), [(0, 1), (1, 0)])
def test_the_light_cone_is_attained_by_a_chain_that_copies(view, ticks):
    """Off by gamma^(k+1) / (1 - gamma) for policies of the own state; one tick less where they
    read a neighbour's and rewards read the action."""
    discount, agents = 0.8, 5
    weight = np.eye(agents, k=1)
    weight[-1, -1] = 1
    network = voters(graphs.line(agents), alpha=1.0, weight=weight)
    whole = enumerate_network(network, discount)
    reward = np.zeros((agents, 2, 2))
    logits = whole.logits(view)
    if view == 0:
        reward[:, 1] = 1.0
    else:
        # Everybody does what the next one's state is.
        reward[:, :, 1] = 1.0
        near = network.graph.balls(1).member
        for agent in range(agents - 1):
            slot = int(np.flatnonzero(near[agent] == agent + 1)[0])
            digit = (np.arange(logits.shape[1]) >> slot) & 1
            logits[agent, :, 1] = 1000.0 * (2 * digit - 1)
    joint = whole.joint(logits, view)
    decay = whole.decay(whole.action_values(joint, reward))
    for radius in range(1, agents - 1):
        bound = discount ** (radius + ticks) / (1 - discount)
        assert discount ** network.reach.delay(radius, view) / (1 - discount) == bound
        assert decay[0, radius] == pytest.approx(bound, rel=1e-12)


def test_what_cannot_be_enumerated_is_told():
    with pytest.raises(UserError, match=r"100 agents with 2 states .* have 2\^300 chances"):
        enumerate_network(voters(graphs.ring(100), alpha=0.5), 0.9)
    with pytest.raises(UserError, match="discount: expected from 0 to below 1"):
        enumerate_network(NETWORKS["voters"], 1.0)


def test_worlds_draw_from_the_laws(wholes):
    """Counts of a hundred thousand draws, against the chances, at one joint state and action."""
    whole = wholes["epidemic"]
    from descant.ops.networked import State, world

    env = world(NETWORKS["epidemic"], 10)
    state = State(jnp.asarray(whole.states[13], jnp.int8), jnp.int32(0))
    keys = jax.random.split(jax.random.key(0), 20_000)
    after = jax.jit(jax.vmap(lambda key: env.step(key, state, jnp.asarray(whole.actions[7]))[0]))
    mean = np.asarray(after(keys).local).mean(axis=0)
    law = whole.laws[13, 7, :, 1]
    assert np.all(np.abs(mean - law) < 4 * np.sqrt(law * (1 - law) / len(keys)) + 1e-6)
