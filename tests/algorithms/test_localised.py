"""What localised learns from, against exact gradients of networks that can be solved."""

import math
from dataclasses import fields, replace
from functools import partial
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from descant.algorithms import localised
from descant.core.errors import UserError
from descant.core.graph import Graph
from descant.domains import epidemic, pistonball, traffic, voter, wireless
from descant.domains.tables.world import Tables, tables
from descant.evaluate.enumerated import enumerate_network
from descant.ops import graphs, occupancy
from descant.ops.networked import State, states_of, world
from descant.ops.policies import entropy
from descant.ops.utility import (
    Entropy,
    Imitation,
    Linear,
    Own,
    Shortfall,
    Weighted,
    dealt,
    everybody,
)
from descant.testing.contracts import check_algorithm
from descant.train.collect import collect, open_worlds
from descant.train.loop import compile_period, plan, start
from toys import balance

AGENTS, DISCOUNT, TICKS = 5, 0.6, 18
"""Beyond the last tick lies a share of 1e-4 of the discounted time."""
TABLE = np.random.default_rng(0).normal(size=(2, 2))
MIXED = dealt(
    AGENTS,
    {
        "kl": Imitation(target=np.array([0.3, 0.7])),
        "entropy": Entropy(),
        "linear": Linear(reward=TABLE),
    },
)
EPIDEMIC = epidemic.Config(agents=AGENTS, graph="line", contagion=0.8, horizon=TICKS)
DOMAINS = {
    "tables": SimpleNamespace(network=tables(graphs.line(AGENTS), coupling=1.0, sharp=2.0, seed=1)),
    "epidemic": epidemic.make(EPIDEMIC),
}


class Queues(Tables):
    """The same laws, of a network that says that its states are lengths."""

    @property
    def ordered(self):
        return True


def domain(name, objective=MIXED):
    base = voter.make(voter.Config(agents=AGENTS))
    network = DOMAINS[name].network
    return replace(
        base, name=name, network=network, objective=objective, env=world(network, TICKS), exact=None
    )


def learner_of(algorithm, logits):
    learner = algorithm.init(jax.random.key(0))
    actor = replace(learner.actor, logits=jnp.asarray(logits, jnp.float32))
    return learner._replace(actor=actor)


def rolled(algorithm, learner, env, key, scenarios):
    open_key, roll_key = jax.random.split(key)
    worlds = open_worlds(env, open_key, scenarios)
    return collect(algorithm, learner, env, worlds, roll_key, TICKS, renew=False)[1]


CASES = [
    ("tables", "cone", 1, 0, True),
    ("tables", "cone", 2, 0, False),
    ("tables", "mc", 1, 0, True),
    ("tables", "cone", 1, 1, True),
    ("epidemic", "cone", 2, 0, True),
    ("epidemic", "mc", 0, 0, False),
    ("epidemic", "cone", 9, 1, True),
]


@pytest.mark.parametrize(("name", "critic", "radius", "view", "baseline"), CASES)
def test_estimates_have_the_exact_truncated_gradient_as_mean(name, critic, radius, view, baseline):
    """Shadow rewards held at their exact values; within 4 standard errors, every entry."""
    config = localised.Config(
        credit_radius=radius, view=view, critic=critic, baseline=baseline, discount=DISCOUNT
    )
    algorithm = localised.make(config, domain(name))
    whole = enumerate_network(DOMAINS[name].network, DISCOUNT)
    logits = whole.logits(view, seed=3)
    shadow = whole.shadowed(MIXED, whole.joint(logits, view).occupancy)
    truth = AGENTS * whole.truncated(MIXED, logits, credit=radius, view=view)
    learner, frozen = learner_of(algorithm, logits), jnp.asarray(shadow, jnp.float32)
    env = world(DOMAINS[name].network, TICKS)

    @jax.jit
    @jax.vmap
    def estimates(key):
        rollout = rolled(algorithm, learner, env, key, 8)
        return algorithm.slope(learner, rollout, frozen, jnp.float32(0))[0].logits

    found = np.asarray(estimates(jax.random.split(jax.random.key(1), 2000)), np.float64)
    error = found.std(axis=0) / math.sqrt(len(found))
    off = np.abs(found.mean(axis=0) - truth)
    assert np.all(off <= 4 * error + 2e-4 * np.abs(truth).max()), np.max(off / (error + 1e-12))
    assert np.abs(truth).max() > 10 * np.median(error), "the truth must stand out from the noise"
    if radius >= AGENTS:
        full = AGENTS * whole.gradient(MIXED, logits, view)
        np.testing.assert_allclose(truth, full, atol=1e-12)


