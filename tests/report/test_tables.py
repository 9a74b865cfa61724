import json
import re

import pytest

from descant.report import records, tables


@pytest.fixture
def runs(fabricate):
    made = fabricate("a", score=-38.0), fabricate("b", seed=1, score=-36.0)
    return [records.read(run) for run in made]


def reseed(record):
    path = record.path / "evaluation.json"
    found = json.loads(path.read_text())
    found["scenario_seed"] = 1
    path.write_text(json.dumps(found))
    return records.read(record.path)


def width(table):
    low, high = re.findall(r"\[(\S+), (\S+)\]", table)[-1]
    return float(high.replace("−", "-")) - float(low.replace("−", "-"))


def test_utilities_are_shown_with_what_no_policy_exceeds(fabricate):
    run = fabricate("u")
    path = run / "evaluation.json"
    found = json.loads(path.read_text())
    assert records.read(run).evaluation.objective is None
    found["objective"] = {
        "value": 0.398,
        "discount": 0.9,
        "exact": True,
        "groups": {"kl": -0.01, "linear": 0.5},
        "optimum": {"value": 0.413, "bound": 0.4131},
    }
    path.write_text(json.dumps(found))
    objective = records.read(run).evaluation.objective
    table = tables.utilities(objective)
    for part in ("the team", "kl", "linear", "0.41310", "0.01510, 3.66\u00a0% of that", "Exact"):
        assert part in table, part
    found["objective"] |= {"optimum": None, "exact": False}
    path.write_text(json.dumps(found))
    table = tables.utilities(records.read(run).evaluation.objective)
    assert "not known" in table and "Estimated from held-out episodes" in table
    found["objective"]["value"] = "high"
    path.write_text(json.dumps(found))
    assert records.read(run).evaluation.objective is None


def test_policies_stand_beside_one_another_by_utility(wanted):
    record = wanted("w", exact=True, kept=False)
    table = tables.by_utility(record.evaluation)
    assert "known exactly of all policies" in table and "[" not in table
    first, *_, last = re.findall(r'<tr[^>]*><th scope="row">([^<]*)', table)
    assert (first, last) == ("random", "Best-Fit"), "by utility, not by reward"
    assert "kl" in table and "\u22120.3500" in table
    sure = wanted("e", exact=False, kept=False)
    table = tables.by_utility(sure.evaluation)
    assert "estimated from the same held-out episodes" in table and "[\u22120.4" in table
    assert "Best-Fit" not in tables.by_violation(sure.evaluation), "nobody has constraints"


def test_violations_stand_from_the_least(wanted):
    table = tables.by_violation(wanted("w", exact=True, kept=True).evaluation)
    names = re.findall(r'<tr[^>]*><th scope="row">([^<]*)', table)
    assert names[0] == "learned" and names[-1] == "random"
    assert "below 0, the learned policy violates less" in table


def test_the_best_run_is_best_by_what_all_were_after(wanted, fabricate):
    kept = wanted("a", exact=True, kept=True)
    path = kept.path / "evaluation.json"
    found = json.loads(path.read_text())
    found["policies"][0]["violation"]["mean"] = 1.0
    found["policies"][0]["utility"]["mean"] = 9.0
    other = fabricate("b", score=-99.0)
    (other / "evaluation.json").write_text(json.dumps(found))
    rich = records.read(other)
    assert tables.best_of([kept, rich]) is kept, "it violates less"
    table = tables.learned_policies([kept, rich])
    assert '<th scope="col" class="n">violation</th>' in table and "9.000" in table


def test_runs_on_the_same_scenarios_are_compared_by_scenario(runs):
    paired = tables.learned_policies(runs)
    apart = tables.learned_policies([reseed(runs[0]), runs[1]])
    assert width(paired) < width(apart)


def test_a_run_on_another_system_is_not_compared(runs, fabricate):
    other = records.read(fabricate("c", settings={"settings.domain": {"servers": 7}}))
    assert tables.best_of(runs) is runs[1]
    assert tables.best_of([*runs, other]) is None
    assert "[" not in tables.learned_policies([*runs, other])


