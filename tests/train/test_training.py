"""Which learner is kept, and that a run goes on as if it had never been interrupted."""

import math
from dataclasses import replace
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from builders import SMALL
from descant.core.errors import UserError
from descant.train.checkpoint import save
from descant.train.hosts import Team
from descant.train.loop import Kept, better
from descant.train.settings import defaults
from descant.train.signals import Stop
from descant.train.toml import to_toml
from descant.train.trained import load_trained
from descant.train.training import Training
from descant.train.verdict import Verdict

TOY = str(Path(__file__).parents[1] / "toys" / "balance.py")
TOTAL, EVERY, BEST = 5, 2, 2


def weight(iterations):
    """Of the running moments after so many updates; it grows and grows."""
    return 1 - 0.99**iterations


def judged(domain, algorithm, mesh):
    """Likes the learner of iteration `BEST` most, and finds nothing to say of the last."""

    def judge(learner):
        found = learner.values.weight
        far = jnp.abs(found - weight(BEST))
        value = jnp.where(found < weight(TOTAL - 0.5), -far, jnp.nan)
        return Verdict(value.astype(jnp.float32))

    return judge


def settings(**train):
    usual = defaults(TOY, "mappo")
    knobs = {"iterations": TOTAL, "rollouts": 2, "select": "best", "every": EVERY, **train}
    return replace(
        usual,
        domain=replace(usual.domain, horizon=4),
        algorithm=SMALL,
        train=replace(usual.train, **knobs),
        seeds=2,
    )


@pytest.fixture(scope="module")
def training():
    return Training(settings(), 1, Team(), judged)


@pytest.fixture(scope="module")
def whole(training):
    """All periods of an undisturbed run."""
    return list(training.periods(Stop()))


def test_validation_comes_every_so_often_and_at_the_end(whole):
    rows = [row for period in whole for row in period.rows]
    assert [row["iteration"] for row in rows] == [1, 2, 3, 4, 5]
    found = np.array([row["validation"] for row in rows])
    np.testing.assert_allclose(found[1], 0, atol=1e-6)
    np.testing.assert_allclose(found[3], weight(2) - weight(4), atol=1e-6)
    assert np.isnan(found[[0, 2, 4]]).all()
    assert [row["selected"] for row in rows] == [[0, 0], [2, 2], [2, 2], [2, 2], [2, 2]]


def learner(leaves, prefix="learner/"):
    return {k.removeprefix(prefix): x for k, x in leaves.items() if k.startswith(prefix)}


def test_the_best_learner_is_kept_to_the_last_bit(whole):
    kept = learner(whole[-1].leaves, "kept/learner/")
    for name, leaf in learner(whole[BEST - 1].leaves).items():
        np.testing.assert_array_equal(kept[name], leaf, err_msg=name)
    last = learner(whole[-1].leaves)
    assert any(not np.array_equal(kept[name], leaf) for name, leaf in last.items())


@pytest.mark.parametrize("done", [1, 3])
def test_a_resumed_run_ends_the_same(training, whole, done):
    training.resume(done, whole[done - 1].leaves)
    for again, before in zip(training.periods(Stop()), whole[done:], strict=True):
        assert str(again.rows) == str(before.rows)
        for name, leaf in before.leaves.items():
            np.testing.assert_array_equal(again.leaves[name], leaf, err_msg=name)


def test_a_run_stops_when_it_is_asked_to(training, whole):
    stop = Stop()
    training.resume(2, whole[1].leaves)
    periods = training.periods(stop)
    assert next(periods).done == 3
    assert stop.idle is False
    stop.requested = 2
    assert next(periods, None) is None
    assert (training.signal, training.done, stop.idle) == (2, 3, True)


def stored(folder, what, leaves, step):
    (folder / "config.toml").write_text(to_toml(what))
    save(folder / "checkpoints", step, leaves, {}, keep=3)
    return load_trained(folder)


def test_the_kept_learner_is_the_one_to_use(tmp_path, whole):
    trained = stored(tmp_path, settings(), whole[-1].leaves, TOTAL)
    assert (trained.iteration, trained.selected) == (TOTAL, (BEST, BEST))
    np.testing.assert_allclose(trained.learners.values.weight, weight(BEST), rtol=1e-5)


def test_before_the_first_validation_it_is_the_last_one(tmp_path, whole):
    trained = stored(tmp_path, settings(), whole[0].leaves, 1)
    assert trained.selected == (1, 1)
    np.testing.assert_allclose(trained.learners.values.weight, weight(1), rtol=1e-5)


def test_with_select_last_it_is_the_last_one(tmp_path, whole):
    leaves = {k: x for k, x in whole[-1].leaves.items() if not k.startswith("kept/")}
    trained = stored(tmp_path, settings(select="last"), leaves, TOTAL)
    assert trained.selected == (TOTAL, TOTAL)
    np.testing.assert_allclose(trained.learners.values.weight, weight(TOTAL), rtol=1e-5)


def kept(value, violation, iteration=1):
    short = None if violation is None else jnp.float32(violation)
    return Kept(jnp.float32(iteration), Verdict(jnp.float32(value), short), jnp.int32(iteration))


@pytest.mark.parametrize(
    ("new", "old", "wins"),
    [
        ((2, None), (1, None), True),
        ((1, None), (1, None), False),
        ((1, 0.0), (9, 0.5), True),
        ((9, 0.5), (1, 0.0), False),
        ((1, 0.2), (9, 0.5), True),
        ((2, 0.0), (1, 0.0), True),
        ((1, 0.0), (2, 0.0), False),
        ((math.nan, 0.0), (1, 0.5), False),
    ],
)
def test_less_violation_comes_first_then_value(new, old, wins):
    found = better(kept(*old), kept(*new, iteration=2))
    assert (int(found.iteration) == 2) == wins and float(found.learner) == found.iteration
    first = better(kept(0, old[1], iteration=0), kept(*new, iteration=2))
    assert (int(first.iteration) == 2) == math.isfinite(new[0])


def test_sizes(training, whole):
    assert training.devices == 1
    assert training.size == sum(leaf.nbytes for leaf in whole[0].leaves.values())
    assert training.weights > 0
    assert all(math.isfinite(period.speed) and period.seconds > 0 for period in whole)


def test_the_best_needs_something_to_be_judged_on():
    with pytest.raises(UserError, match=r"train\.select: best needs train\.validation"):
        settings(validation=0).train.validate()
    with pytest.raises(UserError, match=r"train\.every: expected at least 1"):
        settings(every=0).train.validate()