@pytest.mark.parametrize(("critic", "view"), [("cone", 0), ("mc", 0), ("cone", 1)])
def test_where_only_rewards_are_wanted_their_gradient_is_the_mean(critic, view):
    """Those that the network pays, which may read what others do and what a tick leaves."""
    made = domain("epidemic", None)
    config = localised.Config(credit_radius=2, view=view, critic=critic, discount=DISCOUNT)
    algorithm = localised.make(config, made)
    whole = enumerate_network(made.network, DISCOUNT)
    logits = whole.logits(view, seed=3)
    pay = -np.array([[0.0, EPIDEMIC.cost], [1.0, 1 + EPIDEMIC.cost]])
    linear = everybody(Linear(reward=pay), AGENTS)
    truth = AGENTS * whole.truncated(linear, logits, credit=2, view=view)
    learner = learner_of(algorithm, logits)

    @jax.jit
    @jax.vmap
    def estimates(key):
        rollout = rolled(algorithm, learner, made.env, key, 8)
        nothing = jnp.zeros((AGENTS, 2, 2))
        return algorithm.slope(learner, rollout, nothing, jnp.float32(0))[0].logits

    found = np.asarray(estimates(jax.random.split(jax.random.key(1), 1500)), np.float64)
    error = found.std(axis=0) / math.sqrt(len(found))
    off = np.abs(found.mean(axis=0) - truth)
    assert np.all(off <= 4 * error + 1e-3 * np.abs(truth).max())


@pytest.fixture(scope="module")
def one():
    """A rollout of three scenarios, rewards of the team linear."""
    linear = everybody(Linear(reward=TABLE), AGENTS)
    made = domain("tables", linear)
    algorithm = localised.make(localised.Config(credit_radius=1, discount=DISCOUNT), made)
    logits = np.random.default_rng(2).normal(size=(AGENTS, 2, 2))
    learner = learner_of(algorithm, logits)
    roll = jax.jit(partial(rolled, algorithm, learner, made.env, scenarios=3))
    return SimpleNamespace(
        domain=made, algorithm=algorithm, learner=learner, rollout=roll(jax.random.key(5))
    )


def test_linear_utilities_give_the_plain_policy_gradient_sample_by_sample(one):
    """What multiplies the score of every action: the discounted rewards of the neighbourhood from
    when they can be felt on, less those of the other scenarios."""
    state = np.asarray(states_of(one.rollout.observation, 2))
    action = np.asarray(one.rollout.action)
    reward = TABLE[state, action]
    scale = (1 - DISCOUNT) / (1 - DISCOUNT**TICKS) * DISCOUNT ** np.arange(TICKS)
    weighed = scale[:, None, None] * reward
    follows = np.zeros_like(weighed)
    for i in range(AGENTS):
        for j in range(max(0, i - 1), min(AGENTS, i + 2)):
            for t in range(TICKS):
                follows[t, :, i] += weighed[t if i == j else t + 2 :, :, j].sum(axis=0)
    plain = follows - (follows.sum(axis=1, keepdims=True) - follows) / 2
    policy = one.algorithm.policy(one.learner)
    said = jax.vmap(jax.vmap(policy.assess))(one.rollout.observation, one.rollout.action)
    parts = one.algorithm.parts(one.learner, said, one.rollout)
    np.testing.assert_allclose(parts.learning, said.log_prob * plain, atol=1e-6)

    def surrogate(logits):
        policy = one.algorithm.policy(learner_of(one.algorithm, logits))
        said = jax.vmap(jax.vmap(policy.assess))(one.rollout.observation, one.rollout.action)
        return jnp.sum(said.log_prob * jnp.asarray(plain, jnp.float32)) / 3

    shadow = jnp.broadcast_to(jnp.asarray(TABLE, jnp.float32), (AGENTS, 2, 2))
    slope, _ = one.algorithm.slope(one.learner, one.rollout, shadow, jnp.float32(0))
    slope = slope.logits
    np.testing.assert_allclose(slope, jax.grad(surrogate)(one.learner.actor.logits), atol=1e-6)


