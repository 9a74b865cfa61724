"""What algorithms say of themselves, and a comparison at a size that takes moments."""

import math
from dataclasses import replace

import pytest
from rich.console import Console

from descant.nets.mlp import whole_size
from descant.reproduce._common.plan import Scale
from descant.reproduce._compare import plan, work
from descant.reproduce._compare.work import OWN

SMALL = Scale(
    "quick",
    servers=(3,),
    seeds=2,
    scenarios=2,
    values={
        "domain.horizon": 16,
        "domain.arrivals": 12,
        "train.iterations": 2,
        "train.rollouts": 1,
    },
)
QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """What some methods leave behind."""
    place = tmp_path_factory.mktemp("compared")
    keys = "mappo", "happo", "qmix", "localised"
    return {key: plan.learn(plan.method(key), 3, SMALL).do(place, QUIET) for key in keys}


def test_a_domain_that_is_refused_is_a_result(learned):
    assert learned["localised"]["kind"] == "refused"
    assert "has no network" in learned["localised"]["why"]
    assert learned["mappo"]["kind"] == "scores"


def test_learners_are_scored_and_timed(learned):
    for key in ("mappo", "happo", "qmix"):
        assert [len(row) for row in learned[key]["values"]] == [2, 2]
        assert len(learned[key]["iterating"]) == 2
        assert learned[key]["starts"] and isinstance(learned[key]["seconds"], float)


def test_agents_that_move_in_turn_take_as_many_steps_as_there_are_agents(learned):
    # One minibatch: a step of the actor and one of the critic.
    assert learned["mappo"]["steps"] == 2
    assert learned["happo"]["steps"] == 3 + 1
    assert learned["qmix"]["steps"] == 64


def test_weights_are_counted_by_what_moves_them(learned):
    row = plan.learn(plan.method("mappo"), 3, SMALL).train.settings
    domain = work.domain_of(row)
    spec, width = domain.env.spec, 32
    common = whole_size(spec) if spec.shared else 0
    own = (common + spec.local + 16 + 1) * width + (width + 1) * width
    own += (width + 1) * spec.actions + spec.agents * 16
    critic = (whole_size(spec) + spec.local + 1) * width + (width + 1) * width + width + 1
    assert (learned["mappo"]["actor"], learned["mappo"]["besides"]) == (own, critic)
    assert learned["happo"]["actor"] == 3 * (own - 48) + 48, "an embedding is in common"
    assert learned["qmix"]["actor"] == own and learned["qmix"]["besides"] > 0


def test_what_algorithms_cannot_do_without_is_found_by_taking_it_away():
    found = {}
    for key in ("mappo", "dgpg", "shaping", "difference", "vdn"):
        settings = plan.learn(plan.method(key), 3, SMALL).train.settings
        found[key] = work.asked(settings, work.domain_of(settings))
    assert found == {
        "mappo": [],
        "dgpg": ["model"],
        "shaping": ["model"],
        "difference": ["default"],
        "vdn": [],
    }


def test_who_has_a_gradient_at_the_common_policy():
    job = plan.noises(SMALL)[0]
    members, silent = work.heard(dict(job.settings), work.domain_of(job.settings[0][1]))
    assert next(iter(members)) == "mappo"
    assert set(members) | set(silent) == {row.key for row in plan.methods()} - {"localised"}
    assert silent["happo"] == OWN
    assert set(silent) == {"happo", "iql", "vdn", "qmix", "qplex", "facmac"}
    assert all("does not climb the chances" in silent[key] for key in ("iql", "facmac"))


def test_noise_is_measured_of_those_that_have_a_gradient():
    job = plan.noises(SMALL)[0]
    some = tuple(pair for pair in job.settings if pair[0] in ("mappo", "dgpg", "happo"))
    few = replace(job, settings=some, samples=32, iterations=1)
    record = few.do(None, QUIET)  # type: ignore[arg-type]
    estimators = record["record"]["estimators"]
    assert set(estimators) == {"mappo", "dgpg"} and set(record["silent"]) == {"happo"}
    assert estimators["mappo"]["learning"]["variance"]["value"] > 0
    alphas = [mixture["alpha"] for mixture in estimators["dgpg"]["mixtures"]]
    assert alphas == [0.3, 0.5]
    assert math.isfinite(record["seconds"])
