from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from builders import SMALL, rollout
from descant.algorithms import dgpg
from descant.ascent.terms import Guidance
from descant.core.errors import UserError
from descant.core.types import Signal
from descant.credit.links import Guide, Scale
from descant.credit.schedules import Given
from descant.ops.guidance import blend
from descant.testing.contracts import check_algorithm
from descant.train.loop import begin, iterate, plan
from toys import balance

TOY = balance.make(balance.Config())
HALF = jnp.float32(0.5)


@pytest.mark.parametrize(
    ("guidance", "changes"), [("sampled", {"net": "linear"}), ("exact", {"order": "in-turn"})]
)
def test_every_estimator_holds_the_contract(guidance, changes):
    config = dgpg.Config(base=replace(SMALL, **changes), guidance=guidance)
    check_algorithm(lambda d: dgpg.make(config, d), TOY)


def test_sampled_is_one_more_link_and_the_others_a_term():
    sampled = dgpg.make(dgpg.Config(base=SMALL, guidance="sampled"), TOY)
    assert isinstance(sampled.credit.links[-1], Guide)
    assert list(sampled.probes) == ["slope"]
    assert not sampled.ascent.terms
    for guidance in ("expected", "exact"):
        other = dgpg.make(dgpg.Config(base=SMALL, guidance=guidance), TOY)
        assert isinstance(other.credit.links[-1], Scale)
        assert isinstance(other.ascent.terms[-1], Guidance)
        assert not other.probes


def test_exact_follows_the_order_in_which_agents_choose():
    def kind(order):
        config = dgpg.Config(base=replace(SMALL, order=order), guidance="exact")
        return dgpg.make(config, TOY).ascent.terms[-1].kind

    assert kind("in-turn") == "in turn"
    assert kind("together") == "exact"


def run(config, total=2):
    """Metrics of some updates on the toy, and the learner."""
    what = plan(dgpg.make(config, TOY), TOY.env, rollouts=2, steps=0, iterations=total)
    step = lambda run, index: iterate(what, run, key, index)  # noqa: E731
    key = jax.random.key(0)
    out, metrics = jax.jit(lambda key: jax.lax.scan(step, begin(what, key), jnp.arange(total)))(key)
    assert int(out.skipped) == 0
    return out.learner, metrics


@pytest.mark.parametrize("order", ["in-turn", "together"])
@pytest.mark.parametrize("guidance", ["sampled", "expected", "exact"])
def test_a_measured_weight_goes_with_every_estimator_and_order(guidance, order):
    base = replace(SMALL, order=order)
    config = dgpg.Config(base=base, guidance=guidance, alpha="adaptive", samples=3)
    algorithm = dgpg.make(config, TOY)

    @jax.jit
    def weighed(given, key):
        learner = algorithm.init(key)
        now, evidence, said = algorithm._weighed(learner, given, jnp.float32(0), key)
        signal = Signal(given.reward, jnp.zeros_like(given.log_prob), given.value)
        first, _ = now.credit(signal, given, jnp.float32(0), learner.credit)
        plain, slope = algorithm.credit.split(signal, given, learner.credit)
        return evidence, said, first.advantage, blend(plain.advantage, slope, said["alpha"])

    evidence, said, got, wanted = weighed(rollout(agents=3), jax.random.key(0))
    assert 0 <= float(said["alpha"]) <= 1
    assert float(said["reward_variance"]) > 0
    assert float(said["guidance_gradient"]) > 0
    assert abs(float(said["gradient_cosine"])) <= 1 + 1e-5
    assert float(evidence.gathered) == pytest.approx(0.1)
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("alpha", "wanted"),
    [
        ("ramp", [0.8, 0.8, 0.5, 0.2, 0.2]),
        ("fixed", [0.8] * 5),
        ("annealed", [0.8, 0.8, 0.8 * 2 / 3, 0.8 / 3, 0]),
    ],
)
def test_planned_weights(alpha, wanted):
    config = dgpg.Config(alpha=alpha, start=0.8, stop=0.2, hold=0.25, reach=0.75)
    levels = jax.vmap(dgpg.schedule(config))(jnp.linspace(0, 1, 5))
    assert levels.tolist() == pytest.approx(wanted, abs=1e-6)


def test_link_and_term_have_the_weight_of_the_update():
    weigher = dgpg.make(dgpg.Config(base=SMALL, alpha="adaptive"), TOY).weigher
    assert weigher is not None
    now = weigher.guided(Given(level=jnp.float32(0.3)))
    assert float(now.credit.links[-1].taken(HALF)) == pytest.approx(0.3)
    assert float(now.ascent.terms[-1].weight(HALF)) == pytest.approx(0.3)
    sampled = dgpg.Config(base=SMALL, guidance="sampled", alpha="adaptive")
    now = dgpg.make(sampled, TOY).weigher.guided(Given(level=jnp.float32(0.3)))
    assert float(now.credit.links[-1].weight(HALF)) == pytest.approx(0.3)
    assert not now.ascent.terms


def test_looking_changes_nothing_and_a_plan_is_kept():
    base = replace(SMALL, net="linear")
    plan = dgpg.Config(base=base, alpha="annealed", start=0.8)
    blind, said = run(plan)
    assert said["alpha"].tolist() == pytest.approx([0.8, 0.0], abs=1e-6)
    for term in ("distance", "load", "total"):
        share = said[f"alignment_{term}"]
        assert jnp.all((share >= 0) & (share <= 1)), term
    assert "gradient_cosine" not in said
    seeing, said = run(replace(plan, samples=4))
    assert "gradient_cosine" in said
    for a, b in zip(jax.tree.leaves(blind.actor), jax.tree.leaves(seeing.actor), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_no_model_no_guidance():
    bare = replace(TOY, model=None)
    with pytest.raises(UserError, match="'balance' has no analytic model; DG-PG needs one"):
        dgpg.make(dgpg.Config(base=SMALL), bare)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"start": 1.5}, "algorithm.start: expected 0 to 1, got 1.5"),
        ({"stop": float("nan")}, "algorithm.stop"),
        ({"hold": 0.6}, "algorithm.hold: expected at most algorithm.reach = 0.5, got 0.6"),
        ({"limit": 0.0}, "algorithm.limit: expected above 0"),
        ({"memory": -0.1}, "algorithm.memory: expected 0 to 1, got -0.1"),
        ({"samples": -1}, "algorithm.samples: expected at least 0, got -1"),
    ],
)
def test_values_out_of_range_are_named(changes, sentence):
    with pytest.raises(UserError, match=sentence):
        dgpg.make(dgpg.Config(**changes), TOY)


def test_the_model_teaches_within_a_few_updates():
    """Guidance alone, no reward in it, brings the levels to their target."""
    toy = balance.make(balance.Config(horizon=8, agents=4))
    base = replace(SMALL, net="mlp", rate=0.03, minibatch=16)
    config = dgpg.Config(base=base, start=1.0, stop=1.0)
    total = 12
    what = plan(dgpg.make(config, toy), toy.env, rollouts=8, steps=0, iterations=total)

    def run(key):
        step = lambda run, index: iterate(what, run, key, index)  # noqa: E731
        return jax.lax.scan(step, begin(what, key), jnp.arange(total))[1]["return"]

    returns = jax.jit(run)(jax.random.key(0))
    first, last = float(returns[0]), float(returns[-3:].mean())
    assert last > 0.75 * first, (first, last)