def test_a_shift_of_shadow_rewards_changes_nothing(one):
    shadow = jnp.broadcast_to(jnp.asarray(TABLE, jnp.float32), (AGENTS, 2, 2))
    shift = jnp.arange(AGENTS, dtype=jnp.float32)[:, None, None]
    ask = partial(one.algorithm.slope, one.learner, one.rollout, progress=jnp.float32(0))
    slopes = [ask(x)[0].logits for x in (shadow, shadow + shift)]
    np.testing.assert_allclose(*slopes, atol=2e-6)


def test_who_is_far_away_or_not_there_is_never_read(one):
    """The last agent's NaN stays within the radius; padded lists lead to nobody."""
    shadow = jnp.zeros((AGENTS, 2, 2)).at[-1].set(jnp.nan)
    slope, _ = one.algorithm.slope(one.learner, one.rollout, shadow, jnp.float32(0))
    spoiled = np.isnan(slope.logits).any(axis=(1, 2))
    assert spoiled.tolist() == [False, False, False, True, True]


def test_a_radius_beyond_the_diameter_counts_everybody(one):
    shadow = jnp.broadcast_to(jnp.asarray(TABLE, jnp.float32), (AGENTS, 2, 2))
    slopes = [
        localised.make(localised.Config(credit_radius=radius, discount=DISCOUNT), one.domain)
        .slope(one.learner, one.rollout, shadow, jnp.float32(0))[0]
        .logits
        for radius in (4, 10**9)
    ]
    np.testing.assert_array_equal(*slopes)


def test_shared_tables_fit_networks_of_any_size():
    config = localised.Config(sharing="shared")
    shapes = []
    for agents in (5, 8):
        algorithm = localised.make(config, voter.make(voter.Config(agents=agents)))
        learner = algorithm.init(jax.random.key(0))
        shapes.append([leaf.shape for leaf in jax.tree.leaves(learner)])
        chances = algorithm.policy(learner).by_state()
        assert chances is not None and chances.shape == (agents, 2, 2)
    assert shapes[0] == shapes[1]


def test_agents_that_are_alone_need_no_radius():
    """Two of five have nobody, and what they learn from does not depend on the radius."""
    graph = Graph(AGENTS, np.array([[0, 1], [1, 2]]))
    network = tables(graph, coupling=0.5, seed=2)
    made = replace(domain("tables"), network=network, env=world(network, TICKS))
    slopes = []
    for radius in (0, 7):
        algorithm = localised.make(localised.Config(credit_radius=radius), made)
        learner = algorithm.init(jax.random.key(0))

        def slope(key, algorithm=algorithm, learner=learner):
            rollout = rolled(algorithm, learner, made.env, key, 3)
            shadow = made.objective.shadow(algorithm.occupancy(learner, rollout))
            return algorithm.slope(learner, rollout, shadow, jnp.float32(0))[0].logits

        slopes.append(jax.jit(slope)(jax.random.key(2)))
    near, far = slopes
    np.testing.assert_allclose(near[3:], far[3:], atol=1e-7)
    assert not np.allclose(near[:3], far[:3], atol=1e-3)


def test_estimated_occupancies_sum_to_one_and_come_nearer_with_more_scenarios(one):
    """As one over the root of their number."""
    whole = enumerate_network(one.domain.network, DISCOUNT)
    truth = whole.local(whole.joint(np.asarray(one.learner.actor.logits)).occupancy)
    algorithm, learner = one.algorithm, one.learner

    def error(scenarios, key):
        rollout = rolled(algorithm, learner, one.domain.env, key, scenarios)
        here = algorithm.occupancy(learner, rollout)
        return jnp.abs(here - truth.astype(np.float32)).sum(), here.sum(axis=(1, 2))

    sizes = [4, 16, 64, 256]
    errors = []
    for scenarios in sizes:
        keys = jax.random.split(jax.random.key(scenarios), 20)
        off, total = jax.jit(jax.vmap(partial(error, scenarios)))(keys)
        np.testing.assert_allclose(total, 1, atol=1e-4)
        errors.append(np.mean(off))
    slope = np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    assert slope == pytest.approx(-0.5, abs=0.08)


def trained(config, domain, iterations, scenarios):
    what = plan(
        localised.make(config, domain), domain.env,
        rollouts=scenarios, steps=0, iterations=iterations,
    )  # fmt: skip
    runs, keys = start(what, 0, 1)
    runs, metrics = compile_period(what, runs, keys, iterations)(runs, keys, np.int32(0))
    learner = jax.tree.map(lambda x: x[0], runs.learner)
    return what.algorithm.policy(learner), {
        name: np.asarray(x)[:, 0] for name, x in metrics.items()
    }


