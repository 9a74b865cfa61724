import jax
import jax.numpy as jnp
import numpy as np
import pytest

from builders import rollout
from descant.core.types import Signal
from descant.credit.links import Chain, Gae, Guide, Scale, Standardise, chain
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
    return link(before, given, PROGRESS, link.init())


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
    assert len(nested.init()) == 3
