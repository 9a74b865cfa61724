"""What runs on networks say of their objective: exactly, or as episodes have it."""

import dataclasses
import json
from functools import partial

import jax
import numpy as np
import pytest

from descant.algorithms import dgpg, localised, mappo
from descant.cli.render import shown
from descant.core.errors import UserError
from descant.evaluate.episodes import Decided, scenario_keys
from descant.evaluate.objectives import discount_of, occupied, reached, standing, visited
from descant.evaluate.session import evaluate_run
from descant.ops.utility import Determinism, everybody
from descant.train.config import Train
from descant.train.trained import load_trained
from toys import balance

KNOBS = Train()


def test_an_evaluation_tells_the_exact_utility_by_group_and_the_gap(voters):
    found, trained = voters.evaluation["objective"], load_trained(voters.folder)
    exact, team = trained.domain.exact(0.9), trained.domain.objective
    values = [
        exact.value(team, np.asarray(trained.policy(seed).by_state(), np.float64)[:, :, 1])
        for seed in range(2)
    ]
    assert found["exact"] and found["discount"] == 0.9
    np.testing.assert_allclose(found["values"], values, rtol=1e-9)
    assert found["value"] == pytest.approx(np.mean(values))
    assert list(found["groups"]) == ["kl", "entropy", "linear"]
    assert np.mean(list(found["groups"].values())) == pytest.approx(found["value"], rel=1e-6)
    best, most = exact.bracket(team)
    assert found["optimum"] == {"value": best, "bound": most}
    assert found["gap"]["mean"] == pytest.approx(most - found["value"])
    assert json.loads((voters.folder / "evaluation.json").read_text())["objective"] == found


def test_the_best_learner_is_the_one_that_violates_least_then_has_most(voters):
    rows = [json.loads(line) for line in (voters.folder / "metrics.jsonl").open()]
    assert all("validation" not in row for row in rows)
    asked = {row["iteration"]: row for row in rows if row["validation_utility"][0] is not None}
    assert list(asked) == [2, 4]
    trained = load_trained(voters.folder)
    keys = scenario_keys("validation", 0, 2)
    for seed, iteration in enumerate(trained.selected):
        short = {i: row["validation_violation"][seed] for i, row in asked.items()}
        assert short[iteration] == min(short.values())
        rule = Decided(trained.policy(seed), "act")
        value, violation = standing(
            trained.domain, rule, keys, 0.9, trained.domain.objective, trained.domain.constraint
        )
        assert float(violation) == pytest.approx(short[iteration], rel=1e-4)
        utility = asked[iteration]["validation_utility"][seed]
        assert float(value) == pytest.approx(utility, rel=1e-4)


def test_table_and_report_show_it(voters):
    for form in ("plain", "md"):
        text = shown(voters.evaluation, form)
        assert "voter: utility, exact, at discount 0.9, higher is better" in text
        assert text.startswith("voter: violation of constraints, summed over agents, exact, at")
        assert "gap to bound" in text and "Utility of the learned policy by group" in text
    page = (voters.folder / "report.html").read_text()
    assert "For one update an agent hears 320 numbers of others, 1\u202f280 bytes." in page
    assert "Utilities" in page and "no policy exceeds" in page and "entropy" in page


def test_without_a_bound_the_optimum_is_not_computed(voters):
    found = evaluate_run(voters.folder, scenarios=1, bound=False, rules=["push"])["objective"]
    assert found["optimum"] is None and found["gap"] is None and found["exact"]


def test_episodes_estimate_what_equations_say(voters):
    """Where nothing is known exactly, and where utilities have no known optimum."""
    trained = load_trained(voters.folder)
    domain, keys = trained.domain, jax.random.split(jax.random.key(1), 400)
    rule = domain.rules["correct"]
    seen = np.asarray(jax.jit(partial(visited, domain, rule, discount=0.9))(keys))
    chances = np.broadcast_to(np.eye(2)[::-1], (6, 2, 2))
    np.testing.assert_allclose(seen.sum(axis=(1, 2)), 1, atol=1e-4)
    np.testing.assert_allclose(seen, domain.exact(0.9).occupancy(chances), atol=0.05)
    team = everybody(Determinism(weight=np.ones(2)), 6)
    for changed in (
        dataclasses.replace(domain, exact=None),
        dataclasses.replace(domain, objective=team),
    ):
        other = dataclasses.replace(trained, domain=changed)
        found = reached(other, occupied(other, [other.policy()], keys), bound=True)
        assert found["gap"] is None
        assert found["exact"] == (changed.exact is not None)
        assert ("concave" in (found["note"] or "")) == found["exact"]


def test_discounts_are_found_wherever_they_are():
    assert discount_of(localised.Config(discount=0.8)) == 0.8
    assert discount_of(dgpg.Config(base=mappo.Config(discount=0.97))) == 0.97
    assert discount_of(mappo.Config(discount=1.0)) is None
    assert discount_of(KNOBS) is None


def test_what_has_no_network_has_no_occupancies():
    toy = balance.make(balance.Config())
    with pytest.raises(UserError, match="no network"):
        visited(toy, next(iter(toy.rules.values())), jax.random.split(jax.random.key(0), 1), 0.9)
