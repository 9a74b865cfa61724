"""Policies beside one another by utility and violation: exactly, or as the same episodes
say."""

import dataclasses

import numpy as np
import pytest

from descant.core.utility import exact_value
from descant.domains import line_message, matrix, voter
from descant.evaluate import objectives, utilities
from descant.evaluate.episodes import scenario_keys
from descant.evaluate.objectives import by_scenario, occupied_by_rules, probed
from descant.evaluate.session import evaluate_domain, evaluate_run
from descant.evaluate.statistics import interval, paired_difference
from descant.ops.rules import anything_legal
from descant.ops.utility import Entropy, Linear, Margin, everybody
from descant.train.trained import load_trained

RULES = ("rest", "push", "random", "correct")
PAY = np.array([[0.0, -0.1], [1.0, 0.9]])


@pytest.fixture(scope="module")
def made():
    return voter.make(voter.Config(agents=16, graph="torus", horizon=40, utility="entropy"))


@pytest.fixture(scope="module")
def many(made):
    """Estimates from 24 scenarios, and what is true."""
    keys = scenario_keys("held-out", 0, 24)
    return (
        dict(zip(RULES, occupied_by_rules(made, keys, 0.9, exact=False), strict=True)),
        dict(zip(RULES, occupied_by_rules(made, keys, 0.9), strict=True)),
    )


def test_of_what_is_linear_every_scenario_has_its_own(made):
    team = everybody(Linear(reward=PAY), 16)
    paid = dataclasses.replace(made, objective=team, rules={"random": made.rules["random"]})
    keys = scenario_keys("held-out", 1, 5)
    (found,) = occupied_by_rules(paid, keys, 0.9, exact=False)
    each = by_scenario(made, made.rules["random"], keys, 0.9)
    values = [float(np.mean(np.sum(PAY * np.asarray(one), axis=(1, 2)))) for one in each]
    np.testing.assert_allclose(found.found["utility"].values, values, atol=1e-5)
    assert found.found["utility"].mean == pytest.approx(np.mean(values), abs=1e-5)
    np.testing.assert_allclose(found.occupancy, np.mean(each, axis=0), atol=1e-6)


def test_estimates_agree_with_equations(many):
    estimated, exact = many
    for name in RULES:
        found, truth = estimated[name].found["utility"], exact[name].found["utility"]
        assert exact[name].exact and truth.values is None
        assert not estimated[name].exact and len(found.values) == 24
        assert found.mean == pytest.approx(np.mean(found.values))
        low, high = (interval(found.values, confidence=0.999)[end] for end in ("low", "high"))
        assert low < truth.mean < high, name


def test_few_scenarios_are_not_taken_for_less_variety(made):
    """Entropies of noisy means are too small; what leaving scenarios out changes takes that off."""
    alone = dataclasses.replace(made, rules={"random": made.rules["random"]})
    truth = occupied_by_rules(alone, scenario_keys("held-out", 0, 1), 0.9)[0].found["utility"].mean
    plain, found = [], []
    for seed in range(12):
        keys = scenario_keys("held-out", seed, 4)
        (one,) = occupied_by_rules(alone, keys, 0.9, exact=False)
        plain.append(exact_value(made.objective, one.occupancy) - truth)
        found.append(one.found["utility"].mean - truth)
    assert np.mean(plain) < -0.005
    assert abs(np.mean(found)) < 0.5 * abs(np.mean(plain))


@pytest.mark.parametrize("seed", range(3))
def test_all_that_is_said_of_violations_is_one_estimate(made, seed):
    """Also where agents are next to what they must keep: here just below the most there is."""
    least = Entropy()
    keep = everybody(Margin(utility=least, least=0.99 * np.log(2.0)), 16)
    rules = {name: made.rules[name] for name in ("random", "push")}
    bound = dataclasses.replace(made, constraint=keep, rules=rules)
    keys = scenario_keys("held-out", seed, 6)
    for one in occupied_by_rules(bound, keys, 0.9, exact=False):
        said, found = objectives.violated([one]), one.found["violation"]
        assert said is not None
        assert said["total"] == pytest.approx(found.mean) == pytest.approx(np.mean(found.values))
        assert (said["total"] == 0) == (said["share"] == 0) == (said["worst"] == 0)
        assert said["worst"] * 16 >= said["total"] >= said["worst"] >= 0


