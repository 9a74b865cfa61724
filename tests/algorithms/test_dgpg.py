from dataclasses import replace

import jax
import jax.numpy as jnp
import pytest

from builders import SMALL
from descant.algorithms import dgpg
from descant.ascent.terms import Guidance
from descant.core.errors import UserError
from descant.credit.links import Guide, Scale
from descant.testing.contracts import check_algorithm
from descant.train.loop import begin, iterate, plan
from toys import balance

TOY = balance.make(balance.Config())


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
