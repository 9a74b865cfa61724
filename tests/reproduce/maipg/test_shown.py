"""Sentences of these targets, from made-up results."""

import numpy as np
import pytest

from descant.reproduce._common import targets
from descant.reproduce._common.found import Found
from reproduce import made_up


def shown(name, change=None, size="quick"):
    target = targets.load(name)
    scale = target.scales[size]
    results = made_up.results(target, scale)
    if change:
        change(results)
    return target.show(scale, Found(results))


def validated(of_maipg):
    """MAIPG's curve and end apart from MAPPO's by so much, seed by seed."""

    def change(results):
        for result in results.values():
            if result["kind"] == "training":
                seeds = result["settings"]["seeds"]
                gap = of_maipg if result["settings"]["algorithm"] == "maipg" else 0.0
                row = (np.arange(seeds) - 10.0 + gap).tolist()
                known = result["metrics"]["validation"]
                result["metrics"]["validation"] = [row if x else None for x in known]

    return change


@pytest.mark.parametrize(
    ("gap", "said"),
    [
        (0.1, "better on spread, line, formation and worse on none"),
        (-0.1, "worse on spread, line, formation of the three tasks"),
        (0.0, "better on none and worse on none"),
    ],
)
def test_curves_are_compared_seed_by_seed(gap, said):
    first = shown("maipg.fig6", validated(gap), "full").findings[0]
    assert said in first
    assert ("speaks against the method here" in first) == (gap < 0)
    assert ("This supports the method" in first) == (gap > 0)


def test_a_battle_that_is_never_won_is_not_won_late():
    def won(by):
        def change(results):
            for result in results.values():
                if result["kind"] == "training":
                    share = by.get(result["settings"]["algorithm"], 0.1)
                    result["metrics"]["won"] = [[share] * len(r) for r in result["metrics"]["won"]]

        return change

    never, neither = won({"maipg": 0.9}), won({})
    found = shown("maipg.smac", never)
    assert any("MAPPO never does first win half" in said for said in found.findings)
    (row,) = (row for row in found.tables[0].rows if row[1] == "MAPPO")
    assert row[3:] == (None, "0 of 2")
    said = " ".join(shown("maipg.smac", neither).findings)
    assert "neither MAIPG nor MAPPO wins half of its battles" in said


def test_smax_is_said_not_to_be_smac():
    found = shown("maipg.smac")
    assert "SMAX is not SMAC" in found.notes[0] and "not SMAC" in found.findings[0]


def test_what_the_weight_does_by_itself_is_said():
    found = shown("maipg.ablation")
    assert found.findings[0].startswith("At one and the same policy the variance is (1 − nu)²")
    assert any("by itself" in note for note in found.notes)
    plain, *others = found.tables[0].rows
    assert plain[1] == plain[2] == 1.0
    assert [row[2] for row in others] == pytest.approx([0.49, 0.25] * 2)
    for row in found.tables[1].rows:
        assert [share.mean for share in row[1:3]] == pytest.approx([0.49, 0.25], abs=0.03)
        assert row[-1] == pytest.approx(0.015 / 0.0006**0.5, abs=0.2)


def test_the_value_s_own_noise_is_said_where_there_is_any():
    def noisy(results):
        for result in results.values():
            if result["kind"] == "gradients":
                known = np.array(result["covariance"])
                known[..., 1, 1] = 1.0
                result["covariance"] = known.tolist()

    assert "the value's own noise makes the rest" in shown("maipg.ablation", noisy).findings[0]


def test_few_seeds_decide_nothing():
    assert "So few decide nothing" in shown("maipg.fig6", validated(1.0)).findings[0]