def test_every_row_is_as_long_as_its_head(runs):
    for table in (
        tables.learned_policies(runs),
        tables.against_rules(runs[0].evaluation),
        tables.configuration_differences(runs),
    ):
        rows = re.findall(r"<tr.*?</tr>", table)
        assert len({len(re.findall(r"<t[hd]", row)) for row in rows}) == 1


def test_scores_in_a_column_have_equal_decimals(runs):
    table = tables.against_rules(runs[0].evaluation)
    scores = re.findall(r"</th><td class=\"n\">−\d+\.(\d+)", table)
    assert len(scores) == 7 and len({len(s) for s in scores}) == 1


def bounded(record, bound=-30.0):
    path = record.path / "evaluation.json"
    found = json.loads(path.read_text())
    found["bound"] = {"mean": bound, "values": [], "seconds": 1.0}
    for policy in found["policies"]:
        policy["gap"] = {"mean": bound - policy["mean"], "relative": None}
    path.write_text(json.dumps(found))
    return records.read(record.path)


def test_a_known_bound_is_the_last_row_and_every_policy_has_a_gap(runs):
    record = bounded(runs[0])
    assert record.evaluation.bound == -30.0
    table = tables.against_rules(record.evaluation)
    rows = re.findall(r"<tr.*?</tr>", table)
    assert "gap to bound" in rows[0] and "−30." in rows[-1] and ">bound<" in rows[-1]
    assert len({len(re.findall(r"<t[hd]", row)) for row in rows}) == 1
    learned = record.evaluation.learned
    share = f"{100 * (-30.0 - learned.mean) / -learned.mean:.1f}"
    assert any(f"{share}\u00a0%" in row for row in rows[1:-1])


def test_without_a_bound_nothing_is_said_of_it(runs):
    table = tables.against_rules(runs[0].evaluation)
    assert runs[0].evaluation.bound is None and "bound" not in table


def test_runs_say_their_gap_where_it_is_known(runs):
    table = tables.learned_policies([bounded(runs[0]), runs[1]])
    first, second = re.findall(r"<tr.*?</tr>", table)[1:]
    gap = -30.0 - runs[0].evaluation.learned.mean
    assert f"{100 * gap / -runs[0].evaluation.learned.mean:.1f}\u00a0%" in first
    assert first.count("–") < second.count("–")


def test_the_command_can_be_pasted(fabricate):
    run = fabricate()
    facts = json.loads((run / "run.json").read_text())
    facts["command"] = ["descant", "train", "--run", "runs/my run; rm -rf"]
    (run / "run.json").write_text(json.dumps(facts))
    assert tables.command(records.read(run)) == "descant train --run 'runs/my run; rm -rf'"


def test_equal_configurations_say_so(runs):
    assert "All runs have the same configuration" in tables.configuration_differences(runs[:1] * 2)


def test_outcomes_come_before_scores_and_once(fabricate):
    run = fabricate("won")
    path = run / "evaluation.json"
    found = json.loads(path.read_text())
    for policy in found["policies"]:
        policy["diagnostics"]["won"] = 0.6
        policy["outcomes"] = {"won": {"mean": 0.6, "low": 0.4, "high": 0.75}}
    path.write_text(json.dumps(found))
    record = records.read(run)
    for table in (tables.against_rules(record.evaluation), tables.learned_policies([record] * 2)):
        heads = re.findall(r"<th[^>]*>([^<]*)</th>", table.split("</thead>")[0])
        assert heads.count("won") == 1 and heads.index("won") == heads.index("score") - 1
        assert "60.0\u00a0%" in table and "[40.0\u00a0%, 75.0\u00a0%]" in table
        rows = re.findall(r"<tr.*?</tr>", table)
        assert len({len(re.findall(r"<t[hd]", row)) for row in rows}) == 1
    assert "share of scenarios that ended so" in tables.against_rules(record.evaluation)
