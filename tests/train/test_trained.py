from dataclasses import replace

import pytest

from descant.algorithms import dgpg, mappo
from descant.core.errors import UserError
from descant.domains import balance, cloud
from descant.train.config import Train
from descant.train.settings import Settings
from descant.train.trained import make, practice

RANGED = Settings(
    domain_name="cloud",
    domain=cloud.Config(servers=5, horizon=20, arrivals=10),
    algorithm_name="dgpg",
    algorithm=dgpg.Config(),
    train=Train(servers=(4, 8)),
)


def test_training_draws_sizes_and_comparisons_keep_theirs():
    domain, _ = practice(RANGED)
    assert (domain.env.workload.fewest, domain.env.workload.servers) == (4, 8)
    kept, _ = make(RANGED)
    assert (kept.env.workload.fewest, kept.env.workload.servers) == (5, 5)


def test_without_a_range_training_is_where_comparisons_are():
    domain, _ = practice(replace(RANGED, train=Train()))
    assert domain.env.workload.fewest == domain.env.workload.servers == 5


def test_a_network_as_wide_as_the_world_is_of_one_size():
    wide = dgpg.Config(base=mappo.Config(net="mlp", order="together"))
    with pytest.raises(UserError, match=r"train\.servers: this network is as wide as the world"):
        practice(replace(RANGED, algorithm=wide))


def test_a_domain_without_servers_has_none_to_draw():
    settings = replace(RANGED, domain_name="balance", domain=balance.Config())
    with pytest.raises(UserError, match=r"train\.servers: the domain 'balance' has no servers"):
        practice(settings)
