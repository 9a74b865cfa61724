"""What holds for every algorithm in the folder; a newcomer is tested on arrival."""

from dataclasses import fields, replace

import pytest

from builders import SMALL
from descant.core import discovery
from descant.testing.contracts import check_algorithm
from toys import balance


@pytest.mark.parametrize("name", discovery.names("algorithms"))
def test_contract(name):
    module = discovery.load("algorithms", name)
    config = module.Config()
    if isinstance(config, type(SMALL)):
        config = SMALL
    elif "base" in {field.name for field in fields(config)}:
        known = {name: getattr(config.base, name) for name in ("net", "sharing")}
        config = replace(config, base=replace(SMALL, **known))
    check_algorithm(lambda d: module.make(config, d), balance.make(balance.Config()))
