import json

from descant.report import records
from descant.report.headline import headline, relative, subject


def test_headline_says_when_it_loses(fabricate):
    def said(score):
        evaluation = records.read(fabricate(f"at{score}", score=score)).evaluation
        assert evaluation is not None
        return headline(evaluation)

    between = said(-38.0)
    assert "% better than Best-Fit [+" in between
    assert "% worse than most-efficient-first, the best rule [−" in between
    assert "% worse than Best-Fit [−" in said(-60.0)
    assert "which is no clear difference" in said(-37.1)
    far_ahead = said(-20.0)
    assert "On 40 held-out scenarios, the learned policy scores −" in far_ahead
    assert "worse" not in far_ahead


def test_a_run_that_was_after_a_utility_is_told_by_that_first(wanted):
    said = headline(wanted("exact", exact=True, kept=False).evaluation)
    assert said.startswith(
        "The learned policy has a utility of 0.2500 (exact): 0.35 worse than random, the best rule."
        " Its reward is "
    )
    assert "the rule with most, most-efficient-first, has" in said
    kept = headline(wanted("kept", exact=False, kept=True).evaluation)
    assert kept.startswith(
        "On 40 held-out scenarios, the learned policy has a utility of 0.2500 and keeps all "
        "constraints: "
    )
    assert (
        "better than first-fit, the rule that violates least (which keeps all constraints)" in kept
    )


def changed(run, change):
    found = json.loads((run / "evaluation.json").read_text())
    for policy in found["policies"]:
        change(policy)
    (run / "evaluation.json").write_text(json.dumps(found))
    return records.read(run).evaluation


def test_rules_alone_are_reported_without_a_learned_policy(fabricate):
    found = changed(fabricate(), lambda p: p.update(kind="rule", difference=None))
    assert "no learned policy was evaluated. The best of 7 rules is most-eff" in headline(found)


def test_best_fit_is_named_once_where_it_is_the_best_rule(fabricate):
    def change(policy):
        if policy["name"] == "best-fit":
            policy["mean"] = -1.0

    said = headline(changed(fabricate(), change))
    assert said.count("Best-Fit") == 1 and "Best-Fit, the best rule" in said


def test_a_share_of_nothing_is_not_a_percentage(fabricate):
    found = changed(fabricate(), lambda p: p.update(mean=0.0))
    assert relative(found.rules[0]) is None
    assert "%" not in headline(found)


def test_the_learned_policy_is_spelled_out_in_prose():
    assert subject("learned") == "the learned policy"
    assert subject("best_fit") == "Best-Fit"


def test_what_became_of_episodes_is_said_where_it_is_known(fabricate):
    def change(policy):
        policy["outcomes"] = {"won": {"mean": 0.625, "low": 0.5, "high": 0.7}, "odd": 3}

    found = changed(fabricate(), change)
    assert found.learned.outcomes == {"won": {"mean": 0.625, "low": 0.5, "high": 0.7}}
    assert "(won in 62.5\u00a0% of them): " in headline(found)
