from types import SimpleNamespace

import pytest

from descant import session
from descant.algorithms import localised
from descant.domains import voter
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
