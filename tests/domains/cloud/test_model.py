"""The fluid view of a cluster: water filling, its metric, and what agents add to the distance."""

import functools
import itertools
from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
import scipy.optimize
from given import scenario_of, world

from descant.domains.cloud.model import FULL, Context, Placement, Tables, fill, settle, stand_ins

NATURAL = np.array([1000, 1024, 1000])
KAPPAS = (0.0, 0.5, 4.0, 30.0)


def drawn_of(rng: np.random.Generator, servers: int = 8, groups: int = 8, gpus: bool = False):
    """A cluster of the paper's machines, a few of them with GPUs if asked."""
    drawn = oracle.tight(rng, servers, groups)
    drawn = replace(drawn, capacity=8 * drawn.capacity)
    if not gpus:
        return drawn
    count = 1000 * np.where(np.arange(servers) < 3, [2, 4, 8][:3] + [0] * (servers - 3), 0)
    demand = np.concatenate([drawn.demand, np.full_like(drawn.demand[:, :1], 500)], axis=1)
    capacity = np.concatenate([drawn.capacity, count[:, None]], axis=1)
    return replace(drawn, capacity=capacity, demand=demand)


@pytest.fixture(scope="module")
def cluster():
    """Eight servers, three resources, GPUs on three servers only."""
    return drawn_of(np.random.default_rng(1), gpus=True)


filled = jax.jit(fill)


@pytest.fixture(scope="module")
def tables_at(cluster):
    """Tables of the cluster by weight of energy."""
    return functools.cache(functools.partial(tables_of, cluster))


def tables_of(drawn: oracle.Scenario, kappa: float) -> Tables:
    env, _ = world(drawn, kappa=kappa)
    return jax.jit(env.prepare)(scenario_of(drawn))


def bisected(capacity: np.ndarray, eta: np.ndarray, total: float, kappa: float) -> np.ndarray:
    """mu clip(nu - kappa / eta^2, 0, 1) with the water level nu found by halving, in 64 bits."""
    if total >= capacity.sum():
        return capacity * (total / capacity.sum() if capacity.sum() else 0.0)
    low, high = 0.0, 1 + kappa / eta.min() ** 2
    for _ in range(200):
        level = (low + high) / 2
        held = capacity * np.clip(level - kappa / eta**2, 0, 1)
        low, high = (level, high) if held.sum() < total else (low, level)
    return held


def totals(tables: Tables, share: float):
    return share * jnp.sum(tables.capacity, axis=0)


@pytest.mark.parametrize("kappa", KAPPAS)
@pytest.mark.parametrize("share", [0.0, 0.003, 0.2, 0.55, 0.97, 1.0, 1.7])
def test_filling_by_table_is_filling_by_bisection(cluster, share, kappa, tables_at):
    tables = tables_at(kappa)
    held = filled(tables, totals(tables, share))
    for r in range(held.shape[1]):
        capacity = cluster.capacity[:, r] / NATURAL[r]
        expected = bisected(capacity, cluster.efficiency, share * capacity.sum(), kappa)
        np.testing.assert_allclose(held[:, r], expected, rtol=1e-4, atol=2e-5 * capacity.sum())


