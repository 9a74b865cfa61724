import pytest

from descant.core.errors import UserError
from descant.domains.jaxmarl import Config, make


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"agents": -1}, r"domain\.agents: expected at least 0, got -1"),
        ({"horizon": -1}, r"domain\.horizon: expected at least 0, got -1"),
        ({"env": "SMAX", "agents": 4}, r"domain\.agents: SMAX has its own number of agents"),
        ({"env": "SMAX", "actions": "continuous"}, r"domain\.actions: units in SMAX choose"),
    ],
)
def test_what_cannot_be_is_refused(given, sentence):
    with pytest.raises(UserError, match=sentence):
        make(Config(**given))
