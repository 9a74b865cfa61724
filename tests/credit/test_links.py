from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from builders import rollout
from descant.core.types import Signal
from descant.credit.links import Chain, Gae, Guide, Judged, Reward, Scale, Standardise, chain
from descant.credit.schedules import Constant
from descant.ops.returns import gae

PROGRESS = jnp.float32(0.5)


@pytest.fixture(scope="module")
def given():
    return rollout(agents=3)


def signal(given, advantage=None):
    if advantage is None:
        advantage = jax.random.normal(jax.random.key(0), given.log_prob.shape)
    return Signal(given.reward, advantage, given.value)


def apply(link, before, given):
    return link(before, given, PROGRESS, link.init(jax.random.key(0)))


def test_gae_of_each_scenario_goes_to_all_its_agents(given):
    after, _ = apply(Gae(discount=0.9, trace=0.8), signal(given), given)
    for e in range(2):
        alone = gae(
            given.reward[:, e],
            given.value[:, e, 0],
            given.bootstrap[:, e, 0],
            given.terminated[:, e],
            given.truncated[:, e],
            0.9,
            0.8,
        )
        for n in range(3):
            np.testing.assert_allclose(after.advantage[:, e, n], alone, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(
            after.target[:, e, 0], alone + given.value[:, e, 0], rtol=1e-5, atol=1e-6
        )


def test_standardise_counts_only_who_acted(given):
    before = signal(given)
    after, _ = apply(Standardise(), before, given)
    acted = np.asarray(given.observation.active)
    assert not acted.all(), "the toy must have idle agents here"
    assert np.mean(after.advantage[acted]) == pytest.approx(0, abs=1e-6)
    assert np.std(after.advantage[acted]) == pytest.approx(1, abs=1e-5)
    wild = jnp.where(given.observation.active, before.advantage, 1e6)
    again, _ = apply(Standardise(), signal(given, wild), given)
    np.testing.assert_array_equal(again.advantage[acted], after.advantage[acted])
    np.testing.assert_array_equal(after.target, before.target)


def test_guide_by_hand(given):
    before = signal(given)
    link = Guide(weight=Constant(level=0.3), slope=len, momentum=0.9, limit=1.0)
    after, state = apply(link, before, given)
    acted = np.asarray(given.observation.active)
    slope = np.asarray(given.probes["slope"])
    scaled = np.clip((slope - slope[acted].mean()) / slope[acted].std(), -1, 1)
    wanted = 0.7 * before.advantage - 0.3 * scaled
    np.testing.assert_allclose(after.advantage[acted], wanted[acted], rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(after.target, before.target)
    assert list(link.probes) == ["slope"]
    # The same batch once more leaves the moments where they are.
    later, _ = link(before, given, PROGRESS, state)
    np.testing.assert_allclose(later.advantage, after.advantage, rtol=1e-4, atol=1e-5)


def test_weight_zero_leaves_every_bit(given):
    before = signal(given)
    for link in (Guide(weight=Constant(level=0.0), slope=len), Scale(taken=Constant(level=0.0))):
        after, _ = apply(link, before, given)
        np.testing.assert_array_equal(after.advantage, before.advantage)


def test_scale(given):
    before = signal(given)
    after, _ = apply(Scale(taken=Constant(level=0.25)), before, given)
    np.testing.assert_allclose(after.advantage, 0.75 * before.advantage, rtol=1e-6)


def test_a_chain_is_its_links_in_turn(given):
    first, second = Gae(discount=0.9, trace=0.8), Scale(taken=Constant(level=0.5))
    both, _ = apply(chain(first, second), signal(given), given)
    half, _ = apply(second, apply(first, signal(given), given)[0], given)
    np.testing.assert_array_equal(both.advantage, half.advantage)
    other, _ = apply(chain(second, first), signal(given), given)
    np.testing.assert_allclose(other.advantage, 2 * both.advantage, rtol=1e-6)


def test_chains_are_flat():
    links = Standardise(), Scale(taken=Constant(level=0.5))
    guide = Guide(weight=Constant(level=0.5), slope=len)
    nested = chain(chain(*links), guide)
    assert isinstance(nested, Chain)
    assert nested.links == (*links, guide)
    assert dict(nested.probes) == {"slope": len}
    assert len(nested.init(jax.random.key(0))) == 3


def test_an_agent_s_own_reward_makes_its_own_advantage(given):
    """As many critics as agents: each column is the estimate of that agent alone."""
    shape = given.log_prob.shape
    own, value, after = (jax.random.normal(jax.random.key(i), shape) for i in (1, 2, 3))
    seen = replace(given, value=value, bootstrap=after, probes={"own": own})
    start = Signal(seen.reward, jnp.zeros(shape), value)
    links = chain(Reward(name="own", probe=lambda *_: own[0, 0]), Gae(discount=0.9, trace=0.8))
    got, _ = apply(links, start, seen)
    for scenario in range(shape[1]):
        for agent in range(shape[2]):
            at = (slice(None), scenario, agent)
            ends = given.terminated[:, scenario], given.truncated[:, scenario]
            wanted = gae(own[at], value[at], after[at], *ends, 0.9, 0.8)
            np.testing.assert_allclose(got.advantage[at], wanted, rtol=1e-5, atol=1e-6)


def test_a_reward_on_top_is_the_team_s(given):
    seen = replace(given, probes={"more": jnp.full(given.log_prob.shape, 2.0)})
    got, _ = apply(Reward(name="more", probe=lambda *_: 0, added=True), signal(given), seen)
    np.testing.assert_allclose(got.reward, given.reward + 2)


def test_what_is_read_off_is_taken_as_it_is(given):
    read = jax.random.normal(jax.random.key(7), given.log_prob.shape)
    seen = replace(given, probes={"counterfactual": read})
    got, _ = apply(chain(Standardise(), Judged(name="counterfactual")), signal(given), seen)
    np.testing.assert_array_equal(got.advantage, read)
    assert got.unit == 1


@pytest.mark.parametrize(("whole", "share"), [(True, 0.75), (False, 1.0)])
def test_a_unit_says_what_an_advantage_has_become(given, whole, share):
    """Where all shrinks, one is worth more; room made for a critic of actions is not taken away
    from it."""
    before = signal(given)
    got, _ = apply(Scale(taken=Constant(level=0.25), whole=whole), before, given)
    np.testing.assert_allclose(got.advantage, 0.75 * before.advantage)
    assert float(1 / got.unit) == pytest.approx(share)
