"""Identities between algorithms, and between ways to run one; bits where bits are promised."""

import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from builders import SMALL, rollout
from descant.algorithms import _settings, dgpg, happo, ippo, iql, maipg, mappo
from descant.ascent.terms import Guidance
from descant.credit.links import Scale, chain
from descant.credit.schedules import Constant
from descant.train.loop import begin, compile_period, iterate, plan
from toys import balance, echo

TOYS = Path(__file__).parent / "toys"
KEY = jax.random.key(0)
TOY = balance.make(balance.Config())
LINEAR = replace(SMALL, net="linear")


def train(toy, algorithm, iterations=3):
    """The learner after some iterations, all in one program."""
    what = plan(algorithm, toy.env, rollouts=2, steps=0, iterations=iterations)

    @jax.jit
    def run(key):
        step = lambda run, index: (iterate(what, run, key, index)[0], None)  # noqa: E731
        return jax.lax.scan(step, begin(what, key), jnp.arange(iterations))[0]

    out = run(KEY)
    assert int(out.skipped) == 0
    return out.learner


def parts(learner):
    """All of a learner but statistics of guidance and values of actions, which not all algorithms
    have."""
    return replace(learner, credit=(), evidence=(), actions=())


def assert_equal(a, b):
    for (path, x), y in zip(jax.tree.leaves_with_path(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(x, y, err_msg=jax.tree_util.keystr(path))


def assert_close(a, b, rtol=1e-4, atol=1e-5):
    for (path, x), y in zip(jax.tree.leaves_with_path(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(x, y, rtol, atol, err_msg=jax.tree_util.keystr(path))


def differ(a, b):
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return any(not np.array_equal(x, y) for x, y in pairs)


@contextmanager
def optimising():
    """Compile as training does; tests otherwise compile fast."""
    jax.config.update("jax_disable_most_optimizations", False)
    try:
        yield
    finally:
        jax.config.update("jax_disable_most_optimizations", True)


@pytest.fixture(scope="module")
def plain():
    with optimising():
        return parts(train(TOY, mappo.make(LINEAR, TOY)))


class TestWeightZero:
    """DG-PG without guidance is MAPPO."""

    @pytest.mark.parametrize("guidance", ["sampled", "expected", "exact"])
    def test_to_the_bit(self, plain, guidance):
        config = dgpg.Config(base=LINEAR, guidance=guidance, start=0.0, stop=0.0)
        with optimising():
            assert_equal(parts(train(TOY, dgpg.make(config, TOY))), plain)

    def test_a_term_that_weighs_nothing_to_rounding(self, plain):
        """A program with a term in it is another program, so only rounding may differ."""
        base, nothing = mappo.make(LINEAR, TOY), Constant(level=0.0)
        term = Guidance(model=TOY.model, weight=nothing, kind="exact")
        algorithm = replace(
            base,
            credit=chain(base.credit, Scale(taken=nothing)),
            ascent=replace(base.ascent, terms=(term,)),
            model=TOY.model,
        )
        assert_close(parts(train(TOY, algorithm)), plain)


def test_maipg_without_weight_is_mappo_to_the_bit(plain):
    """Its value is learnt all the same, and changes nothing."""
    critic = _settings.Critic(hidden=8, depth=1)
    config = maipg.Config(base=LINEAR, critic=critic, nu=0.0)
    with optimising():
        learner = train(TOY, maipg.make(config, TOY))
    assert_equal(parts(learner), plain)
    assert differ(learner.actions.net, learner.actions.target)


def test_nor_does_a_value_that_remembers():
    base, critic = replace(SMALL, net="gru", chunk=2), _settings.Critic(hidden=8)
    config = maipg.Config(base=base, critic=critic, nu=0.0)
    with optimising():
        learner = train(TOY, maipg.make(config, TOY))
        assert_equal(parts(learner), parts(train(TOY, mappo.make(base, TOY))))
    assert differ(learner.actions.net.utilities.ear, learner.actions.target.utilities.ear)


def test_ippo_with_one_agent_is_mappo_with_one_agent():
    toy = balance.make(balance.Config(agents=1, idle=0.0))
    own = train(toy, ippo.make(ippo.Config(base=LINEAR), toy))
    assert_close(own, train(toy, mappo.make(LINEAR, toy)), rtol=1e-5, atol=1e-6)


def test_ippo_is_mappo_when_the_world_adds_nothing():
    """All agents see the same, so a mean of views is a view."""
    toy = balance.make(balance.Config(agents=4, idle=0.0, world=False))
    own = train(toy, ippo.make(ippo.Config(base=LINEAR), toy))
    assert_close(own, train(toy, mappo.make(LINEAR, toy)))


@pytest.fixture(scope="module")
def update():
    """One update of agents that choose at the same time, and what it is made from."""
    algorithm = dgpg.make(dgpg.Config(base=SMALL), TOY)
    learner = algorithm.init(KEY)
    step = jax.jit(lambda rollout: algorithm.update(learner, rollout, jnp.float32(0.3), KEY)[0])
    return step, rollout(agents=3)


class TestWhoIsWho:
    """Names and empty seats mean nothing to size-free networks, acting or learning."""

    def test_permuting_agents_changes_no_learner(self, update):
        step, given = update
        assert_close(step(given), step(seats(given, [2, 0, 1])))

    def test_an_empty_seat_changes_no_learner(self, update):
        step, given = update
        added = seats(given, [0, 1, 2, 0])
        active = added.observation.active.at[..., 3].set(False)
        size = added.context.size.at[..., 3].set(0.0)
        wild = jax.random.normal(KEY, active.shape)
        added = eqx.tree_at(
            lambda r: (r.observation.active, r.context, r.log_prob),
            added,
            (active, added.context._replace(size=size), jnp.where(active, added.log_prob, wild)),
        )
        assert_close(step(given), step(added))


def seats(given, order):
    """The rollout with agents in these seats."""
    order = jnp.array(order)
    return eqx.tree_at(
        lambda r: (
            *(r.observation.local, r.observation.mask, r.observation.active, r.action, r.log_prob),
            *(r.probes["slope"], r.context.size),
        ),
        given,
        (
            *(given.observation.local[:, :, order], given.observation.mask[:, :, order]),
            *(given.observation.active[:, :, order], given.action[:, :, order]),
            *(given.log_prob[:, :, order], given.probes["slope"][:, :, order]),
            given.context.size[:, :, order],
        ),
    )


WHAT = plan(dgpg.make(dgpg.Config(base=LINEAR), TOY), TOY.env, rollouts=2, steps=4, iterations=3)
KEYS = jax.random.split(jax.random.key(5), 2)


def start(keys):
    return jax.jit(jax.vmap(lambda key: begin(WHAT, key)))(keys)


@pytest.fixture(scope="module")
def singly():
    """Each seed by itself, period 1: runs and metrics."""
    out = []
    with optimising():
        period = compile_period(WHAT, start(KEYS[:1]), KEYS[:1], 1)
        for key in KEYS:
            runs, rows = start(key[None]), []
            for index in range(3):
                runs, metrics = period(runs, key[None], jnp.int32(index))
                rows.append(metrics)
            out.append((runs, jax.tree.map(lambda *x: np.concatenate(x), *rows)))
    return out


def test_periods_change_no_bit(singly):
    with optimising():
        runs = start(KEYS[:1])
        period = compile_period(WHAT, runs, KEYS[:1], 3)
    assert_equal(period(runs, KEYS[:1], jnp.int32(0)), singly[0])


def test_seeds_side_by_side_are_seeds_apart(singly):
    runs = start(KEYS)
    runs, metrics = compile_period(WHAT, runs, KEYS, 3)(runs, KEYS, jnp.int32(0))
    for seed, (alone, rows) in enumerate(singly):
        assert_close(jax.tree.map(lambda x, s=seed: x[s], runs), squeeze(alone, 0), 1e-3, 1e-4)
        column = jax.tree.map(lambda x, s=seed: x[:, s], metrics)
        assert_close(column, squeeze(rows, 1), 1e-3, 1e-3)
    first, second = (squeeze(alone, 0).learner.actor for alone, _ in singly)
    assert differ(first, second)


def test_rates_and_weights_that_go_in_count_as_constants_do(plain):
    what = plan(mappo.make(LINEAR, TOY), TOY.env, rollouts=2, steps=0, iterations=3)
    runs = jax.jit(jax.vmap(lambda key: begin(what, key)))(KEY[None])
    with optimising():
        runs, _ = compile_period(what, runs, KEY[None], 3)(runs, KEY[None], jnp.int32(0))
    assert_close(squeeze(parts(runs.learner), 0), plain)


def squeeze(tree, axis):
    return jax.tree.map(lambda x: x.squeeze(axis), tree)


class Crash(BaseException):
    """The process is gone."""


def test_ten_iterations_are_five_and_five(tmp_path, monkeypatch):
    """A run that dies after its fifth checkpoint and goes on, against one that never dies."""
    from descant import session
    from descant.train.config import Train
    from descant.train.settings import Settings
    from descant.train.toml import from_toml

    settings = Settings(
        str(TOYS / "balance.py"),
        balance_config(),
        "dgpg",
        dgpg.Config(base=LINEAR),
        Train(iterations=10, rollouts=2, validation=0, scenarios=0, keep=2),
        seeds=2,
    )
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    assert session.train(settings, whole).status == "finished"
    save = session.save

    def die(folder, step, *rest, **options):
        save(folder, step, *rest, **options)
        if step == 5:
            raise Crash

    monkeypatch.setattr(session, "save", die)
    with pytest.raises(Crash):
        session.train(settings, halves)
    monkeypatch.setattr(session, "save", save)
    assert from_toml(halves / "config.toml") == from_toml(whole / "config.toml")
    assert session.train(settings, halves).status == "finished"
    assert (halves / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()
    states = [dict(np.load(run / "checkpoints/00000010/state.npz")) for run in (whole, halves)]
    assert states[0].keys() == states[1].keys()
    for name, value in states[0].items():
        np.testing.assert_array_equal(value, states[1][name], err_msg=name)


def balance_config():
    """The toy's configuration as the library loads it from its file."""
    from descant.core import discovery

    return discovery.load("domains", str(TOYS / "balance.py")).Config()


DEVICES = """
import jax, jax.numpy as jnp, numpy as np
jax.config.update("jax_disable_most_optimizations", True)
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from dataclasses import replace
from builders import SMALL
from toys import balance, echo
from descant.algorithms import dgpg
from descant.train.loop import begin, iterate, plan

assert len(jax.devices()) == 2
toy = balance.make(balance.Config(stop=0.2))
config = dgpg.Config(base=replace(SMALL, net="linear"))
what = plan(dgpg.make(config, toy), toy.env, rollouts=4, steps=6, iterations=2)
keys = jax.random.split(jax.random.key(0), 2)
runs = jax.jit(jax.vmap(lambda key: begin(what, key)))(keys)
mesh = Mesh(np.array(jax.devices()), ("x",))

def put(tree, *axes):
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec(*axes)))

def two(runs, keys):
    def one(run, key):
        return jax.lax.scan(lambda r, i: iterate(what, r, key, i), run, jnp.arange(2))
    return jax.vmap(one)(runs, keys)

step = jax.jit(two)
alone = step(runs, keys)
by_seed = step(put(runs, "x"), put(keys, "x"))
by_world = step(put(runs)._replace(worlds=put(runs.worlds, None, "x")), put(keys))
assert len(jax.tree.leaves(by_seed[0].learner.actor)[0].sharding.device_set) == 2
for other in (by_seed, by_world):
    for a, b in zip(jax.tree.leaves(alone), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
print("equal")
"""


def test_one_device_is_two_devices():
    """Seeds or scenarios laid over two devices give the same learners, to rounding."""
    environment = os.environ | {
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
        "PYTHONPATH": str(Path(__file__).parent),
    }
    done = subprocess.run(
        [sys.executable, "-c", DEVICES], capture_output=True, text=True, env=environment
    )
    assert done.stdout == "equal\n", done.stderr[-3000:]


def test_happo_of_one_agent_is_mappo_with_weights_of_its_own():
    lone = balance.make(balance.Config(agents=1))
    config = replace(SMALL, net="mlp", sharing="separate")
    with optimising():
        ones = train(lone, mappo.make(config, lone))
        other = train(lone, happo.make(happo.Config(base=config), lone))
    assert_close(
        replace(ones, actor_state=()), replace(other, actor_state=()), rtol=1e-5, atol=1e-6
    )


def policy_gradient(net):
    return mappo.Config(
        net=net, hidden=16, chunk=0, minibatch=96, minibatches=0, epochs=4, rate=1e-2
    )


def utilities(net):
    return iql.Config(net=net, hidden=16, chunk=0, minibatch=96, updates=16, rate=1e-2, replay=2048)


@pytest.mark.parametrize("family", [policy_gradient, utilities])
def test_memory_lets_agents_echo_what_they_saw_and_nothing_else_does(family):
    """Chance is a half; the number is long gone when it is asked for."""
    domain = echo.make(echo.Config())
    scores = {}
    for net in ("gru", "mlp"):
        config = family(net)
        make = mappo.make if family is policy_gradient else iql.make
        what = plan(make(config, domain), domain.env, rollouts=64, steps=0, iterations=40)

        @jax.jit
        def run(key, what=what):
            step = lambda run, index: (lambda r: (r[0], r[1]["return"]))(  # noqa: E731
                iterate(what, run, key, index)
            )
            return jax.lax.scan(step, begin(what, key), jnp.arange(40))[1]

        scores[net] = 3 * float(jnp.mean(run(KEY)[-5:]))
    assert scores["gru"] > 0.9, scores
    assert abs(scores["mlp"] - 0.5) < 0.1, scores
