from dataclasses import replace

from descant.reproduce._common.jobs import Rules, Score, Train, describe, network, setting
from descant.reproduce._common.plan import settle

SMALL = settle("dgpg", "published-linear", {"domain.servers": 5})


def test_a_name_says_all_that_the_result_depends_on():
    train = Train(SMALL)
    assert train.name.startswith("dgpg-linear-5-")
    assert train.name == Train(settle("dgpg", "published-linear", {"domain.servers": 5})).name
    others = [
        Train(replace(SMALL, seeds=2)),
        Train(replace(SMALL, seed=1)),
        Train(settle("dgpg", "published-linear", {"domain.servers": 5, "algorithm.clip": 0.3})),
    ]
    scores = [Score(train, 4), Score(train, 8), Score(train, 4, servers=10), Score(others[0], 4)]
    rules = [Rules("cloud", SMALL.domain, 4), Rules("cloud", SMALL.domain, 4, bound=True)]
    rules.append(Rules("cloud", replace(SMALL.domain, servers=6), 4))
    names = [job.name for job in (train, *others, *scores, *rules)]
    assert len(set(names)) == len(names)


def test_names_are_fit_for_files():
    for job in (Train(SMALL), Score(Train(SMALL), 4, servers=10), Rules("cloud", SMALL.domain, 4)):
        assert job.name.replace("-", "").isalnum()
        assert len(job.name) < 80


def test_a_policy_may_meet_another_size():
    score = Score(Train(SMALL), 4, servers=10)
    assert score.world.domain.servers == 10
    assert score.world.domain.reward_scale == "total"
    assert Score(Train(SMALL), 4).world == SMALL
    assert "10 servers" in score.title


def test_settings_are_found_wherever_they_are_nested():
    for algorithm in ("dgpg", "mappo", "ippo"):
        settings = settle(algorithm, "published-linear")
        assert network(settings) == "linear"
        assert setting(settings, "epochs") == 3
    assert setting(SMALL, "nothing") is None


def test_a_name_says_algorithm_network_and_size():
    assert describe(SMALL) == "dgpg-linear-5"
