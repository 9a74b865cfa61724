"""What holds for every algorithm in the folder; a newcomer is tested on arrival."""

from dataclasses import replace

import pytest

from builders import SMALL, TINY
from descant.core import discovery
from descant.testing.contracts import check_algorithm
from toys import balance


@pytest.mark.parametrize("name", discovery.names("algorithms"))
def test_contract(name):
    module = discovery.load("algorithms", name)
    config = module.Config()
    base = getattr(config, "base", config)
    small = next(x for x in (SMALL, TINY) if type(x) is type(base))
    if config is base:
        config = small
    else:
        known = {name: getattr(base, name) for name in ("net", "sharing") if hasattr(base, name)}
        config = replace(config, base=replace(small, **known))
    check_algorithm(lambda d: module.make(config, d), balance.make(balance.Config()))
