"""Networks that remember: a gated recurrent unit on what is seen, tick after tick."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from descant.core.types import Key, Observation, Spec
from descant.nets.mlp import (
    Layers,
    Owners,
    affine,
    drawn,
    layers,
    shared_size,
    shared_view,
    weights,
    whole_size,
    whole_view,
)


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
    view: Callable[[Observation], Float[Array, "V I"]] = eqx.field(static=True)
    rows: int = eqx.field(static=True)
    """V: how many remember."""
    owners: Owners = eqx.field(static=True)
    who: str = eqx.field(static=True)
    """Whose memory it is, `actor` or `critic`."""

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
        x = self.embed.activation(self.embed(self.view(observation)))
        return affine(x, self.seen, self.bias, self.owners)

    def _turn(self, h: Float[Array, "V H"], gates: Float[Array, "V W"]) -> Float[Array, "V H"]:
        r, z, n = jnp.split(gates, 3, axis=-1)
        hr, hz, hn = jnp.split(affine(h, self.remembered, self.offset, self.owners), 3, axis=-1)
        r, z = jax.nn.sigmoid(r + hr), jax.nn.sigmoid(z + hz)
        n = jnp.tanh(n + r * hn)
        return (1 - z) * n + z * h


class View(NamedTuple):
    """What each of those who remember sees of a tick."""

    of: Callable[[Observation], Float[Array, "V I"]]
    rows: int
    size: int


def ear(key: Key, view: View, who: str, hidden: int, owners: Owners = None) -> Ear:
    """With `hidden` numbers to remember."""
    first, gates, back = jax.random.split(key, 3)
    sizes = [view.size, hidden]

    def square(key):
        return drawn(key, owners, lambda key: weights(key, (hidden, 3 * hidden), 1.0))

    seen = square(gates)
    zeros = jnp.zeros((*seen.shape[:-2], 3 * hidden))
    return Ear(
        embed=layers(first, sizes, activation=jax.nn.relu, last=2**0.5, owners=owners),
        seen=seen,
        bias=zeros,
        remembered=square(back),
        offset=zeros,
        view=view.of,
        rows=view.rows,
        owners=owners,
        who=who,
    )


class Recalled(eqx.Module):
    """Layers on what one remembers."""

    body: Layers
    who: str = eqx.field(static=True)

    def __call__(self, observation: Observation) -> Float[Array, "V A"]:
        """Logits or values."""
        return self.body((observation.memory or {})[self.who])


def recalled(
    key: Key, who: str, hidden: int, outputs: int, last: float, owners: Owners = None
) -> Recalled:
    """One hidden layer and an output."""
    sizes = [hidden, hidden, outputs]
    body = layers(key, sizes, activation=jax.nn.relu, last=last, owners=owners)
    return Recalled(body=body, who=who)


class Listener(eqx.Module):
    """A critic that remembers, and reads values off its memory."""

    ear: Ear
    head: Recalled

    def __call__(self, observation: Observation) -> Float[Array, " V"]:
        """Values of the tick listened to."""
        return self.head(observation)[:, 0]


def own(spec: Spec) -> View:
    """What each agent sees when it acts, with its index."""

    def view(observation: Observation) -> Float[Array, "N I"]:
        common = shared_view(observation, spec)
        common = jnp.broadcast_to(common[None], (spec.agents, common.shape[0]))
        return jnp.concatenate([observation.local, common, jnp.eye(spec.agents)], axis=-1)

    return View(view, spec.agents, spec.local + shared_size(spec) + spec.agents)


def whole(spec: Spec) -> View:
    """All there is to see, in one row."""
    return View(lambda observation: whole_view(observation)[None], 1, whole_size(spec))
