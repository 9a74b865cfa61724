"""Learning curves of all algorithms, from made-up results."""

import numpy as np
import pytest

from descant.core import discovery
from descant.report.numbers import percent
from descant.reproduce import curves
from descant.reproduce._common import targets
from descant.reproduce._common.found import Found
from descant.reproduce._common.jobs import Rules
from descant.reproduce._compare import plan
from descant.reproduce._compare.jobs import Learn
from descant.train.settings import flatten
from reproduce import made_up

QUICK = curves.SCALES["quick"]
MAPPO = plan.method("mappo")


@pytest.fixture(scope="module")
def results():
    return made_up.results(targets.load("curves"), QUICK)


@pytest.fixture(scope="module")
def shown(results):
    return curves.show(QUICK, Found(results))


def test_every_algorithm_is_asked_at_every_size_on_one_footing():
    learnt = [job.train.settings for job in curves.jobs(QUICK) if isinstance(job, Learn)]
    for agents in QUICK.servers:
        here = [s for s in learnt if s.domain.agents == agents]
        assert {s.algorithm_name for s in here} == set(discovery.names("algorithms"))
        assert len({s.domain for s in here}) == len({s.train for s in here}) == 1
        nets = {v for s in here for k, v in flatten(s).items() if k.endswith(".net")}
        assert nets <= {"mlp", "auto"}


def test_every_algorithm_that_is_run_has_a_figure_and_the_others_a_reason(shown):
    drawn = {figure.key for figure in shown.figures[1:]}
    assert drawn == set(discovery.names("algorithms")) - set(made_up.REFUSED)
    assert "Localised refuses: 'cloud' has no network." in shown.tables[0].caption
    assert all("<svg" in str(figure.alone()) for figure in shown.figures)


def test_points_of_a_curve_stand_where_they_were_judged(results):
    known = curves.Curves(QUICK, Found(results))
    curve = known.curve(MAPPO, 20, "accent")
    metrics = results[curves.learn(MAPPO, 20, QUICK).name]["metrics"]["validation"]
    judged = [i for i, row in enumerate(metrics) if row is not None]
    # 16 episodes of 20 ticks are 0.32 thousand.
    np.testing.assert_allclose(curve.iteration, [0.32 * (i + 1) for i in judged])
    np.testing.assert_array_equal(curve.values, [metrics[i] for i in judged])


def test_sentences_are_made_of_the_numbers(shown, results):
    among = shown.findings[2]
    assert among.startswith("Among 20 agents DG-PG ends best, at −3")
    assert among.endswith("Beyond by-capacity in the mean: DG-PG, MAIPG (sum), MAIPG (monotone).")
    changed = dict(results)
    job = curves.learn(plan.method("vdn"), 20, QUICK)
    changed[job.name] = results[job.name] | {"values": [[-1.0] * 100] * 3}
    found = curves.show(QUICK, Found(changed)).findings
    assert found[2].startswith("Among 20 agents VDN ends best, at −1.000")
    assert "better: " in found[3] and "VDN" in found[3].split("no clear")[0]
    least, *_ = found[4].split("N = 20: ")[1].split(", ")
    (random_job,) = [
        job for job in curves.jobs(QUICK) if isinstance(job, Rules) and job.domain.agents == 20
    ]
    random = np.mean(results[random_job.name]["values"]["anywhere"])
    assert least == f"VDN {percent(-1 / random)}"
