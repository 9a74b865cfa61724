import pytest

from descant.reproduce._common import costs
from descant.reproduce._common.jobs import Rules, Train
from descant.reproduce._common.plan import settle


def test_between_sizes_lines_are_straight_on_logarithmic_axes():
    known = {10: 1.0, 1000: 100.0}
    assert [costs.between(known, n) for n in (10, 100, 1000)] == pytest.approx([1, 10, 100])
    assert costs.between(known, 10_000) == pytest.approx(1000)
    assert costs.between(known, 1) == pytest.approx(0.1)


@pytest.mark.parametrize("preset", [None, "published", "published-linear"])
def test_more_work_takes_longer(preset):
    def seconds(**values):
        told = {name.replace("_", ".", 1): value for name, value in values.items()}
        return costs.training(settle("dgpg", preset, {"domain.servers": 20} | told))

    base = seconds(train_iterations=10)
    assert base > costs.COMPILE
    assert seconds(train_iterations=20) > base
    assert seconds(train_iterations=10, algorithm_epochs=40) > base
    assert seconds(train_iterations=10, domain_servers=50) > base


def test_shared_jobs_count_once():
    settings = settle("dgpg", None, {"domain.servers": 5})
    train, rules = Train(settings), Rules("cloud", settings.domain, 4)
    assert costs.total([train, rules, train]) == pytest.approx(train.seconds() + rules.seconds())


def test_estimates_are_told_roughly():
    told = [costs.rough(x) for x in (0.2, 90, 150, 7300, 200_000)]
    assert told == ["1 s", "90 s", "2 min", "2 h", "2 days"]
