"""What actions are worth to each agent, beside what all others do."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from descant.core.types import Key, Observation, PyTree, Spec
from descant.nets.mixing import Hypernetwork, Sum
from descant.nets.mlp import (
    Layers,
    layers,
    shared_size,
    shared_view,
    split_affine,
    weights,
    whole_size,
    whole_view,
)
from descant.nets.recurrent import Ear, Seen, ear, everything


class Rows(eqx.Module):
    """One network for all agents on what all are told, once per tick, and on what each is told."""

    common: Float[Array, "I H"]
    own: Float[Array, "J H"]
    bias: Float[Array, " H"]
    rest: Layers

    def __call__(
        self,
        common: Float[Array, " I"],
        own: Float[Array, "N J"],
        more: Float[Array, "#N H"] | None = None,
    ) -> Float[Array, "N A"]:
        """A row of numbers per agent; `more` goes straight to the hidden layer."""
        x = split_affine(common, own, (self.common, self.own), self.bias, None)
        return self.rest(jax.nn.relu(x if more is None else x + more))


def rows(key: Key, common: int, own: int, hidden: int, depth: int, outputs: int) -> Rows:
    """`depth` hidden layers of `hidden` units, one at least."""
    first, then = jax.random.split(key)
    weight = weights(first, (common + own, hidden), 2**0.5)
    return Rows(
        common=weight[:common],
        own=weight[common:],
        bias=jnp.zeros((hidden,)),
        rest=layers(then, [hidden] * depth + [outputs], activation=jax.nn.relu, last=0.1),
    )


class Beside(eqx.Module):
    """What each of an agent's choices is worth, given what others do, and never what it does."""

    net: Rows
    others: Float[Array, "#N A H"]
    """What an action of each other agent, or of any, does to the hidden layer."""
    spec: Spec = eqx.field(static=True)
    whole: bool = eqx.field(static=True)
    """Whether the agents' judge sees all there is, or what they see when they act."""

    def __call__(
        self,
        observation: Observation,
        action: Float[Array, "N A"],
        heed: Float[Array, "N N"],
    ) -> Float[Array, "N A"]:
        """Values; row i of `heed` says how much each other's action counts to agent i."""
        own = jnp.concatenate([observation.local, jnp.eye(self.spec.agents)], axis=-1)
        effect = jnp.einsum("na,nah->nh", action, jnp.broadcast_to(self.others, self._shape))
        seen = whole_view(observation) if self.whole else shared_view(observation, self.spec)
        return self.net(seen, own, heed @ effect)

    @property
    def _shape(self) -> tuple[int, ...]:
        return (self.spec.agents, *self.others.shape[1:])


def beside(
    key: Key, spec: Spec, *, whole: bool, by_name: bool, hidden: int = 64, depth: int = 2
) -> Beside:
    """With weights of its own for every other agent (`by_name`), or with the same for all."""
    key, then = jax.random.split(key)
    size = whole_size(spec) if whole else shared_size(spec)
    others = (spec.agents if by_name else 1, spec.actions, hidden)
    return Beside(
        net=rows(key, size, spec.local + spec.agents, hidden, depth, spec.actions),
        others=jax.random.normal(then, others) / hidden**0.5,
        spec=spec,
        whole=whole,
    )


class Points(eqx.Module):
    """The value of a joint point: what each agent's own is worth to it, mixed."""

    net: Rows
    mixer: Sum | Hypernetwork
    spec: Spec = eqx.field(static=True)
    ear: Ear | None = None
    """What remembers for each agent, if the value is not of the present alone."""

    def __call__(self, observation: Observation, action: Float[Array, "N A"]) -> Float[Array, " V"]:
        """One value; agents that rest are worth what no push is."""
        return self.judge(observation, self.look(observation), action)

    def look(self, observation: Observation) -> PyTree:
        """What all joint points of a tick have in common: the mixer's weights."""
        return self.mixer.weights(whole_view(observation))

    def judge(
        self, observation: Observation, seen: PyTree, action: Float[Array, "N A"]
    ) -> Float[Array, " V"]:
        """The value of one of them."""
        acted = jnp.where(observation.active[:, None], action, 0.0)
        common, own = self._known(observation)
        utility = self.net(common, jnp.concatenate([own, acted], axis=-1))[:, 0]
        return self.mixer.mix(utility, seen)[None]

    def _known(self, observation: Observation) -> Seen:
        if self.ear is None:
            return everything(self.spec).of(observation)
        return jnp.zeros((0,)), (observation.memory or {})[self.ear.who]


def points(
    key: Key,
    spec: Spec,
    mixer: Sum | Hypernetwork,
    *,
    hidden: int = 64,
    depth: int = 2,
    who: str | None = None,
) -> Points:
    """`depth` hidden layers of `hidden` units, one at least; on the memory of `who`, if anybody's,
    a single one."""
    if who is not None:
        key, then = jax.random.split(key)
        heard = ear(key, everything(spec), who, hidden)
        net = rows(then, 0, hidden + spec.actions, hidden, 1, 1)
        return Points(net, mixer, spec, heard)
    own = spec.local + spec.agents + spec.actions
    return Points(rows(key, whole_size(spec), own, hidden, depth, 1), mixer, spec)
