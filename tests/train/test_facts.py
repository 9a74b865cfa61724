import pytest

from descant.train.facts import facts
from descant.train.settings import defaults, with_values


@pytest.mark.parametrize("net", ["mlp", "gru"])
def test_sizes_are_found_without_running(net):
    told = {"algorithm.net": net, "train.rollouts": 3, "train.steps": 5}
    found = facts(with_values(defaults("particle", "mappo"), told))
    assert found["ticks per iteration"] == 15 and found["agents"] == 3
    assert found["rollout"]["reward"].endswith("[5, 3]")
    assert any("memory" in name for name in found["rollout"]) == (net == "gru")
