"""Evaluations as objects: here, what stands in them where a domain knows a bound."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from descant.core import discovery
from descant.core.errors import UserError
from descant.domains import cloud
from descant.evaluate import session
from descant.evaluate.episodes import Scores, scenario_keys
from descant.evaluate.session import _file, _policy, evaluate_domain, validate_run
from descant.train.folder import RunFolder
from descant.train.settings import defaults, with_values
from descant.train.trained import Trained

CONFIG = cloud.Config(servers=3, horizon=45, arrivals=30, energy_weight=0.5, utilisation=(1.0, 1.0))
NAMES = ("random", "best-fit")


@pytest.fixture(scope="module")
def evaluated():
    """Two rules on three scenarios: with the bound, without, and in a domain that knows none."""
    made = cloud.make(CONFIG)
    rules = {name: made.rules[name] for name in NAMES}
    made = replace(made, rules=rules, model=None)
    seen = []

    def counted(state):
        seen.append(int(state.time))
        return made.bound(state)

    with pytest.MonkeyPatch.context() as patch:

        def domain(**changes):
            module = SimpleNamespace(make=lambda config: replace(made, **changes))
            patch.setattr(discovery, "load", lambda kind, name: module)

        domain(bound=counted)
        with_bound = evaluate_domain("cloud", CONFIG, scenarios=3)
        without = evaluate_domain("cloud", CONFIG, scenarios=3, bound=False)
        assert seen == [0, 0, 0], "one bound for each scenario, from its first state"
        domain(bound=None)
        unknown = evaluate_domain("cloud", CONFIG, scenarios=3)
        one = evaluate_domain("cloud", CONFIG, scenarios=3, rules=["best-fit"])
        with pytest.raises(UserError) as refused:
            evaluate_domain("cloud", CONFIG, scenarios=3, rules=["bestfit", "random", "tide"])
    return SimpleNamespace(
        given=with_bound, off=without, unknown=unknown, one=one, refused=refused.value.problems
    )


def test_every_policy_stays_below_the_bound_of_its_scenario(evaluated):
    bound = evaluated.given["bound"]
    assert len(bound["values"]) == 3 and bound["seconds"] > 0
    assert bound["mean"] == pytest.approx(np.mean(bound["values"]))
    for policy in evaluated.given["policies"]:
        assert np.all(np.array(policy["values"]) <= bound["values"]), policy["name"]


def test_bounds_are_those_of_the_scenarios_that_are_played(evaluated):
    """Scenarios differ by far more than a rule misses their bound by."""
    best = next(p for p in evaluated.given["policies"] if p["name"] == "best-fit")
    assert np.corrcoef(best["values"], evaluated.given["bound"]["values"])[0, 1] > 0.8


def test_the_gap_is_what_could_be_gained_at_most(evaluated):
    for policy in evaluated.given["policies"]:
        gap = evaluated.given["bound"]["mean"] - policy["mean"]
        assert gap > 0
        assert policy["gap"] == {
            "mean": pytest.approx(gap),
            "relative": pytest.approx(gap / -policy["mean"]),
        }


@pytest.mark.parametrize("which", ["off", "unknown"])
def test_without_a_bound_there_is_no_gap(evaluated, which):
    found = getattr(evaluated, which)
    assert found["bound"] is None
    assert [policy["gap"] for policy in found["policies"]] == [None, None]
    values = [policy["values"] for policy in found["policies"]]
    assert values == [policy["values"] for policy in evaluated.given["policies"]]


def test_rules_that_are_not_named_are_not_played(evaluated):
    (policy,) = evaluated.one["policies"]
    (same,) = [p for p in evaluated.unknown["policies"] if p["name"] == "best-fit"]
    assert evaluated.one["reference"] == policy["name"] == "best-fit"
    assert policy["values"] == same["values"]


def test_a_rule_that_there_is_not_is_named(evaluated):
    assert evaluated.refused == [
        "--rules: 'cloud' has no rule 'bestfit'. Did you mean 'best-fit'?",
        "--rules: 'cloud' has no rule 'tide'.",
    ]


def test_outcomes_are_shares_of_scenarios_seeds_averaged_first():
    scores = Scores(
        reward=np.zeros((2, 4)),
        diagnostics={"won": np.array([[1.0, 0, 1, 1], [1, 0, 0, 1]]), "queue": np.ones((2, 4))},
        alignment={},
        series={},
    )
    found = _policy("learned", "learned", np.zeros(4), scores, ("won",))["outcomes"]
    assert list(found) == ["won"] and found["won"]["mean"] == 0.625
    assert 0 <= found["won"]["low"] < 0.625 < found["won"]["high"] <= 1
    assert _policy("a", "rule", np.zeros(4), scores, ())["outcomes"] == {}


def test_an_evaluation_of_other_scenarios_does_not_take_the_place_of_the_run_s_own(tmp_path):
    folder = RunFolder(tmp_path)
    own = {"scenarios": 40, "scenario_seed": 2026, "mode": "act", "iteration": 10}
    learned, *rules = ({"name": n, "kind": "rule"} for n in ("learned", "tetris", "jsq", "random"))
    own["policies"] = [learned | {"kind": "learned"}, *rules]
    other = own | {"scenarios": 9, "scenario_seed": 3}
    assert _file(folder, other, replace=False) == "evaluation.json"
    folder.write_json("evaluation.json", own)
    assert _file(folder, own, replace=False) == "evaluation.json"
    assert _file(folder, other, replace=False) == "evaluation-9-3-act.json"
    assert _file(folder, other, replace=True) == "evaluation.json"
    assert _file(folder, other | {"iteration": 20}, replace=False) == "evaluation.json"
    few = own | {"policies": own["policies"][:3]}
    assert _file(folder, few, replace=False, named=True) == (
        "evaluation-40-2026-act-tetris+jsq.json"
    )
    assert _file(folder, few, replace=True) == "evaluation.json"
    folder.write_json("evaluation.json", few)
    assert _file(folder, own, replace=False) == "evaluation.json"
    for damaged in ("{", "[1]", "{}"):
        folder.write_text("evaluation.json", damaged)
        assert _file(folder, other, replace=False) == "evaluation.json"


def test_validation_meets_the_run_s_validation_scenarios_and_no_others(tmp_path, monkeypatch):
    """Neither training nor the held-out comparison sees one of them."""
    values = {"seed": 7, "train.validation": 3, "seeds": 2}
    settings = with_values(defaults("cloud", "mappo"), values)
    climbing = SimpleNamespace(aims=(None, None))
    trained = Trained(settings, cloud.make(CONFIG), climbing, None, 5, (4, 5))  # pyright: ignore
    monkeypatch.setattr(session, "load_trained", lambda run: trained)
    met = []

    def score(trained, keys, mode):
        met.append((trained, keys, mode))
        return SimpleNamespace(reward=np.array([[1.0, 2.0, np.nan], [3.0, 4.0, 5.0]]))

    monkeypatch.setattr(session, "_score_learned", score)
    found = validate_run(tmp_path)
    ((scored, keys, mode),) = met
    assert (mode, scored.domain.model, scored.domain.figures) == ("act", None, ())
    assert (keys == scenario_keys("validation", 7, 3)).all()
    for role, seed in (("training", 7), ("held-out", 7), ("held-out", session.SEED)):
        others = scenario_keys(role, seed, 3)
        assert not (keys[:, None] == others[None]).any()
    kept = RunFolder(tmp_path).read_json("validation.json")
    assert kept["values"] == [[1.0, 2.0, None], [3.0, 4.0, 5.0]]
    assert (kept["iteration"], kept["selected"], kept["scenarios"]) == (5, [4, 5], 3)
    assert kept["ranked_by"] == ["reward"] and "utility" not in kept
    assert found["seconds"] >= 0

    none = with_values(settings, {"train.validation": 0})
    monkeypatch.setattr(session, "load_trained", lambda run: replace(trained, settings=none))
    with pytest.raises(UserError, match=r"train.validation: expected at least 1 to score on"):
        validate_run(tmp_path)
