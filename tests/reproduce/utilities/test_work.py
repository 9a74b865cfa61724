"""Measurements at sizes that take moments, and that every target asks for what there is."""

import inspect
import json

import numpy as np
import pytest

from descant.reproduce._common import targets
from descant.reproduce.utilities import _work
from descant.reproduce.utilities._jobs import Measure
from descant.reproduce.utilities.radii import effect, interaction

NAMES = [name for name in targets.names() if name.startswith("utilities.")]


@pytest.mark.parametrize("name", NAMES)
def test_targets_ask_for_what_can_be_measured(name):
    target = targets.load(name)
    for scale in target.scales.values():
        for job in target.jobs(scale):
            assert isinstance(job, Measure)
            parameters = inspect.signature(getattr(_work, job.what)).parameters
            assert set(dict(job.values)) <= set(parameters)
            assert job.seconds() > 0 and job.title


def test_decay_and_locality_of_a_small_ring():
    found = _work.decay(alpha=0.5, agents=30, radii=(0, 2), discount=0.9, seed=0)
    assert found["measured"] == pytest.approx(found["closed"], rel=0.2)
    assert found["errors"]["2"] < found["errors"]["0"] and found["certified"] < 1
    sharp = _work.locality(alpha=0.5, agents=30, sharpness=(0.1, 8.0), discount=0.9, seed=0)
    assert sharp["0.1"]["certified"] == sharp["8.0"]["certified"]
    assert sharp["8.0"]["spectral radius"] > sharp["0.1"]["spectral radius"]


def test_growth_of_a_line_is_none_and_of_a_tree_some():
    told = {"alpha": 0.5, "farthest": 6, "discount": 0.9, "seed": 0}
    line = _work.growth(graph={"graph": "line"}, neighbours=2, agents=60, **told)
    json.dumps(line)
    assert line["all"] == pytest.approx(line["closed"], rel=0.2)
    tree = _work.growth(graph={"graph": "tree", "degree": 3}, neighbours=4, agents=121, **told)
    assert tree["branching"] > 1.4 > 1 >= line["branching"]
    for found in (line, tree):
        assert found["all"] == pytest.approx(found["one"] * found["branching"])
        assert found["errors"][6] < found["errors"][0] and found["worst"] > found["all"]
    assert tree["agents"][1] == pytest.approx(2 * 120 / 121)


@pytest.mark.parametrize("aversion", [None, 2.0])
def test_locality_has_a_price_that_falls_with_what_is_seen(aversion):
    found = _work.price(
        domain="tables",
        world={"agents": 3, "graph": "line", "coupling": 1.0, "sharp": 2.0, "tables_seed": 3},
        aversion=aversion,
        views=(0, 2),
        starts=2,
        tolerance=1e-4,
        discount=0.9,
        seed=0,
    )
    json.dumps(found)
    near, far = found["views"]["0"], found["views"]["2"]
    assert found["even"] < near["value"] < far["value"] <= found["bound"]
    assert near["price"] > 1e-3 > far["price"] >= 0 and found["open"] < 1e-4
    span = found["bound"] - found["even"]
    assert near["price"] == pytest.approx((found["bound"] - near["value"]) / span)


def test_truncations_of_a_small_line():
    """Where policies read the own state, means cost nothing beyond the agents that are dropped;
    where they read neighbours', means of a hop more do, and a placeholder is no mean."""
    told = {"domain": "tables", "radii": (0, 1), "discount": 0.8, "seed": 1}
    world = {"agents": 4, "graph": "line", "coupling": 1.0, "sharp": 2.0}
    own, seen = (_work.truncation(view=view, world=world, **told) for view in (0, 1))
    json.dumps(own)
    np.testing.assert_allclose(own["conditional 0"], own["none 0"], rtol=1e-9)
    np.testing.assert_allclose(seen["conditional 1"], seen["none 0"], rtol=1e-9)
    assert own["placeholder 0"][0] > 1.5 * own["none 0"][0]
    assert seen["conditional 0"][1] > 1.2 * seen["none 0"][1]


def _plug_in(world, **more):
    """What estimates do on a small ring where opinion 1 is rare."""
    rare = {"agents": 6, "horizon": 10, "utility": "coverage", "low": 0.0, "start": 0.1}
    sizes = {"radius": 1, "rollouts": 16, "batches": 400, "discount": 0.8, "seed": 1}
    return _work.plug_in(world=rare | world, **sizes, **more)


def test_linear_utilities_have_no_plug_in_bias():
    found = _plug_in({"utility": "linear"}, memories=(0.9,), deltas=(0.1,))
    json.dumps(found)
    assert set(found) == {"exact", "reuse", "split", "memory 0.9", "delta 0.1"}
    assert set(found["exact"]) == {"error"}
    for way in set(found) - {"exact"}:
        assert found[way]["bias"] == pytest.approx(0, abs=1e-4)
        assert found[way]["along"] == pytest.approx(0, abs=1e-4)
    assert found["reuse"]["error"] == pytest.approx(found["exact"]["error"], rel=1e-3)
    # With half of the rollouts and a baseline of one other: more than the root of two.
    assert found["split"]["error"] > 1.2 * found["exact"]["error"]


