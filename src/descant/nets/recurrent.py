"""Networks that remember: a gated recurrent unit on what is seen, tick after tick."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from descant.core.types import Key, Observation, PyTree, Spec
from descant.nets.mlp import (
    Bend,
    Layers,
    Owners,
    affine,
    drawn,
    layers,
    shared_size,
    shared_view,
    split_affine,
    weights,
    whole_size,
    whole_view,
)

Seen = tuple[Float[Array, " I"], Float[Array, "V J"]]
"""What all see of a tick, once, and what each sees."""


class Ear(eqx.Module):
    r"""What is made of all that was seen so far: an embedding, then a gated recurrent unit.

    $r, z = \sigma(W x + U h)$, $\; n = \tanh(W_n x + r\, U_n h)$, $\;
    h' = (1 - z)\, n + z\, h$; Cho et al. (2014), in the form in which libraries have it.
    """

    embed: Layers
    """From what is seen to as many numbers as are remembered, H; W is three times that."""
    seen: Float[Array, "*G H W"]
    bias: Float[Array, "*G W"]
    remembered: Float[Array, "*G H W"]
    offset: Float[Array, "*G W"]
    view: Callable[[Observation], Seen] = eqx.field(static=True)
    rows: int = eqx.field(static=True)
    """V: how many remember."""
    owners: Owners = eqx.field(static=True)
    who: str = eqx.field(static=True)
    """Whose memory it is, such as `actor` or `critic`."""

    def begin(self) -> dict[str, Float[Array, "V H"]]:
        """Nothing is remembered yet."""
        return {self.who: jnp.zeros((self.rows, self.remembered.shape[-2]))}

    def listen(self, observation: Observation) -> Observation:
        """Take one tick in."""
        after = self._turn(self._memory(observation), self._gates(observation))
        return self._with(observation, after)

    def follow(self, observation: Observation, fresh: Bool[Array, " L"]) -> Observation:
        """Take in ticks that follow one another, [L, ...]; what is seen of all is read at once."""

        def tick(memory, now):
            stored, gates, fresh = now
            memory = self._turn(jnp.where(fresh, stored, memory), gates)
            return memory, memory

        gates = jax.vmap(self._gates)(observation)
        stored = self._memory(observation)
        after = jax.lax.scan(tick, jnp.zeros_like(stored[0]), (stored, gates, fresh))[1]
        return self._with(observation, after)

    def _memory(self, observation: Observation) -> Float[Array, "*b V H"]:
        memory = observation.memory
        if memory is None:
            raise ValueError("these agents remember: put what `begin` returns into the memory")
        return memory[self.who]

    def _with(self, observation: Observation, after: Float[Array, "*b V H"]) -> Observation:
        return replace(observation, memory={**(observation.memory or {}), self.who: after})

    def _gates(self, observation: Observation) -> Float[Array, "V W"]:
        """What the gates hear of a tick, whatever is remembered."""
        common, own = self.view(observation)
        (weight,), (bias,) = self.embed.weights, self.embed.biases
        parts = weight[..., : common.shape[0], :], weight[..., common.shape[0] :, :]
        x = self.embed.activation(split_affine(common, own, parts, bias, self.owners))
        return affine(x, self.seen, self.bias, self.owners)

    def _turn(self, h: Float[Array, "V H"], gates: Float[Array, "V W"]) -> Float[Array, "V H"]:
        r, z, n = jnp.split(gates, 3, axis=-1)
        hr, hz, hn = jnp.split(affine(h, self.remembered, self.offset, self.owners), 3, axis=-1)
        r, z = jax.nn.sigmoid(r + hr), jax.nn.sigmoid(z + hz)
        n = jnp.tanh(n + r * hn)
        return (1 - z) * n + z * h


class View(NamedTuple):
    """What each of those who remember sees of a tick."""

    of: Callable[[Observation], Seen]
    rows: int
    size: int
    """Of a row of both."""


def ear(
    key: Key,
    view: View,
    who: str,
    hidden: int,
    owners: Owners = None,
    activation: Bend = jax.nn.relu,
) -> Ear:
    """With `hidden` numbers to remember."""
    first, gates, back = jax.random.split(key, 3)
    sizes = [view.size, hidden]

    def square(key):
        return drawn(key, owners, lambda key: weights(key, (hidden, 3 * hidden), 1.0))

    seen = square(gates)
    zeros = jnp.zeros((*seen.shape[:-2], 3 * hidden))
    return Ear(
        embed=layers(first, sizes, activation=activation, last=2**0.5, owners=owners),
        seen=seen,
        bias=zeros,
        remembered=square(back),
        offset=zeros,
        view=view.of,
        rows=view.rows,
        owners=owners,
        who=who,
    )


class Listener(eqx.Module):
    """A network that remembers, and reads what it is asked off its memory."""

    ear: Ear
    head: Layers

    def __call__(self, observation: Observation) -> Float[Array, "V A"]:
        """Logits, utilities or values at the tick listened to."""
        return self.head((observation.memory or {})[self.ear.who])


def listener(
    key: Key,
    view: View,
    who: str,
    hidden: int,
    outputs: int,
    *,
    last: float = 0.01,
    owners: Owners = None,
    activation: Bend = jax.nn.relu,
) -> Listener:
    """With `hidden` numbers to remember, one hidden layer and an output."""
    key, then = jax.random.split(key)
    sizes = [hidden, hidden, outputs]
    head = layers(then, sizes, activation=activation, last=last, owners=owners)
    return Listener(ear=ear(key, view, who, hidden, owners, activation), head=head)


def ears(net: PyTree) -> list[Ear]:
    """All that listens in a network, or in some of them."""
    parts = jax.tree.leaves(net, is_leaf=_listens)
    return [part for part in parts if _listens(part)]


def begin(net: PyTree) -> PyTree:
    """What is remembered before an episode's first tick; None where nothing ever is."""
    memory = {}
    for each in ears(net):
        memory |= each.begin()
    return memory or None


def listen(net: PyTree, observation: Observation) -> Observation:
    """Take one tick in."""
    for each in ears(net):
        observation = each.listen(observation)
    return observation


def follow(net: PyTree, observation: Observation, fresh: Bool[Array, " L"]) -> Observation:
    """Take in ticks that follow one another, [L, ...]."""
    for each in ears(net):
        observation = each.follow(observation, fresh)
    return observation


def copied(net: PyTree) -> PyTree:
    """A copy that has its own memory beside that of what it is a copy of."""

    def other(part):
        return replace(part, who=f"copy of {part.who}") if _listens(part) else part

    return jax.tree.map(other, net, is_leaf=_listens)


def _listens(part: PyTree) -> bool:
    return isinstance(part, Ear)


def own(spec: Spec) -> View:
    """What each agent sees when it acts, with its index."""

    def view(observation: Observation) -> Seen:
        own = jnp.concatenate([observation.local, jnp.eye(spec.agents)], axis=-1)
        return shared_view(observation, spec), own

    return View(view, spec.agents, shared_size(spec) + spec.local + spec.agents)


def everything(spec: Spec) -> View:
    """All there is to see, beside each agent's own view and index."""
    return own(replace(spec, shared=True))


def whole(spec: Spec) -> View:
    """All there is to see, in one row."""
    return View(
        lambda observation: (whole_view(observation), jnp.zeros((1, 0))), 1, whole_size(spec)
    )