@pytest.mark.parametrize("sharing", ["own", "shared"])
def test_it_comes_near_the_best_that_any_policy_can_do(sharing):
    """Voters with utilities of three kinds, or, where all share a table, of one."""
    kind = "thirds" if sharing == "own" else "coverage"
    made = voter.make(voter.Config(agents=9, graph="torus", horizon=30, utility=kind))
    config = localised.Config(sharing=sharing, credit_radius=1, rate=0.1)
    policy, metrics = trained(config, made, 80, 16)
    exact = made.exact(0.9)
    _, most = exact.bracket(made.objective)
    value = exact.value(made.objective, np.asarray(policy.by_state(), np.float64)[:, :, 1])
    first = exact.value(made.objective, np.full((9, 2), 0.5))
    assert most - value < 0.05 * abs(most) and value > first
    assert metrics["objective"][-10:].mean() > metrics["objective"][0]
    groups = {"kl", "entropy", "linear"} if sharing == "own" else {"Coverage"}
    assert {name[8:] for name in metrics if name.startswith("utility_")} == groups
    # Four neighbours' returns, four bytes each, for every tick of every scenario.
    assert metrics["messages"][0] == 4 * 30 * 16 and metrics["bytes"][0] == 4 * 4 * 30 * 16


@pytest.mark.parametrize("sharing", ["own", "shared"])
def test_networks_of_the_own_state_are_tables_of_it_with_other_parameters(one, sharing):
    """Their occupancies and shadow rewards are the same, and so, by the chain rule, is what they
    learn from a rollout."""
    settings = {"credit_radius": 1, "discount": DISCOUNT, "sharing": sharing}
    config = localised.Config(**settings, net="mlp", hidden=8, depth=1)
    nets = localised.make(config, one.domain)
    tables = localised.make(replace(config, net="table"), one.domain)
    learner = nets.init(jax.random.key(3))
    views = [one.domain.env.observe(State(jnp.full(AGENTS, s), jnp.int32(0))) for s in (0, 1)]
    # Larger than they begin with, so that chances differ.
    body = replace(learner.actor.body, weights=tuple(20 * w for w in learner.actor.body.weights))
    net = replace(learner.actor, body=body)

    def listed(net):
        return jnp.stack([net(view) for view in views], axis=1)

    flat = replace(tables.init(jax.random.key(0)).actor, logits=listed(net))
    assert np.ptp(np.asarray(flat.logits)) > 0.1
    shadow = MIXED.shadow(jnp.full((AGENTS, 2, 2), 0.25))
    mine, theirs = learner._replace(actor=net), tables.init(jax.random.key(0))
    every = tables.actors
    if sharing == "shared":
        # What is pulled back is of each agent.
        every = replace(every, shared=False)
    weight, _ = tables._weight(theirs, one.rollout, shadow, jnp.float32(0))
    np.testing.assert_allclose(
        nets._weight(mine, one.rollout, shadow, jnp.float32(0))[0], weight, atol=1e-6
    )
    ticks = occupancy.tick_weights(DISCOUNT, TICKS)
    seen = one.rollout.observation
    wanted = every.occupied(flat, every.visits(flat, seen, ticks))
    np.testing.assert_allclose(nets.occupancy(mine, one.rollout), wanted, atol=1e-6)
    slope = nets.slope(mine, one.rollout, shadow, jnp.float32(0))[0]
    pulled = jax.vjp(listed, net)[1](every.slope(flat, one.rollout, weight).logits)[0]
    count = AGENTS if sharing == "shared" else 1
    pairs = zip(jax.tree.leaves(slope), jax.tree.leaves(pulled), strict=True)
    for a, b in pairs:
        np.testing.assert_allclose(a, b / count, atol=1e-6)
    spread = nets.actors.spread(net, one.rollout, ticks)
    pulled = jax.vjp(listed, net)[1](every.spread(flat, one.rollout, ticks).logits)[0]
    for a, b in zip(jax.tree.leaves(spread), jax.tree.leaves(pulled), strict=True):
        np.testing.assert_allclose(a, b / count, atol=1e-6)
    # The same as the slope of the mean entropy of tables by differentiation.
    visits = every.visits(flat, seen, ticks)
    mean = jax.grad(lambda logits: jnp.sum(visits * entropy(jax.nn.log_softmax(logits))))
    found = every.spread(flat, one.rollout, ticks).logits
    np.testing.assert_allclose(found, mean(flat.logits), atol=1e-6)