@pytest.mark.parametrize("kappa", [0.0, 0.5, 4.0])
@pytest.mark.parametrize("share", [0.1, 0.6, 0.9])
def test_the_reference_solves_its_convex_program(cluster, share, kappa, tables_at):
    """min sum x^2 / 2 mu + kappa x / eta^2 over sum x = C, 0 <= x <= mu; by a general solver."""
    tables = tables_at(kappa)
    held = np.asarray(filled(tables, totals(tables, share)), float)
    price = kappa / cluster.efficiency**2
    for r in (0, 1):
        capacity = cluster.capacity[:, r] / NATURAL[r]
        total = share * capacity.sum()

        def cost(x, capacity=capacity):
            return np.sum(x**2 / (2 * capacity) + price * x)

        solution = scipy.optimize.minimize(
            cost,
            jac=lambda x, capacity=capacity: x / capacity + price,
            x0=share * capacity,
            bounds=[(0, mu) for mu in capacity],
            constraints={"type": "eq", "fun": lambda x, total=total: x.sum() - total},
            method="SLSQP",
            options={"ftol": 1e-12, "maxiter": 500},
        )
        assert solution.success
        assert cost(held[:, r]) == pytest.approx(solution.fun, rel=1e-4)
        np.testing.assert_allclose(held[:, r], solution.x, atol=0.01 * capacity.max())


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0, 2.5])
def test_without_kappa_load_is_in_proportion_to_capacity(share, tables_at):
    """Yang & Liu (2026), eq. 16, below and beyond capacity."""
    tables = tables_at(0.0)
    held = filled(tables, totals(tables, share))
    np.testing.assert_allclose(held, share * tables.capacity, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("kappa", KAPPAS)
def test_the_reference_holds_all_load(kappa, tables_at):
    tables = tables_at(kappa)
    for share in np.linspace(0, 2, 21):
        total = totals(tables, share)
        held = filled(tables, total)
        assert np.all(held >= 0)
        # In 32 bits, a thousandth of a per cent of all capacity.
        slack = 1e-5 * np.asarray(tables.capacity.sum(axis=0)) + 1e-6 * np.asarray(total)
        assert np.all(np.abs(held.sum(axis=0) - total) <= slack), share


def test_nothing_is_asked_of_a_server_without_the_resource(tables_at):
    tables = tables_at(4.0)
    for share in (0.1, 0.9, 1.5):
        held = filled(tables, totals(tables, share))
        assert np.all(held[3:, 2] == 0)
        assert np.all(np.isfinite(held))


def test_efficient_servers_fill_first(cluster, tables_at):
    """With energy weighing much, a server starts only when all better ones are full."""
    tables = tables_at(30.0)
    held = filled(tables, totals(tables, 0.5))
    used = np.asarray(held[:, 0] / tables.capacity[:, 0])
    order = np.argsort(-cluster.efficiency, kind="stable")
    assert np.all(np.diff(used[order]) <= 1e-5)
    assert (
        np.sum((used > 1e-4) & (used < 1 - 1e-4))
        <= np.bincount(np.unique(cluster.efficiency, return_inverse=True)[1]).max()
    )


def test_groups_add_up():
    """Capacity is the sum of the servers', efficiency their mean weighted by cores."""
    drawn = drawn_of(np.random.default_rng(2), servers=6, groups=3)
    tables = tables_of(drawn, 4.0)
    natural = drawn.capacity / NATURAL[:2]
    np.testing.assert_allclose(tables.capacity, natural.reshape(3, 2, 2).sum(axis=1))
    cores = natural[:, 0].reshape(3, 2)
    mean = (cores * drawn.efficiency.reshape(3, 2)).sum(axis=1) / cores.sum(axis=1)
    np.testing.assert_allclose(tables.start, 4.0 / mean**2, rtol=1e-6)
    np.testing.assert_allclose(tables.energy, 20 / (mean * cores.sum()), rtol=1e-6)
    np.testing.assert_allclose(tables.filled[-1], natural.sum(axis=0), rtol=1e-5)
    assert np.all(np.diff(tables.level) >= 0)


@pytest.fixture(scope="module")
def settled(tables_at):
    """Load by share of all capacity and factor on the price of energy."""
    tables = tables_at(0.0)
    run = jax.jit(lambda price, total: settle(tables.capacity, price, 1.0, total))
    return lambda share, dear=1.0: run(dear * tables.price, totals(tables, share))


class TestQueueing:
    """The reference with the least energy and M/M/1 queueing; a queue weighs 1."""

    def marginal(self, tables, held, dear=1.0):
        """p + w / (G mu) ((1 - u)^-2 - 1), in 64 bits."""
        size = np.asarray(tables.capacity, float)
        price = dear * np.asarray(tables.price, float)[:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            used = np.asarray(held, float) / size
            return price + 1 / (len(size) * size) * ((1 - used) ** -2 - 1)

    @pytest.mark.parametrize("dear", [0.0, 1.0, 30.0])
    @pytest.mark.parametrize("share", [0.003, 0.2, 0.55, 0.85, 0.97])
    def test_marginal_costs_are_equal_where_there_is_load_and_not_lower_elsewhere(
        self, tables_at, settled, share, dear
    ):
        tables = tables_at(0.0)
        held = np.asarray(settled(share, dear))
        cost = self.marginal(tables, held, dear)
        for r in range(3):
            has = np.asarray(tables.capacity)[:, r] > 0
            size = np.asarray(tables.capacity)[:, r]
            loaded = held[:, r] > 1e-5 * size
            level = cost[loaded, r].mean()
            np.testing.assert_allclose(cost[loaded, r], level, rtol=1e-3)
            assert np.all(cost[has & ~loaded, r] >= level * (1 - 1e-3))
            assert held[:, r].sum() == pytest.approx(share * size.sum(), rel=1e-5)
            assert np.all((held[:, r] >= 0) & (held[:, r] <= size))

    @pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
    def test_a_general_solver_finds_nothing_better(self, tables_at, settled, share):
        tables = tables_at(0.0)
        held = np.asarray(settled(share), float)
        price = np.asarray(tables.price, float)
        for r in (0, 1):
            size = np.asarray(tables.capacity, float)[:, r]
            total = share * size.sum()

            def cost(x, size=size):
                used = x / size
                return price @ x + np.sum(used**2 / (1 - used)) / len(size)

            def slope(x, size=size):
                return price + 1 / (len(size) * size) * ((1 - x / size) ** -2 - 1)

            solution = scipy.optimize.minimize(
                cost,
                jac=slope,
                x0=share * size,
                bounds=[(0, 0.999 * mu) for mu in size],
                constraints={"type": "eq", "fun": lambda x, total=total: x.sum() - total},
                method="SLSQP",
                options={"ftol": 1e-13, "maxiter": 500},
            )
            assert solution.success
            assert cost(held[:, r]) <= solution.fun * (1 + 1e-5)
            np.testing.assert_allclose(held[:, r], solution.x, atol=0.01 * size.max())

    def test_full_and_beyond_it_holds_all_load(self, tables_at, settled):
        size = np.asarray(tables_at(0.0).capacity)
        assert np.all(np.asarray(settled(0.0)) == 0)
        for share in (FULL, 1.0, 1.7):
            held = np.asarray(settled(share))
            np.testing.assert_allclose(held.sum(axis=0), share * size.sum(axis=0), rtol=1e-5)
            assert np.all(held[size == 0] == 0)
            np.testing.assert_allclose(held[size > 0], (share * size)[size > 0], rtol=0.05)

    def test_energy_matters_when_queues_do_not(self, cluster, settled, tables_at):
        """At little load the efficient servers have it all; near capacity everybody has some."""
        held, size = np.asarray(settled(0.02, 30.0)), np.asarray(tables_at(0.0).capacity)
        best = cluster.efficiency >= np.sort(cluster.efficiency)[-4]
        assert held[best, 0].sum() == pytest.approx(held[:, 0].sum(), rel=1e-3)
        assert np.all(np.asarray(settled(0.97, 30.0))[:, 0] > 0.5 * size[:, 0])

    def test_the_safe_recipe(self, cluster, tables_at):
        """The reference maximises a concave reward on a convex set, so from everywhere in it
        moving there improves the reward, by at least what there is to gain."""
        tables = tables_at(0.0)
        env, _ = world(cluster)
        rewards = lambda x: sum(stand_ins(env, tables.capacity, tables.energy, x).values())  # noqa: E731
        total = totals(tables, 0.5)
        best = jax.jit(lambda: settle(tables.capacity, tables.energy, env.queue_weight, total))()

        @jax.jit
        def gains(key):
            # Somewhere with the same load: a random share of what each group could hold, scaled.
            x = tables.capacity * jax.random.uniform(key, tables.capacity.shape)
            x = x * (total / jnp.sum(x, axis=0))[None]
            legal = jnp.all(x <= 0.95 * tables.capacity)
            return legal, jnp.vdot(jax.grad(rewards)(x), best - x), rewards(best) - rewards(x)

        legal, slope, gain = jax.vmap(gains)(jax.random.split(jax.random.key(3), 200))
        assert np.sum(legal) > 20
        assert np.all(gain[legal] > 0)
        assert np.all(slope[legal] >= gain[legal] * (1 - 1e-3))


AGENTS = 3
GROUPS = 3


@pytest.fixture(scope="module")
def small() -> tuple[Placement, Context]:
    """Three agents, three groups of different size, one of which lacks the third resource."""
    rng = np.random.default_rng(4)
    drawn = drawn_of(rng, servers=GROUPS, groups=GROUPS)
    _, model = world(replace(drawn, agents=AGENTS))
    capacity = jnp.array([[32.0, 128.0, 4.0], [16.0, 64.0, 0.0], [96.0, 384.0, 8.0]])
    demand = jnp.array([[2.0, 5.0, 0.0], [7.0, 11.0, 0.0], [3.0, 30.0, 0.0]])
    context = Context(
        load=capacity * jnp.array([[0.7], [0.2], [0.5]]),
        reference=capacity * jnp.array([[0.4], [0.5], [0.6]]),
        capacity=capacity,
        energy=jnp.array([0.02, 0.03, 0.01]),
        demand=demand,
    )
    return model, context


def distance(context: Context, placed) -> float:
    """sum_r sum_j (x - ref)^2 / (2 mu_j sum mu), in 64 bits, for agents placed so far."""
    load = np.array(context.load, float)
    for agent, group in placed:
        load[group] += np.asarray(context.demand)[agent]
    capacity, total = np.asarray(context.capacity, float), 0.0
    for r in range(3):
        for j in range(GROUPS):
            if capacity[j, r] > 0:
                deviation = load[j, r] - float(context.reference[j, r])
                total += deviation**2 / (2 * capacity[j, r] * capacity[:, r].sum())
    return total


JOINT = list(itertools.product(range(GROUPS), repeat=AGENTS))


def test_potential_is_the_weighted_distance(small):
    model, context = small
    potential = eqx.filter_jit(jax.vmap(lambda action: model.potential(context, action)))
    values = potential(jax.nn.one_hot(jnp.array(JOINT), GROUPS))
    expected = [distance(context, enumerate(joint)) for joint in JOINT]
    np.testing.assert_allclose(values, expected, rtol=1e-5)


def test_metric_is_the_hessian_of_the_load_imbalance(small):
    """Eq. 15 per resource: sum_j mu_j / sum mu * (x_j / mu_j - u)^2 / 2 around the utilisation u of
    the reference has the second derivative 1 / (mu_j sum mu); zero where a group lacks a resource.
    """
    model, context = small
    has = context.capacity > 0
    size = jnp.where(has, context.capacity, 1.0)

    def imbalance(x):
        used = jnp.where(has, x.reshape(has.shape) / size, 0.0)
        weight = jnp.where(has, size, 0.0) / jnp.sum(context.capacity, axis=0, keepdims=True)
        return 0.5 * jnp.sum(weight * (used - 0.4) ** 2)

    hessian = jax.jit(jax.hessian(imbalance))(context.load.reshape(-1))
    np.testing.assert_allclose(jnp.diag(model.metric(context)), hessian, rtol=1e-5, atol=1e-12)


def test_the_marginal_is_what_each_adds_after_those_before(small):
    model, context = small
    marginal = eqx.filter_jit(jax.vmap(lambda action: model.marginal(context, action)))(
        jnp.array(JOINT)
    )
    for joint, values in zip(JOINT, marginal, strict=True):
        pairs = list(enumerate(joint))
        steps = [distance(context, pairs[:i]) for i in range(AGENTS + 1)]
        np.testing.assert_allclose(values, np.diff(steps), rtol=1e-3, atol=1e-6)


def test_in_turn_holds_every_alternative_of_the_marginal(small):
    model, context = small
    in_turn = eqx.filter_jit(jax.vmap(lambda action: model.in_turn(context, action)))(
        jnp.array(JOINT)
    )
    for joint, values in zip(JOINT, in_turn, strict=True):
        pairs = list(enumerate(joint))
        for i, j in itertools.product(range(AGENTS), range(GROUPS)):
            added = distance(context, [*pairs[:i], (i, j)]) - distance(context, pairs[:i])
            assert values[i, j] == pytest.approx(added, rel=1e-3, abs=1e-6)


def test_alternatives_keep_the_others_where_they_are(small):
    model, context = small
    value = eqx.filter_jit(jax.vmap(lambda action: model.alternatives(context, action)))(
        jnp.array(JOINT)
    )
    for joint, values in zip(JOINT, value, strict=True):
        for i, j in itertools.product(range(AGENTS), range(GROUPS)):
            others = [pair for pair in enumerate(joint) if pair[0] != i]
            added = distance(context, [*others, (i, j)]) - distance(context, others)
            assert values[i, j] == pytest.approx(added, rel=1e-3, abs=1e-6)


def test_expected_is_the_mean_over_all_joint_actions(small):
    model, context = small
    probabilities = np.random.default_rng(6).dirichlet(np.ones(GROUPS), size=AGENTS)
    chances = [np.prod(probabilities[range(AGENTS), joint]) for joint in JOINT]
    mean = sum(
        chance * distance(context, enumerate(joint))
        for chance, joint in zip(chances, JOINT, strict=True)
    )
    expected = eqx.filter_jit(model.expected)(context, jnp.asarray(probabilities, jnp.float32))
    assert expected == pytest.approx(mean, rel=1e-5)


def test_inactive_agents_add_nothing(small):
    model, context = small
    context = context._replace(demand=context.demand.at[1].set(0.0))
    action = jnp.array([2, 1, 0])
    assert eqx.filter_jit(model.marginal)(context, action)[1] == 0
    np.testing.assert_array_equal(eqx.filter_jit(model.alternatives)(context, action)[1], 0)


def test_alignment_by_hand(small):
    """Two groups of one resource each: moving load from the first to the second."""
    model, _ = small
    alignment = eqx.filter_jit(model.alignment)
    empty = jnp.zeros((1, 1))

    def aligned(load, reference, energy):
        context = Context(
            load=jnp.array(load)[:, None],
            reference=jnp.array(reference)[:, None],
            capacity=jnp.array([[10.0], [10.0]]),
            energy=jnp.array(energy),
            demand=empty,
        )
        return {name: int(x) for name, x in alignment(context, jnp.array([0])).items()}

    # From 0.9 and 0.1 to a half each: less waiting. The second group costs less energy ...
    better = aligned([9.0, 1.0], [5.0, 5.0], [0.02, 0.01])
    assert better == {"queue": 1, "energy": 1, "total": 1}
    # ... or more: waiting falls by far more than energy rises. At u = 0.9 one more job costs
    # (2u - u^2) / (1 - u)^2 = 99 of u and 0.23 at u = 0.1, halved and over ten: 4.9 a unit of load.
    mixed = aligned([9.0, 1.0], [5.0, 5.0], [0.01, 0.02])
    assert mixed == {"queue": 1, "energy": 0, "total": 1}
    # When energy differs by more than that, it decides.
    dear = aligned([9.0, 1.0], [5.0, 5.0], [1.0, 7.0])
    assert dear == {"queue": 1, "energy": 0, "total": 0}
    # Further from balance, towards the cheap group.
    away = aligned([6.0, 4.0], [9.0, 1.0], [0.01, 0.02])
    assert away == {"queue": 0, "energy": 1, "total": 0}


def test_context_counts_committed_load_and_this_ticks_jobs():
    """And what it holds is what the reference spreads: sum x = sum x~ once all jobs are placed."""
    drawn = drawn_of(np.random.default_rng(9), servers=4, groups=4)
    env, model = world(drawn, kappa=4.0)

    @jax.jit
    def after_some(actions):
        state, _ = env.reset(jax.random.key(0))
        state = jax.lax.scan(
            lambda s, a: (env.step(jax.random.key(0), s, a)[0], None), state, actions
        )[0]
        context = model.context(state)
        chosen = jax.nn.one_hot(actions[0], 4)
        return (
            context,
            model.respond(context, chosen),
            env.place(state, actions[0]).servers.committed,
        )

    actions = np.random.default_rng(0).integers(4, size=(12, 4))
    context, response, committed = after_some(jnp.asarray(actions))
    placed = np.asarray(committed) / NATURAL[:2]
    np.testing.assert_allclose(response.reshape(4, 2), placed, rtol=1e-5)
    np.testing.assert_allclose(context.reference.sum(axis=0), placed.sum(axis=0), rtol=1e-3)
    assert np.all(np.asarray(context.demand).sum(axis=0) > 0)