def test_rounding_is_no_difference():
    one, other = objectives.Found(0.35, None), objectives.Found(0.35 + 1e-14, None)
    found = utilities._difference(one, other, exact=True)
    assert found == {"mean": 0.0, "low": 0.0, "high": 0.0}


def test_rules_alone_are_held_against_the_best_of_them():
    config = line_message.Config(agents=3, horizon=15, entropy=0.5)
    found = evaluate_domain("line-message", config, scenarios=4, discount=0.8)
    policies = {policy["name"]: policy for policy in found["policies"]}
    for measure, sign in (("utility", 1), ("violation", -1)):
        said = found["measures"][measure]
        assert (said["exact"], said["discount"]) == (False, 0.8)
        means = {name: sign * policy[measure]["mean"] for name, policy in policies.items()}
        assert said["reference"] == max(means, key=means.get)
        first = policies[said["reference"]][measure]
        for name, policy in policies.items():
            if name == said["reference"]:
                assert policy[measure]["difference"] is None
                continue
            gap = paired_difference(first["values"], policy[measure]["values"])
            assert policy[measure]["difference"] == gap
    assert min(policy["violation"]["mean"] for policy in policies.values()) >= 0
    linear = evaluate_domain("voter", voter.Config(agents=3, horizon=4), scenarios=2)
    assert linear["objective"]["optimum"]["bound"] > 0, "what no policy has more of"
    assert linear["measures"]["utility"]["exact"]
    assert "measures" not in evaluate_domain("matrix", matrix.Config(), scenarios=1)


def test_a_run_stands_beside_rules_exactly(voters):
    found = voters.evaluation
    assert found["ranked_by"] == ["violation", "utility"]
    learned, push = found["policies"]
    trained = load_trained(voters.folder)
    oracle, team = trained.domain.exact(0.9), trained.domain.objective
    truth = oracle.value(team, np.ones((6, 2)))
    assert push["utility"]["mean"] == pytest.approx(truth, rel=1e-6)
    assert learned["utility"]["mean"] == pytest.approx(found["objective"]["value"])
    gap = learned["utility"]["mean"] - push["utility"]["mean"]
    assert push["utility"]["difference"] == pytest.approx({"mean": gap, "low": gap, "high": gap})
    assert learned["violation"]["mean"] == pytest.approx(found["constraint"]["total"])
    assert push["violation"]["difference"]["mean"] < 0, "who always pushes is of one opinion"
    assert list(push["utility"]["groups"]) == ["kl", "entropy", "linear"]


def test_where_one_rule_is_not_known_exactly_all_are_estimated(voters, monkeypatch):
    """From the same scenarios, so that differences are paired."""
    made = voter.make

    def with_legal(config):
        domain = made(config)
        return dataclasses.replace(domain, rules={"legal": anything_legal, **domain.rules})

    monkeypatch.setattr(voter, "make", with_legal)
    found = evaluate_run(voters.folder, scenarios=3, bound=False, rules=["legal", "push"])
    assert not found["measures"]["utility"]["exact"] and found["objective"]["exact"]
    learned, *others = found["policies"]
    for policy in others:
        for measure in ("utility", "violation"):
            assert len(policy[measure]["values"]) == 3
            assert policy[measure]["difference"] == paired_difference(
                learned[measure]["values"], policy[measure]["values"]
            )


def test_where_there_is_no_room_for_each_scenario_there_is_no_interval(made, monkeypatch):
    keys = scenario_keys("held-out", 0, 3)
    alone = dataclasses.replace(made, rules={"random": made.rules["random"]})
    (with_room,) = occupied_by_rules(alone, keys, 0.9, exact=False)
    monkeypatch.setattr(objectives, "KEPT", 0)
    (found,) = occupied_by_rules(alone, keys, 0.9, exact=False)
    assert found.found["utility"].values is None
    np.testing.assert_allclose(found.occupancy, with_room.occupancy, atol=1e-6)


def test_probes_tell_wants_apart(made):
    other = dataclasses.replace(made, objective=everybody(Entropy(delta=0.1), 16))
    assert probed(made) == probed(made) != probed(other)
    assert list(probed(dataclasses.replace(made, constraint=made.objective))) == [
        *("utility", "violation")
    ]
