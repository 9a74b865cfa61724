import numpy as np
import pytest

from descant.reproduce._common.found import Found, Trained, over
from descant.reproduce._common.jobs import Rules, Score, Train
from descant.reproduce._common.plan import settle

TRAIN = Train(settle("dgpg", None, {"domain.servers": 5}))
SCORE, OTHER = Score(TRAIN, 3), Score(TRAIN, 3, servers=10)
RULES = Rules("cloud", TRAIN.settings.domain, 3)


def trained(rewards, seconds=(2.0, 1.0, 3.0), starts=()):
    rewards = [None if row is None else list(row) for row in rewards]
    seeds = len(next(row for row in rewards if row))
    return Trained(
        {
            "settings": {"seeds": seeds},
            "metrics": {"return": rewards},
            "seconds": list(seconds),
            "starts": list(starts),
        }
    )


def found():
    return Found(
        {
            SCORE.name: {"values": [[1.0, 2.0, 3.0], [3.0, 4.0, 5.0]]},
            OTHER.name: {"values": [[0.0, 1.0, 2.0], [0.0, 1.0, 2.0]]},
            RULES.name: {
                "values": {"good": [1.0, 2.0, 3.5], "bad": [-1.0, 0.0, 1.0]},
                "bound": {"mean": 9.0},
            },
        }
    )


def test_convergence_is_the_first_iteration_near_the_best():
    run = trained([[-100, -100], [-50, -43], [-41, -43], [-40, -40]])
    assert run.reached() == over([3.0, 2.0])
    assert run.reached(-38.0) == over([3.0, 4.0])
    assert run.reached(-30.0) is None


def test_a_reward_above_zero_converges_too():
    assert trained([[5.0], [9.5], [10.0]]).reached() == over([2.0])


def test_final_is_the_last_tenth():
    run = trained([[float(t)] for t in range(20)])
    assert run.final().mean == 18.5
    assert run.best().mean == 19.0
    assert trained([[1.0, 3.0]]).final() == over([1.0, 3.0])


def test_iterations_that_were_not_finite_are_left_out():
    run = trained([[-10.0], [None], None, [-5.0]])
    assert np.isnan(run.reward[1:3]).all()
    assert run.best().mean == -5.0


def test_clock_and_memory():
    starts = [
        {"seconds": 10.0, "iterating": 2.0, "peak_bytes": 5},
        {"seconds": 9.0, "iterating": 4.0, "peak_bytes": None},
    ]
    run = trained([[1.0]], starts=starts)
    assert (run.overhead(), run.iteration_seconds(), run.peak()) == (13.0, 2.0, 5)
    bare = trained([[1.0]], seconds=())
    assert (bare.overhead(), bare.iteration_seconds(), bare.peak()) == (None, None, None)


def test_scores_average_seeds_before_scenarios():
    assert found().held_out(SCORE) == over([2.0, 3.0, 4.0])
    assert found().deviation(SCORE) == pytest.approx(1.0)
    assert found().middle(SCORE).mean == pytest.approx(3.0)


def test_differences_are_paired_by_scenario():
    gap = found().beyond(SCORE, RULES, "good")
    assert gap == over([1.0, 1.0, 0.5])
    assert gap.low is not None and gap.low > 0
    assert found().beyond(SCORE, OTHER) == over([2.0, 2.0, 2.0])
    assert found().wins(SCORE, RULES, "bad") == 1.0
    assert found().wins(SCORE, RULES, "good") == pytest.approx((2 * 0.5 + 0 + 3) / 6)


def test_rules():
    assert found().best_rule(RULES) == "good"
    assert found().rule(RULES, "bad").mean == 0.0
    assert found().bound(RULES) == 9.0
