from dataclasses import replace

import pytest

from descant.reproduce.dgpg import _sizes as sizes
from descant.reproduce.dgpg._runs import BATCH, IPPO, MAPPO, training
from descant.train.settings import flatten

FULL = sizes.SCALES["full"]


def told(method, servers, scale=FULL):
    found = flatten(training(method, servers, scale).settings)
    return {name.replace("algorithm.base.", "algorithm."): x for name, x in found.items()}


@pytest.mark.parametrize("method", [MAPPO, IPPO], ids=lambda m: m.key)
@pytest.mark.parametrize("servers", [5, 20, 200])
def test_baselines_have_the_papers_stabilisers_at_every_size(method, servers):
    found = told(method, servers)
    assert found["algorithm.entropy"] == found["algorithm.entropy_stop"] == 0.005
    assert (found["algorithm.critic_epochs"], found["algorithm.epochs"]) == (20, 3)
    assert found["algorithm.minibatches"] == 0, "whatever was rolled out is learned from"
    decisions = 0.825 * servers * found["algorithm.minibatch"]
    assert decisions == pytest.approx(BATCH, rel=0.01)
    ours = told(sizes.DESCANT, servers)["train.iterations"]
    assert found["train.iterations"] == 2.5 * ours


def test_small_clusters_take_as_many_decisions_as_the_papers():
    rollouts = {n: told(MAPPO, n)["train.rollouts"] for n in FULL.servers}
    assert rollouts[5] == 24
    assert all(n * count >= 5 * 24 for n, count in rollouts.items())
    fewer = replace(FULL, rollouts={0: 2})
    assert told(MAPPO, 5, fewer)["train.rollouts"] == 2, "a scale has the last word"
