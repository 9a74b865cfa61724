"""That runs are what the paper says they are, and compare what they say they compare."""

from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
from rich.console import Console

from descant.reproduce._common.found import Found
from descant.reproduce.maipg import ablation, fig6, smac
from descant.reproduce.maipg._runs import MAIPG, MAPPO, Met, ticks
from descant.reproduce.maipg.ablation import Gradients
from descant.train.settings import flatten

QUIET = Console(quiet=True)


def told(run):
    """Settings without what only the form of nesting changes."""
    known = flatten(run.settings)
    return {name.replace("algorithm.base.", "algorithm."): x for name, x in known.items()}


def common(ours, theirs):
    a, b = told(ours), told(theirs)
    return {name: (a[name], b[name]) for name in a.keys() & b.keys() if a[name] != b[name]}


def test_particles_have_the_paper_s_settings():
    """Tables 1 and 2."""
    run = told(fig6._run(MAIPG, "line", fig6.SCALES["full"]))
    wanted = {
        "algorithm.discount": 0.99,
        "algorithm.trace": 0.95,
        "algorithm.critic.trace": 0.8,
        "algorithm.clip": 0.2,
        "algorithm.norm": 10.0,
        "algorithm.hidden": 64,
        "algorithm.critic.hidden": 64,
        "algorithm.rate": 7e-4,
        "algorithm.critic_rate": 7e-4,
        "algorithm.epochs": 10,
        "algorithm.critic_epochs": 10,
        "algorithm.nu": 0.05,
        "algorithm.net": "gru",
        "train.rollouts": 128,
        "domain.horizon": 25,
    }
    assert {name: run[name] for name in wanted} == wanted
    assert run["algorithm.minibatch"] == run["train.rollouts"] * run["train.steps"]
    assert fig6.SCALES["full"].seeds == 10


@pytest.mark.parametrize("target", [fig6, smac])
def test_mappo_and_maipg_differ_in_nothing_else(target):
    scale = target.SCALES["full"]
    for name in fig6.TASKS if target is fig6 else scale.iterations:
        # Of agents that share a network and choose at once, the order means nothing.
        other = common(*(target._run(method, name, scale) for method in (MAPPO, MAIPG)))
        assert not other.keys() - {"algorithm.order"}, other


def test_all_methods_fight_for_as_many_ticks():
    for scale in smac.SCALES.values():
        for name in scale.iterations:
            runs = [smac._run(method, name, scale) for method in smac.METHODS]
            spent = {ticks(run.settings) * run.settings.train.iterations for run in runs}
            assert len(spent) == 1
            assert {run.settings.domain.map for run in runs} == {name}
    full = smac.SCALES["full"]
    weights = {n: smac._run(MAIPG, n, full).settings.algorithm.nu for n in full.iterations}
    assert weights == {"3m": 0.4, "2s3z": 0.4, "3s5z": 0.3, "3s5z_vs_3s6z": 0.3}
    seeds = {m.label: smac._run(m, "3m", full).settings.seeds for m in smac.METHODS}
    assert seeds == {"MAPPO": 10, "MAIPG": 10, "HAPPO": 5, "QMIX": 5}


@pytest.mark.parametrize("there", [True, False])
def test_the_ablation_is_a_battle_where_there_can_be_one(there, monkeypatch):
    monkeypatch.setattr(ablation, "_battles", lambda: there)
    for name, scale in ablation.SCALES.items():
        battle = there and name == "full"
        jobs = ablation.jobs(scale)
        for job in jobs:
            run = job if not isinstance(job, Met | Gradients) else job.train
            assert run.settings.domain_name == ("jaxmarl" if battle else "particle")
        probes = [job for job in jobs if isinstance(job, Gradients)]
        assert len(probes) == 5
        for probe in probes:
            knobs = probe.train.settings.train
            assert probe.iterations[-1] == knobs.iterations
            assert len(probe.iterations) <= knobs.keep
            assert all(i % knobs.period == 0 for i in probe.iterations)


def test_variants_differ_in_weight_and_mixer_alone():
    scale = ablation.SCALES["quick"]
    plain = ablation._run(ablation.PLAIN, scale)
    for variant in ablation.COLOURS:
        other = common(plain, ablation._run(variant, scale))
        assert other.keys() <= {"algorithm.nu", "algorithm.mixer"}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """One variant from training to its gradients and scores."""
    scale = replace(
        ablation.SCALES["quick"],
        seeds=2,
        scenarios=3,
        values={
            "domain.agents": 2,
            "domain.horizon": 4,
            "train.rollouts": 3,
            "train.iterations": 2,
            "train.period": 1,
            "algorithm.base.hidden": 4,
            "algorithm.critic.hidden": 4,
            "algorithm.minibatch": 6,
        },
    )
    place = tmp_path_factory.mktemp("maipg")
    run = ablation._run((0.3, "sum"), scale)
    probe = Gradients(run, (1, 2), 4)
    jobs = (run, probe, ablation._met(run, scale))
    return run, probe, Found({job.name: job.do(place, QUIET) for job in jobs}), jobs[-1]


def test_gradients_are_looked_at_along_the_way(tiny):
    run, probe, found, met = tiny
    record = found.of(probe)
    assert record["iterations"] == [1, 2]
    seen = ablation.Seen(record)
    assert seen.covariance.shape == seen.inner.shape == (2, 2, 2, 2)
    assert np.all(seen.variance(0.0) > 0) and np.all(seen.variance(1.0) > 0)
    # What the weights of the two parts come to is quadratic in them.
    middle = 2 * seen.variance(0.5) - (seen.variance(0.0) + seen.variance(1.0)) / 2
    np.testing.assert_allclose(middle, seen.covariance[..., 0, 1] + 0 * middle, atol=1e-6)
    assert np.any(seen.covariance[0] != seen.covariance[1])
    assert len(found.of(met)["values"]) == run.settings.seeds
    assert found.of(met)["diagnostics"].keys() >= {"distance"}


@pytest.mark.skipif(find_spec("jaxmarl") is None, reason="needs the extra jaxmarl")
@pytest.mark.parametrize("method", smac.METHODS, ids=lambda m: m.label)
def test_battles_are_won_or_lost(method, tmp_path):
    each = smac.REPLAYED if method is smac.QMIX else 1
    small = {"domain.horizon": 12, "train.rollouts": 2, "train.steps": 16, "train.period": each}
    width = "algorithm.hidden" if method is smac.QMIX else smac.nested(method, {"hidden": 4})
    widths = {width: 4} if isinstance(width, str) else width
    scale = replace(
        smac.SCALES["quick"], seeds=1, scenarios=2, iterations={"3m": 2}, values=small | widths
    )
    run = smac._run(method, "3m", scale)
    met = smac._met(run, scale)
    found = Found({job.name: job.do(tmp_path, QUIET) for job in (run, met)})
    (won,) = smac._won(method, "3m", scale, found)
    assert won in (0.0, 0.5, 1.0)
    curve = smac._curve(method, "3m", scale, found)
    assert curve.values.shape == (2, 1) and np.all(np.nan_to_num(curve.values) >= 0)
