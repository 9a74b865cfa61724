"""The examples do what they say, at sizes that compile fast."""

from importlib import util
from pathlib import Path
from types import ModuleType

import jax
import numpy as np
import pytest

from descant.core.errors import UserError
from descant.core.schema import build
from descant.testing.contracts import check_domain

EXAMPLES = Path(__file__).parents[1] / "examples"
SMALL = {"AGENTS": 4, "SERVERS": 3, "TICKS": 6, "SCENARIOS": 4, "EPOCHS": 2, "HIDDEN": 4}


def example(name: str, **constants: object) -> ModuleType:
    """A fresh copy of an example, with constants of its page replaced."""
    spec = util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert constants.keys() <= vars(module).keys()
    vars(module).update(constants)
    return module


def learnt(name: str, **constants: object) -> tuple[dict, list[float]]:
    """Weights and rewards of a short training of one of the pages."""
    said: list[str] = []
    weights, rewards = example(name, **SMALL, **constants).train(iterations=3, say=said.append)
    assert len(rewards) == 3
    assert np.isfinite(rewards).all()
    assert len(said) == 2
    return jax.device_get(weights), rewards


@pytest.fixture(scope="module")
def mappo():
    return learnt("mappo_in_a_page")


def test_dgpg_page_without_guidance_is_the_mappo_page(mappo):
    weights, rewards = learnt("dgpg_in_a_page", START=0.0, STOP=0.0)
    np.testing.assert_allclose(rewards, mappo[1], rtol=1e-6)
    for name, values in weights.items():
        np.testing.assert_allclose(values, mappo[0][name], rtol=1e-3, atol=1e-5, err_msg=name)


def test_dgpg_page_with_guidance_is_another(mappo):
    weights, _ = learnt("dgpg_in_a_page")
    assert np.abs(weights["word"] - mappo[0]["word"]).max() > 1e-3


def test_slope_of_the_page_is_what_the_potential_changes_by():
    """A quadratic's difference is its slope in the middle; the slope is taken after the action."""
    page = example("dgpg_in_a_page", **SMALL)
    rng = np.random.default_rng(0)
    seen = tuple(rng.uniform(0.5, 2, n).astype(np.float32) for n in (3, 3, 4))
    action = rng.integers(0, 3, 4)
    after = np.eye(3, dtype=np.float32)[action]
    slope = np.asarray(page.slope(seen, action))
    for agent in range(4):
        without = after.copy()
        without[agent] = 0
        change = page.potential(*seen, after) - page.potential(*seen, without)
        own = 0.5 * seen[2][agent] ** 2 / seen[1][action[agent]]
        np.testing.assert_allclose(slope[agent], change + own, rtol=1e-3, atol=1e-4)


class TestMyDomain:
    """The user's domain in one file."""

    def test_contract(self):
        """Evenings and overload are far away in a short walk, so ask for more than there is."""
        module = example("my_domain")
        config = module.Config(stations=3, cars=3, horizon=6, load=2.0)
        check_domain(module.make(config))

    @pytest.mark.parametrize("name", ["stations", "cars", "horizon", "load"])
    def test_refusals_name_the_field(self, name):
        with pytest.raises(UserError, match=rf"domain\.{name}: expected .* got 0"):
            build(example("my_domain").Config(), {f"domain.{name}": 0}, "domain")

    def test_reference_is_a_best_state(self):
        """No split of the same energy keeps less of it waiting."""
        module = example("my_domain")
        model, rng = module.Backlog(), np.random.default_rng(0)
        for _ in range(20):
            power = rng.uniform(4, 30, 5).astype(np.float32)
            waiting = rng.exponential(power * rng.uniform(0, 3)).astype(np.float32)
            context = module.Context(power, 0.5 * power, waiting, np.zeros(3, np.float32))
            best = model.rewards(context, model.reference(context))["waiting"]
            assert best >= model.rewards(context, waiting)["waiting"] - 1e-5
