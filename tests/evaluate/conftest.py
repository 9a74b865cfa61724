from types import SimpleNamespace

import pytest

from descant import session
from descant.algorithms import localised
from descant.domains import traffic, voter
from descant.train.config import Train
from descant.train.settings import Settings


@pytest.fixture(scope="session")
def voters(tmp_path_factory):
    """A whole run on a network: training, comparison, report."""
    folder = tmp_path_factory.mktemp("run") / "voters"
    settings = Settings(
        domain_name="voter",
        algorithm_name="localised",
        domain=voter.Config(agents=6, horizon=40, entropy=0.69),
        algorithm=localised.Config(),
        train=Train(
            iterations=4,
            period=2,
            rollouts=2,
            validation=2,
            select="best",
            every=2,
            scenarios=2,
            rules=("push",),
        ),
        seed=0,
        seeds=2,
    )
    result = session.train(settings, folder)
    return SimpleNamespace(folder=folder, evaluation=result.evaluation)


@pytest.fixture(scope="session")
def junctions(tmp_path_factory):
    """A run on a network whose states are points."""
    folder = tmp_path_factory.mktemp("run") / "junctions"
    settings = Settings(
        domain_name="traffic",
        algorithm_name="localised",
        domain=traffic.Config(rows=2, columns=2, horizon=5),
        algorithm=localised.Config(hidden=4, rate=0.1),
        train=Train(iterations=2, rollouts=2, validation=1, scenarios=2, rules=("random",)),
        seed=0,
        seeds=1,
    )
    session.train(settings, folder)
    return SimpleNamespace(folder=folder)
