"""What runs on networks have to show, and that the report shows it."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from descant.algorithms import localised
from descant.evaluate.episodes import Decided
from descant.evaluate.networks import MOST, shown
from descant.evaluate.objectives import occupied
from descant.evaluate.session import evaluate_run
from descant.train.loop import plan, start
from descant.train.trained import load_trained

KEYS = jax.random.split(jax.random.key(0), 2)


def test_who_hears_how_much_follows_from_the_graph(voters):
    found = voters.evaluation["network"]
    assert (found["agents"], found["edges"], found["samples"]) == (6, 6, 2 * 40)
    assert found["radii"] == {"policy": 0, "credit": 2}
    # A ring of six: two more with each hop, the one opposite with the third, nobody after that.
    others = [(row["radius"], row["mean"], row["most"]) for row in found["within"]]
    assert others == [(0, 0, 0), (1, 2, 2), (2, 4, 4), (3, 5, 5)]
    rows = [json.loads(line) for line in (voters.folder / "metrics.jsonl").open()]
    heard = found["samples"] * others[2][1]
    assert rows[-1]["messages"] == [heard] * 2 and rows[-1]["bytes"] == [4 * heard] * 2


def test_fitted_critics_hear_what_they_read(voters):
    trained = load_trained(voters.folder)
    config = localised.Config(critic="additive", critic_radius=1, credit_radius=0)
    algorithm = localised.make(config, trained.domain)
    assert algorithm.radii == {"policy": 0, "critic": 1, "credit": 0}
    heard = algorithm.traffic(80)
    assert heard["messages"] == heard["bytes"] == 80 * 2 * 2


def test_the_picture_is_of_the_policies_before_and_after(voters):
    trained, found = load_trained(voters.folder), voters.evaluation["network"]["picture"]
    assert found["exact"] and np.shape(found["place"]) == (6, 2) and len(found["edges"]) == 6
    assert found["quantity"] == "Time in states other than 0"
    before, after = occupied(trained, [trained.untrained(), trained.policy()], KEYS)
    assert before.occupancy[:, :, 1].sum(axis=1) == pytest.approx(0.5)
    for name, here in (("before", before), ("after", after)):
        states = here.occupancy[:, 1].sum(axis=1)
        np.testing.assert_allclose(found[name]["quantity"], states, atol=1e-6)
        pushes = here.occupancy[:, :, 1].sum(axis=1)
        np.testing.assert_allclose(found[name]["actions"], pushes, atol=1e-6)
    assert np.mean(found["after"]["utility"]) == pytest.approx(
        voters.evaluation["objective"]["values"][0], abs=1e-5
    )


def test_of_points_the_picture_has_the_mean_of_what_the_network_names(junctions):
    """How full each junction is, as a plain loop over the held-out episodes has it."""
    trained = load_trained(junctions.folder)
    found = shown(trained, occupied(trained, [trained.policy()], KEYS), KEYS)
    network, env = trained.domain.network, trained.domain.env
    assert found is not None and network is not None
    assert found["picture"]["quantity"] == network.quantity.name == "How full a junction is"
    for when, policy in (("before", trained.untrained()), ("after", trained.policy())):
        rule, total, weight = Decided(policy, "act"), np.zeros(4), 0.0
        for key in KEYS:
            reset_key, run_key = jax.random.split(key)
            state, observation = env.reset(reset_key)
            for tick, drawn in enumerate(jax.random.split(run_key, env.spec.horizon)):
                full = np.asarray(state.local)[:, :4].mean(axis=1) / network.config.capacity
                total, weight = total + 0.9**tick * full, weight + 0.9**tick
                act_key, step_key = jax.random.split(drawn)
                state, step = env.step(step_key, state, rule(state, observation, act_key))
                observation = step.observation
        np.testing.assert_allclose(found["picture"][when]["quantity"], total / weight, atol=1e-5)
    said = (junctions.folder / "report.html").read_text()
    assert "How full a junction is, after training" in said and "There is no drawing" not in said


def test_a_seed_starts_from_the_learner_that_training_starts_from(voters):
    trained = load_trained(voters.folder)

    algorithm = localised.make(localised.Config(net="mlp", hidden=4), trained.domain)
    what = plan(algorithm, trained.domain.env, rollouts=2, steps=0, iterations=2)
    first, _ = start(what, trained.settings.seed, 2)
    drawn = dataclasses.replace(trained, algorithm=algorithm)
    for seed in range(2):
        learner = jax.tree.map(lambda x, seed=seed: x[seed], first.learner)
        began = jax.tree.leaves(algorithm.policy(learner))
        for leaf, expected in zip(jax.tree.leaves(drawn.untrained(seed)), began, strict=True):
            np.testing.assert_allclose(leaf, expected, rtol=1e-5)


def test_violations_and_what_is_too_large_to_draw(voters):
    short, trained = voters.evaluation["constraint"], load_trained(voters.folder)
    assert short["exact"] and 0 < short["worst"] <= short["total"] and 0 < short["share"] <= 1
    again = evaluate_run(voters.folder, scenarios=1, bound=False, rules=["push"])
    assert again["constraint"] == pytest.approx(short)
    assert shown(trained, None, KEYS)["picture"] is None
    assert MOST >= 100


def test_the_report_shows_it(voters):
    page = (voters.folder / "report.html").read_text()
    for said in (
        "For one update an agent hears 320 numbers of others, 1\u202f280 bytes.",
        "<h2>Network</h2>",
        "<h2>Constraints</h2>",
        "On held-out scenarios constraints are violated by",
        "Bold: the radii of this run (policy 0, credit 2).",
        "Time in states other than 0, after training",
        "Utility, before training",
    ):
        assert said in page
