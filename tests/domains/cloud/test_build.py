"""Configurations that cannot be used, and the sizes that follow from those that can."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from descant.core.errors import UserError
from descant.domains import cloud
from descant.domains.cloud import Config, groups_of


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"servers": 0}, "domain.servers"),
        ({"servers": -3}, "domain.servers"),
        ({"horizon": 0}, "domain.horizon"),
        ({"arrivals": 0}, "domain.arrivals"),
        ({"arrivals": 3001}, "domain.arrivals"),
        ({"clusters": -1}, "domain.clusters"),
        ({"clusters": 3}, "domain.clusters"),
        ({"clusters": 40}, "domain.clusters"),
        ({"agents": -1}, "domain.agents"),
        ({"queue_weight": -0.5}, "domain.queue_weight"),
        ({"energy_weight": float("nan")}, "domain.energy_weight"),
        ({"kappa": -1.0}, "domain.kappa"),
        ({"model": "queueing", "queue_weight": 0.0}, "domain.queue_weight"),
        ({"model": "queueing", "barrier": 0.0}, "domain.barrier"),
        ({"tick": 0.0}, "domain.tick"),
        ({"tick": float("nan")}, "domain.tick"),
        ({"utilisation": (0.0, 0.8)}, "domain.utilisation"),
        ({"utilisation": (0.9, 0.8)}, "domain.utilisation"),
        ({"utilisation": (float("nan"), 0.8)}, "domain.utilisation"),
    ],
)
def test_what_cannot_be_used_is_named(changes, field):
    with pytest.raises(UserError, match=field.replace(".", r"\.")):
        cloud.make(replace(Config(), **changes))


def test_the_default_can_be_used():
    Config().validate()


@pytest.mark.parametrize(
    ("servers", "groups"),
    [(2, 2), (5, 5), (10, 10), (20, 20), (50, 25), (100, 25), (200, 40)],
)
def test_groups_of_table_5(servers, groups):
    assert groups_of(Config(servers=servers)) == groups


@pytest.mark.parametrize(
    "servers", [1, 3, 21, 23, 30, 64, 125, 500, 1000, 1024, 1500, 9973, 10_000]
)
def test_groups_of_other_sizes(servers):
    """Equal groups, small enough that a group still says where a job goes."""
    groups = groups_of(Config(servers=servers))
    assert servers % groups == 0
    assert 1 <= servers // groups <= (20 if servers >= 300 else 5)
    Config(servers=servers).validate()


def test_groups_shrink_the_choice_where_they_can():
    assert groups_of(Config(servers=1500)) == 75
    assert groups_of(Config(servers=10_000)) == 500


def test_groups_that_are_asked_for():
    assert groups_of(Config(servers=60, clusters=4)) == 4
    assert groups_of(Config(servers=50, trace="somewhere")) == 50


@pytest.fixture(scope="module", params=["slots", "true"])
def domain(request):
    return request.param, cloud.make(Config(servers=25, clusters=5, load=request.param))


def test_sizes_follow_from_the_configuration(domain):
    load, built = domain
    spec = built.env.spec
    assert (spec.entities, spec.actions, spec.horizon) == (25, 5, 3000)
    # 2.2 slots a server under true load, where dispatch must not be the bottleneck.
    assert spec.agents == (25 if load == "slots" else 55)
    assert built.name == "cloud"
    assert built.headline in built.rules


def test_agent_slots_that_are_asked_for():
    assert cloud.make(Config(servers=4, agents=7)).env.spec.agents == 7


def test_kappa_counts_for_the_efficient_reference_only():
    def start(**given):
        env = cloud.make(Config(servers=4, horizon=20, arrivals=10, **given)).env
        return np.asarray(env.reset(jax.random.key(0))[0].tables.start)

    assert np.all(start(kappa=3.0, model="efficiency") > 0)
    assert np.all(start(kappa=3.0, model="proportional") == 0)
