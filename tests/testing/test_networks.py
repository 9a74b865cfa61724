from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from builders import domain_or_skip
from descant.core import discovery
from descant.core.network import Quantity, Reach
from descant.domains import traffic
from descant.domains.traffic.world import Traffic
from descant.domains.voter.world import Voter, voters
from descant.ops import graphs
from descant.testing.networks import check_network


@pytest.mark.parametrize("name", discovery.names("domains"))
def test_networks_of_the_library(name):
    domain = domain_or_skip(name)
    if domain.network is None:
        pytest.skip("is no network")
    network, objective = domain.network, domain.objective
    check_network(network)
    if objective is not None:
        objective.check(network.graph.agents, network.states, network.actions)


class Wrong(Voter):
    """Voters with one fault."""

    fault: str = eqx.field(static=True, default="")

    def law(self, traits, state, action):
        law = super().law(traits, state, action)
        if self.fault == "reads the neighbour's action":
            law = jnp.where(action[1] == 1, law[::-1], law)
        if self.fault == "reads nobody's state":
            law = jnp.where((traits[2] == 0) & (state[2] == 1), law[::-1], law)
        if self.fault == "is no law":
            law = 1.1 * law
        return law

    def chances(self, state, action):
        law = super().chances(state, action)
        return law[:, ::-1] if self.fault == "is another for all" else law


def wrong(fault, **changes):
    network = voters(graphs.line(4), alpha=0.8)
    fields = {name: getattr(network, name) for name in network.__dataclass_fields__}
    return Wrong(**fields | changes, fault=fault)


@pytest.mark.parametrize(
    ("network", "sentence"),
    [
        (wrong("reads the neighbour's action"), "reads actions beyond reach.actions = 0"),
        (wrong("reads nobody's state"), "reads states beyond reach.states = 1, or where nobody"),
        (wrong("is no law"), "law does not sum to one; off by 0.1"),
        (wrong("is another for all"), "chances are not the laws of all agents"),
        (wrong("", reach=Reach(states=0)), "reads states beyond reach.states = 0"),
        (wrong("", reach=Reach(states=2)), "near must reach 2 hops"),
        (wrong("", hops=jnp.zeros((4, 3), int)), "near and hops are no balls of the graph"),
        (wrong("", near=jnp.flip(jnp.asarray(graphs.line(4).balls(1).member), 1)), "must begin"),
        (wrong("", start=jnp.full((4, 2), 0.4)), "start does not sum to one; off by 0.2"),
    ],
)
def test_faults_are_named(network, sentence):
    with pytest.raises(AssertionError, match=sentence):
        check_network(network)


@pytest.mark.parametrize("kind", ["states", "actions"])
def test_points_that_read_from_farther_away_than_they_say_are_named(kind):
    network = traffic.make(traffic.Config(rows=2, columns=3)).network
    assert network is not None
    reach = replace(network.reach, **{kind: 0})
    with pytest.raises(AssertionError, match=f"move reads {kind} beyond reach.{kind} = 0"):
        check_network(replace(network, reach=reach))


def test_levels_of_what_is_drawn_that_are_not_one_of_each_cell_are_named():
    class Coarse(Traffic):
        @property
        def quantity(self):
            return Quantity("How full a junction is", np.linspace(0, 1, 3))

    network = traffic.make(traffic.Config(rows=1, columns=2)).network
    assert network is not None
    coarse = Coarse(**{name: getattr(network, name) for name in network.__dataclass_fields__})
    with pytest.raises(AssertionError, match=r"quantity.levels must be \[S\], got \[3\]"):
        check_network(coarse)
