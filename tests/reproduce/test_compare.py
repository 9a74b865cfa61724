"""Table and sentences of the comparison, from made-up results."""

import pytest

from descant.reproduce import compare
from descant.reproduce._common import targets
from descant.reproduce._common.found import Found
from descant.reproduce._compare import plan
from descant.reproduce._compare.measured import Compared
from reproduce import made_up

QUICK = plan.SCALES["quick"]


def shown(change=None):
    results = made_up.results(targets.load("compare"), QUICK)
    if change:
        change(results)
    return compare.show(QUICK, Found(results))


def of(results, key, servers):
    return results[plan.learn(plan.method(key), servers, QUICK).name]


def test_the_target_has_no_family():
    assert targets.load("compare").name == "compare"


def test_nobody_is_said_to_win_who_does_not():
    said = shown().findings
    assert said[0].startswith("Nobody beats DG-PG at N = 5, 20, given the same")
    assert "worse: COMA" in said[1] and "no clear difference" not in said[1]
    assert "The domain's analytic model is handed to DG-PG; to nobody else." in said[0]
    assert not any("better" in line for line in said[1:3])
    assert said[3].endswith("Worse than the rule `random`: nobody.")


def test_losing_is_said_because_the_numbers_say_it():
    def mappo_wins(results):
        record = of(results, "mappo", 20)
        record["values"] = [[-10.0 + 0.01 * i for i in range(20)]] * 2

    said = shown(mappo_wins).findings
    assert said[0].startswith("DG-PG is beaten by MAPPO at N = 20, given the same")
    assert said[2].startswith("Against DG-PG on held-out scenarios, N = 20: better: MAPPO;")


def test_learners_on_both_sides_are_not_told_apart():
    def one_lucky_learner(results):
        of(results, "dgpg", 20)["values"] = [[-40.0] * 20, [-42.0] * 20]
        of(results, "mappo", 20)["values"] = [[-41.0 + 0.01 * i for i in range(20)], [-10.0] * 20]

    results = made_up.results(targets.load("compare"), QUICK)
    one_lucky_learner(results)
    known = Compared(QUICK, Found(results))
    gap = known.gap(plan.method("mappo"), 20)
    assert gap is not None and gap.low is not None and gap.low > 0
    assert known.standing(plan.method("mappo"), 20) == "no clear difference"


def test_who_has_nothing_to_show_says_why():
    table = shown().tables[0]
    rows = {row[0]: row for row in table.rows}
    assert rows["Localised"][1] == "refused" and set(rows["Localised"][2:]) == {None}
    assert "Localised refuses: 'cloud' has no network." in table.caption
    assert rows["QMIX"][3] is None and "No slope for QMIX: qmix says no." in table.caption
    assert rows["HAPPO"][5] == "no" and rows["MAPPO"][5] == "yes"
    assert rows["DG-PG"][1] == "analytic model" and rows["MAPPO"][1] == "nothing"
    assert rows["DG-PG"][6:] == (None, None)


def test_claimed_orders_are_held_against_intervals():
    def flat(results):
        for record in results.values():
            if record["kind"] == "credit":
                part = record["record"]["estimators"]["coma"]["learning"]
                part["snr"] = {"value": 0.3, "low": 0.2, "high": 0.4}
                part["resamples"]["snr"] = [0.3 + 0.001 * i for i in range(200)]

    before, after = (shown(change).findings[5] for change in (None, flat))
    assert before.split("above: ")[0].count("claimed −1") == 4
    assert "COMA" in before.split("above: ")[0] and "COMA" in after.split("above: ")[1]
    below = before.split("below: ")[1]
    assert "Difference rewards" in below and "Mean-field actor-critic" in below


def test_updates_in_turn_are_named():
    (said,) = [line for line in shown().findings if line.startswith("Gradient steps")]
    assert (
        said == "Gradient steps of an update grow with N for: HAPPO, 200 to 800; as Table 2 has it."
    )


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_the_slope_of_times_is_theirs(power):
    def timed(results):
        for n in QUICK.servers:
            of(results, "mappo", n)["iterating"] = [n**power * (1 + 0.01 * i) for i in range(10)]

    results = made_up.results(targets.load("compare"), QUICK)
    timed(results)
    slope = Compared(QUICK, Found(results)).time_slope(plan.method("mappo"))
    assert slope is not None and slope.low is not None and slope.high is not None
    assert slope.low - 1e-6 <= power <= slope.high + 1e-6 and slope.high - slope.low < 0.2
