"""Sentences from made-up games."""

import pytest

from descant.reproduce._common import targets
from descant.reproduce._common.found import Found
from descant.reproduce._common.shown import Shown
from reproduce import made_up


def shown(mappo: float, maipg: float) -> Shown:
    """What is shown if so large a share of games is won, a little more by later seeds."""
    target = targets.load("maipg.football")
    scale = target.scales["full"]
    results = made_up.results(target, scale)
    for name, result in results.items():
        if result["kind"] == "scores":
            share = maipg if "maipg" in name else mappo
            result["diagnostics"]["success"] = [share + seed / 100 for seed in range(scale.seeds)]
    return target.show(scale, Found(results))


@pytest.mark.parametrize(
    ("maipg", "said"),
    [(0.7, "20.00 [20.00, 20.00] points over 5 seeds, better"), (0.3, "over 5 seeds, worse")],
)
def test_methods_are_compared_seed_by_seed(maipg, said):
    assert said in shown(0.5, maipg).findings[0].replace("−", "-")


def test_published_successes_stand_beside_ours():
    found = shown(0.5, 0.7)
    cells = {row[0]: row[1] for row in found.tables[0].rows}
    assert cells["MAPPO"].mean == pytest.approx(52.0)
    assert cells["MAPPO, HARL"] == 88.0
    assert any("worse than the MAPPO of HARL with 88.0 percent" in said for said in found.findings)


def test_how_long_is_two_million_ticks_for_each_learner():
    target = targets.load("maipg.football")
    for job in target.jobs(target.scales["full"])[:2]:
        knobs = job.settings.train
        assert knobs.iterations * knobs.rollouts * knobs.steps == 2_000_000