@pytest.mark.parametrize(
    ("make", "changes"),
    [
        (
            lambda: traffic.make(traffic.Config(rows=2, columns=3, utility="fair", horizon=6)),
            {"critic": "neural", "occupancy": "restart", "chains": 3, "view": 1, "memory": 0.5},
        ),
        (
            lambda: pistonball.make(pistonball.Config(agents=5, entropy=2.0, horizon=6)),
            {"critic": "gae", "occupancy": "kernel", "sharing": "shared", "split": True},
        ),
        (
            lambda: voter.make(voter.Config(agents=5, horizon=6)),
            {"net": "mlp", "critic": "neural", "occupancy": "polynomial", "view": 1},
        ),
    ],
    ids=["traffic", "pistonball", "voter"],
)
def test_contract_where_networks_choose_and_judge(make, changes):
    config = localised.Config(**changes, hidden=8, depth=1, sweeps=2)
    check_algorithm(lambda domain: localised.make(config, domain), make())


def test_networks_and_their_critics_come_near_the_best_too():
    made = voter.make(voter.Config(agents=9, graph="torus", horizon=30, utility="coverage"))
    config = localised.Config(
        net="mlp", critic="neural", occupancy="restart", sharing="shared", credit_radius=1,
        rate=0.02, hidden=16, depth=1, sweeps=10,
    )  # fmt: skip
    policy, _ = trained(config, made, 80, 16)
    views = [made.env.observe(State(jnp.full(9, s), jnp.int32(0))) for s in (0, 1)]
    push = np.exp(np.stack([policy.log_probabilities(view)[:, 1] for view in views], axis=1))
    exact = made.exact(0.9)
    _, most = exact.bracket(made.objective)
    value = exact.value(made.objective, push)
    first = exact.value(made.objective, np.full((9, 2), 0.5))
    assert most - value < 0.05 * abs(most) and value > first


def test_critics_begin_differently_in_every_seed():
    """Side by side as in training, and the same again for the same seed."""
    made = voter.make(voter.Config(agents=3, horizon=4))
    config = localised.Config(critic="neural", hidden=4, depth=1)
    program = plan(localised.make(config, made), made.env, rollouts=2, steps=0, iterations=1)
    one, again, other = (start(program, seed, 2)[0].learner.credit[0].net for seed in (0, 0, 1))
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(again), strict=True):
        np.testing.assert_array_equal(a, b)
    for drawn, elsewhere in zip(
        (one.names, *one.body.weights), (other.names, *other.body.weights), strict=True
    ):
        assert np.all(np.asarray(drawn[0]) != np.asarray(drawn[1]))
        assert np.all(np.asarray(drawn) != np.asarray(elsewhere))


def test_points_take_no_tables():
    made = traffic.make(traffic.Config(rows=2, columns=2))
    with pytest.raises(UserError, match=r"algorithm\.net: states of 'traffic' are points"):
        localised.make(localised.Config(net="table"), made)
    with pytest.raises(UserError, match=r"algorithm\.critic: 'td' counts states"):
        localised.make(localised.Config(critic="td"), made)


@pytest.mark.parametrize("model", ["polynomial", "kernel"])
def test_models_of_laws_want_states_in_an_order(model):
    """Queues, heights and any two states have one; packets that wait have none, unless a network
    says that its states do."""
    config = localised.Config(occupancy=model)
    told = wireless.make(wireless.Config(rows=2, columns=2))
    said = rf"algorithm.occupancy: '{model}' is for .* 4 of 'wireless' .* 'batch' or 'restart'"
    with pytest.raises(UserError, match=said):
        localised.make(config, told)
    three = replace(domain("tables", None), name="three")
    network = tables(graphs.line(AGENTS), states=3, coupling=1.0, seed=1)
    with pytest.raises(UserError, match="the 3 of 'three'"):
        localised.make(config, replace(three, network=network, env=world(network, TICKS)))
    queues = Queues(**{field.name: getattr(network, field.name) for field in fields(network)})
    localised.make(config, replace(three, network=queues, env=world(queues, TICKS)))
    for made in (
        voter.make(voter.Config(agents=3)),
        epidemic.make(EPIDEMIC),
        traffic.make(traffic.Config(rows=2, columns=2)),
        pistonball.make(pistonball.Config(agents=5)),
    ):
        localised.make(config, made)


