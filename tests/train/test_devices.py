"""Scenarios on two devices are those on one; a second process has them, for XLA counts once."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from descant.core.errors import UserError
from descant.train.devices import mesh, provide

TESTS = Path(__file__).parents[1]
SCRIPT = """\
import json
from dataclasses import replace

import jax
import numpy as np

from builders import SMALL
from descant.algorithms import mappo
from descant.core.errors import UserError
from descant.ops.devices import apart, shared
from descant.train.devices import mesh, provide
from descant.train.loop import compile_period, plan, start
from toys import balance

provide(2)
jax.config.update("jax_disable_most_optimizations", True)
toy = balance.make(balance.Config(horizon=6))
algorithm = mappo.make(replace(SMALL, net="linear"), toy)


def train(devices, steps):
    '''Two seeds, three iterations.'''
    what = plan(
        *(algorithm, toy.env), rollouts=4, steps=steps, iterations=3, mesh=mesh(devices, 4)
    )
    runs, keys = start(what, 0, 2)
    program = compile_period(what, runs, keys, 1)
    for index in range(3):
        runs, metrics = program(runs, keys, np.int32(index))
    leaves = jax.tree.leaves((runs, metrics))
    places = {tuple(x.sharding.spec) for x in leaves} if devices == 2 else set()
    return leaves, sorted(places, key=len)


far, places = [], []
for steps in (0, 4):
    one, _ = train(1, steps)
    two, where = train(2, steps)
    places.append(where)
    far.append(max(float(np.max(np.abs(np.asarray(a, float) - np.asarray(b)), initial=0))
                   for a, b in zip(one, two, strict=True)))
problems = []
for devices, scenarios in ((3, 6), (2, 3)):
    try:
        mesh(devices, scenarios)
    except UserError as error:
        problems.append(str(error))
with jax.set_mesh(mesh(2, 2)):
    spread = [jax.jit(lambda x: shared(x, axis=1))(np.zeros((3, n))).sharding.spec for n in (4, 5)]


def running(x, y, factor):
    return jax.vmap(lambda x, y: jax.lax.fori_loop(0, 3, lambda _, c: c * factor + y, x))(x, y)


def added(x, y, factor):
    return apart(running, (x, y), (factor,)), y


x, y = np.arange(4.0), np.arange(8.0)[4:]
with jax.set_mesh(mesh(2, 2)):
    program = jax.jit(added).lower(x, y, 2.0).compile()
    odd = jax.jit(added)(x[:3], y[:3], 2.0)[0]
alone = running(x, y, 2.0)
apart_far = max(float(abs(program(x, y, 2.0)[0] - alone).max()), float(abs(odd - alone[:3]).max()))
said = {
    "apart": apart_far,
    "part": list(program(x, y, 2.0)[0].sharding.spec),
    "far": far,
    "places": places,
    "problems": problems,
    "all": mesh("all", 4).size,
    "spread": [str(s) for s in spread],
}
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def found():
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_two_devices_compute_what_one_does(found):
    """Whole episodes, and rollouts that go on where the last one stopped."""
    assert max(found["far"]) < 1e-4, found["far"]


def test_worlds_are_spread_and_learners_everywhere(found):
    assert found["places"] == [[[]], [[], [None, "scenarios"]]]


def test_a_minibatch_is_cut_where_it_can_be(found):
    cut, whole = found["spread"]
    assert "scenarios" in cut
    assert "scenarios" not in whole


def test_what_is_computed_apart_is_the_same(found):
    """Also where there is nothing to be dealt out equally."""
    assert found["apart"] < 1e-5
    assert found["part"] == ["scenarios"]


def test_all_are_those_that_are_visible(found):
    assert found["all"] == 2


def test_what_does_not_fit_is_refused(found):
    many, uneven = found["problems"]
    assert many.startswith("--devices: expected at most 2, the cpu devices that are visible, got 3")
    assert uneven.startswith("train.rollouts: expected a multiple of the 2 devices")


def test_one_device_needs_no_mesh():
    assert mesh(1, 3) is None
    with pytest.raises(UserError, match="expected at most"):
        mesh(1 + len(jax.local_devices()), 64)


def test_devices_are_not_counted_anew_once_xla_runs():
    before = np.size(jax.devices())
    provide(before + 1)
    assert np.size(jax.devices()) == before
