import pytest

from descant.core.errors import UserError
from descant.reproduce._common.plan import Scale, settle


def test_values_win_over_a_preset_and_a_preset_over_defaults():
    usual = settle("dgpg", None, {"domain.servers": 5})
    preset = settle("dgpg", "published", {"domain.servers": 5})
    both = settle("dgpg", "published", {"domain.servers": 5, "algorithm.clip": 0.3})
    assert usual.algorithm.base.net == "pointer"
    assert preset.algorithm.base.net == both.algorithm.base.net == "mlp"
    assert (preset.algorithm.base.clip, both.algorithm.base.clip) == (0.2, 0.3)


def test_a_preset_sees_the_size_that_is_asked_for():
    assert settle("dgpg", "published", {"domain.servers": 200}).algorithm.base.hidden == 1024
    assert settle("mappo", "published-linear", {"domain.servers": 5}).train.iterations == 500


def test_a_value_that_does_not_fit_is_refused():
    with pytest.raises(UserError, match=r"algorithm\.clop"):
        settle("mappo", None, {"algorithm.clop": 1})


def test_sizes_and_scenarios_of_a_scale():
    scale = Scale("quick", (5, 50, 500), 2, fewer={50: 20, 500: 4}, largest={"slow": 50})
    assert [scale.scenarios_at(n) for n in (5, 49, 50, 499, 500, 9000)] == [40, 40, 20, 20, 4, 4]
    assert scale.sizes("slow") == (5, 50)
    assert Scale("quick", (), 1, rollouts={10: 4, 100: 1}).rollouts_at(50) == 4
    assert Scale("quick", (), 1, rollouts={10: 4, 100: 1}).rollouts_at(5) is None
    assert scale.sizes("fast") == (5, 50, 500)