def test_halves_and_cuts():
    made = domain("tables")
    config = localised.Config(split=True, cut=0.5, discount=DISCOUNT)
    algorithm = localised.make(config, made)
    learner = algorithm.init(jax.random.key(0))

    def learn(scenarios):
        rollout = rolled(algorithm, learner, made.env, jax.random.key(0), scenarios)
        return algorithm.update(learner, rollout, jnp.float32(0), jax.random.key(1))

    after, metrics = jax.jit(partial(learn, 4))()
    assert 0 < metrics["shadow_cut"] <= 1 and np.isfinite(after.actor.logits).all()
    with pytest.raises(UserError, match="takes at least 2"):
        jax.eval_shape(partial(learn, 1))


def test_what_cannot_work_is_refused():
    with pytest.raises(UserError, match="has no network"):
        localised.make(localised.Config(), balance.make(balance.Config()))
    for function in (lambda x: x[0], lambda x: jax.lax.stop_gradient(x[0, 0])):
        team = everybody(Own(function=function), AGENTS)
        with pytest.raises(UserError, match="objective 'Own'"):
            localised.make(localised.Config(), domain("tables", team))
    for field, value in {
        "entropy": -1.0,
        "credit_radius": -1,
        "view": -1,
        "discount": 1.0,
        "rate": 0.0,
        "cut": -1.0,
        "chains": 0,
        "bandwidth": 0.0,
    }.items():
        with pytest.raises(UserError, match=f"algorithm.{field}: expected"):
            localised.Config(**{field: value}).validate()
    made = domain("tables")
    algorithm = localised.make(localised.Config(), made)
    learner = algorithm.init(jax.random.key(0))
    worlds = jax.eval_shape(lambda: open_worlds(made.env, jax.random.key(0), 2))

    def part(worlds):
        keys = jax.random.key(0)
        return collect(algorithm, learner, made.env, worlds, keys, TICKS - 1, renew=True)[1]

    rollout = jax.eval_shape(part, worlds)
    with pytest.raises(UserError, match=f"train.steps: .* whole episodes of {TICKS} ticks"):
        jax.eval_shape(algorithm.update, learner, rollout, jnp.float32(0), jax.random.key(0))


@pytest.mark.parametrize("dual", ["closed", "ascent", "augmented", "none"])
def test_constraints_are_kept_at_a_price(dual):
    """Voters paid for opinion 1 alone would all hold it; asked for variety, they do not."""
    paid = {"utility": "linear", "cost": 0.0, "low": 0.0, "high": 1.0, "entropy": 0.65}
    made = voter.make(voter.Config(agents=9, graph="torus", horizon=30, **paid))
    settings = localised.Config(
        credit_radius=1, rate=0.1, dual=dual, dual_rate=1.0 if dual != "closed" else 20.0
    )
    policy, metrics = trained(settings, made, 120, 16)
    exact = made.exact(0.9)
    occupied = exact.occupancy(np.asarray(policy.by_state(), np.float64))
    short = np.maximum(-np.asarray(made.constraint.local(jnp.asarray(occupied))), 0)
    if dual == "none":
        assert short.mean() > 0.1 and "violation" not in metrics
        return
    assert short.mean() < (0.08 if dual == "closed" else 0.04)
    assert metrics["price"][-1] > 0
    if dual == "closed":
        # What is climbed is the objective less a charge by the square, whose optimum is known.
        charged = Shortfall(utility=Entropy(), least=0.65, weight=20.0)
        both = Weighted(
            parts=(Linear(reward=np.array([[0.0, 0.0], [1.0, 1.0]])), charged), weights=(1.0, 1.0)
        )
        push = exact.optimum(everybody(both, 9)).push
        best = exact.occupied(np.stack([push, push], axis=1)).occupancy
        still = np.maximum(-np.asarray(made.constraint.local(jnp.asarray(best))), 0)
        assert short.mean() == pytest.approx(still.mean(), abs=0.02)
        price = metrics["price"][-1]
        assert metrics["violation"][-1] / 9 == pytest.approx(price / 20.0, rel=1e-3)
