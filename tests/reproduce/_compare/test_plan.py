import pytest

from descant.core import discovery
from descant.reproduce._compare import plan
from descant.reproduce._compare.jobs import Learn, Noise
from descant.train.settings import flatten

QUICK = plan.SCALES["quick"]


def told(row):
    found = flatten(plan.learn(row, 20, QUICK).train.settings)
    return {name.replace("algorithm.base.", "algorithm."): x for name, x in found.items()}


def test_every_algorithm_of_the_library_is_asked():
    assert {row.algorithm for row in plan.methods()} == set(discovery.names("algorithms"))
    keys = [row.key for row in plan.methods()]
    assert len(set(keys)) == len(keys)
    assert {"dgpg", "maipg-sum", "maipg-monotone"} <= set(keys)
    assert plan.method("maipg-sum").label == "MAIPG (sum)"


@pytest.mark.parametrize("row", plan.methods(), ids=lambda row: row.key)
def test_all_have_one_actor_and_one_budget_and_nothing_is_selected(row):
    found = told(row)
    alike = {f"algorithm.{name}": value for name, value in plan.FOOTING.items()}
    assert all(found[name] == alike[name] for name in alike.keys() & found.keys())
    assert (found["train.select"], found["train.validation"]) == ("last", 0)
    same = ("train.iterations", "train.rollouts", "train.steps", "domain.horizon")
    assert [found[name] for name in same] == [10, 4, 0, 600]


def test_rules_meet_the_scenarios_that_learners_meet():
    job = plan.rules(20, QUICK)
    settings = plan.learn(plan.method("dgpg"), 20, QUICK).train.settings
    assert job.domain == settings.domain and job.scenarios == QUICK.scenarios


def test_second_gradients_have_the_weight_that_training_ends_with():
    weights = {row.key: plan.weight(row) for row in plan.methods()}
    assert (weights["dgpg"], weights["maipg-sum"], weights["coma"]) == (0.5, 0.3, None)
    noise = plan.noises(QUICK)[0]
    assert noise.weights == (0.3, 0.5)
    assert noise.settings[0][0] == plan.FIRST


def test_a_method_that_is_dear_stops_at_its_largest_size():
    full = plan.SCALES["full"]
    learned = [job for job in plan.jobs(full) if isinstance(job, Learn)]
    sizes = [j.world.domain.servers for j in learned if j.world.algorithm_name == "happo"]
    assert sizes == [5, 20] and 100 in {j.world.domain.servers for j in learned}
    assert len([job for job in plan.jobs(full) if isinstance(job, Noise)]) == 18