def test_bent_utilities_have_a_plug_in_bias():
    found = _plug_in({"delta": 1e-3}, memories=(0.9,), deltas=(1.0,))
    assert found["split"]["along"] > found["reuse"]["along"] > 0.05
    assert found["split"]["error"] > found["reuse"]["error"] > found["exact"]["error"]
    assert abs(found["memory 0.9"]["along"]) < found["reuse"]["along"]
    # A utility so smooth that its shadow rewards have hardly any spread is another utility.
    assert found["delta 1"]["along"] < -0.3


def test_bias_is_told_without_what_chance_adds():
    target = np.array([[3.0, 0.0], [0.0, 4.0]])
    off = np.array([[1.0, 2.0], [-1.0, 0.0]])
    # Entries of variance 2 over two batches: 4 of the squared length, 6, are chance.
    found = _work._added(np.stack([off + 1, off - 1]), target)
    assert found["along"] == pytest.approx(3 / 25)
    assert found["bias"] == pytest.approx((6 - 4) ** 0.5 / 5)
    assert _work._added(np.stack([0 * off + 1, 0 * off - 1]), target)["bias"] == 0


def test_other_smoothing_is_judged_by_the_utility_of_the_world():
    values = {
        "world": {"agents": 9, "graph": "torus", "horizon": 20, "utility": "coverage"},
        "settings": {"rate": 0.2, "credit_radius": 1},
        "rollouts": 8,
        "iterations": 10,
        "period": 10,
    }
    plain, smooth = _work.training(**values), _work.training(**values, smoothing=1.0)
    assert smooth["rows"][0] == plain["rows"][0] and smooth["bound"] == plain["bound"]
    assert smooth["rows"][-1]["value"] != plain["rows"][-1]["value"]


def test_training_is_recorded_with_exact_values():
    found = _work.training(
        world={"agents": 9, "graph": "torus", "horizon": 20, "entropy": 0.3},
        settings={"rate": 0.2, "credit_radius": 1},
        rollouts=8,
        iterations=20,
        period=10,
    )
    json.dumps(found)
    assert [row["iteration"] for row in found["rows"]] == [0, 10, 20]
    first, *_, last = found["rows"]
    assert last["gap"] < first["gap"] and last["seconds"] > 0
    assert last["value"] + last["gap"] == pytest.approx(found["bound"])
    assert "violation" in last


def test_few_voters_are_judged_exactly_whatever_they_see():
    values = {"world": {"agents": 4, "horizon": 20}, "rollouts": 8, "seeds": 2}
    settings = {"rate": 0.2, "critic": "td", "critic_radius": 0, "credit_radius": 1}
    found = {
        view: _work.few(settings=settings | {"view": view}, iterations=4, **values)
        for view in (0, 1)
    }
    json.dumps(found)
    assert found[0]["first"] == pytest.approx(found[1]["first"])
    for record in found.values():
        assert np.shape(record["values"]) == (2,)
        assert record["first"] < min(record["values"]) <= max(record["values"]) < record["bound"]
    assert found[0]["values"] != found[1]["values"]
    # Of the own opinion alone the voters' equations know the same.
    world = {**values["world"], "graph": "ring"}
    same = _work.training(
        world=world, settings=settings | {"view": 0}, rollouts=8, iterations=4, period=4
    )
    assert found[0]["first"] == pytest.approx(same["rows"][0]["value"], abs=1e-9)


def test_effects_and_interactions_of_radii_are_differences_of_means():
    radii = [(p, c, g) for p in (0, 1) for c in (0, 1) for g in (0, 1)]
    # Two seeds; the second has twice the effects of the first.
    ends = {(p, c, g): [s * (p + 5 * g + 3 * c * g) for s in (1.0, 2.0)] for p, c, g in radii}
    assert effect(ends, 0, 1) == [1.0, 2.0]
    assert effect(ends, 1, 1) == [1.5, 3.0]
    assert effect(ends, 2, 1) == [6.5, 13.0]
    assert interaction(ends, 1, 2) == [3.0, 6.0] and interaction(ends, 0, 2) == [0.0, 0.0]


def test_the_least_have_more_in_a_team_that_minds():
    found = {}
    for aversion in (0.0, None):
        told = _work.fairness(
            aversion=aversion,
            world={"agents": 13, "graph": "tree", "degree": 3, "cost": 0.4, "horizon": 20},
            settings={"rate": 0.2, "credit_radius": 2},
            rollouts=4,
            iterations=2,
            period=1,
        )
        json.dumps(told)
        found[aversion] = told["best"]
        assert told["rows"][-1]["least"] <= told["rows"][-1]["mean"]
        assert told["rows"][0]["value"] < told["optimum"] <= told["bound"]
    assert found[None]["least"] > found[0.0]["least"] + 0.01
    assert found[None]["mean"] < found[0.0]["mean"]


def test_access_counts_packets_and_violations():
    found = _work.access(
        world={"variant": "b", "rows": 2, "columns": 3, "determinism": 0.3},
        settings={"discount": 0.7, "credit_radius": 1},
        rollouts=4,
        iterations=3,
        scenarios=8,
        seeds=2,
    )
    json.dumps(found)
    assert np.shape(found["packets"]) == (2,) and min(found["packets"]) > 0
    assert np.shape(found["curves"]["return"]) == (3, 2)
    assert min(found["curves"]["violation"][0]) > 0
    rules = _work.access_rules(world={"variant": "b", "rows": 2, "columns": 3}, scenarios=200)
    # Two points, each used alone: twelve ticks, of which the chain of packets fills about 3.7.
    assert rules["silent"] == 0 < rules["random"] < rules["assigned"] < 12 * 2 * 0.8 / 6
