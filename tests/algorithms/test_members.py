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
    small = {type(x): x for x in (SMALL, TINY)}
    base = getattr(config, "base", config)
    if config is base:
        config = small.get(type(config), config)
    else:
        known = {name: getattr(base, name) for name in ("net", "sharing") if hasattr(base, name)}
        config = replace(config, base=replace(small[type(base)], **known))
    check_algorithm(lambda d: module.make(config, d), world_of(module))


def world_of(module):
    """The toy, or for algorithms that take another kind of domain, a small one of that."""
    if not hasattr(module, "DOMAIN"):
        return balance.make(balance.Config())
    domain = discovery.load("domains", module.DOMAIN)
    return domain.make(domain.Config(agents=5, horizon=6))
