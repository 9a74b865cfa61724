"""Layers, and the fixed-size networks: linear, and the paper's multilayer perceptron."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from descant.core.types import Key, Observation, PyTree, Spec

Bend = Callable[[Array], Array]
"""What is between two affine maps."""
BENDS: dict[str, Bend] = {"tanh": jax.nn.tanh, "relu": jax.nn.relu}
"""By the name that settings have for it."""
Owners = tuple[int, ...] | None
"""Which set of weights each row, that is each agent, has; None where all have the same."""


def owned(weight: Float[Array, "#G *w"], owners: tuple[int, ...]) -> Float[Array, "V *w"]:
    """The weights of each row."""
    return weight if owners == tuple(range(weight.shape[0])) else weight[np.asarray(owners)]


def drawn(key: Key, owners: Owners, make: Callable[[Key], PyTree]) -> PyTree:
    """A network for all rows, or one for each owner side by side."""
    if owners is None:
        return make(key)
    return jax.vmap(make)(jax.random.split(key, max(owners) + 1))


def affine(x: Float[Array, "*b I"], weight: Array, bias: Array, owners: Owners) -> Array:
    """Weighted sums, on the last axis; where weights have owners, the axis before it is theirs."""
    if owners is None:
        x = x @ weight
    else:
        x = jnp.einsum("...vi,vio->...vo", x, owned(weight, owners))
        bias = owned(bias, owners)
    return x + jnp.broadcast_to(bias, x.shape)


def split_affine(
    common: Float[Array, " I"],
    own: Float[Array, "V J"],
    weights: tuple[Float[Array, "*G I O"], Float[Array, "*G J O"]],
    bias: Float[Array, "*G O"],
    owners: Owners,
) -> Float[Array, "V O"]:
    """Weighted sums of what all see, taken once, and of what each sees."""
    shared, each = weights
    if owners is None:
        return (common @ shared + bias)[None] + own @ each
    return affine(own, each, jnp.einsum("i,gio->go", common, shared) + bias, owners)


class Layers(eqx.Module):
    """Affine maps with an activation between them, on the last axis; batch axes go through."""

    weights: tuple[Array, ...]
    biases: tuple[Array, ...]
    activation: Bend = eqx.field(static=True)
    owners: Owners = eqx.field(static=True, default=None)

    def __call__(self, x: Float[Array, "*b I"]) -> Float[Array, "*b O"]:
        """The network's output."""
        last = len(self.weights) - 1
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = affine(x, weight, bias, self.owners)
            x = x if i == last else self.activation(x)
        return x


def weights(key: Key, shape: tuple[int, int], gain: float) -> Float[Array, "I O"]:
    """Truncated normal weights that keep the variance of their input, times gain^2.

    Not orthogonal ones, which need a QR decomposition: under `vmap` over seeds LAPACK's parallel
    batches can wait for each other for ever (jaxlib 0.10.2).
    """
    return jax.nn.initializers.variance_scaling(gain**2, "fan_in", "truncated_normal")(key, shape)


def layers(
    key: Key,
    sizes: Sequence[int],
    *,
    activation: Bend = jax.nn.tanh,
    last: float = 1.0,
    owners: Owners = None,
) -> Layers:
    """Weights with gain sqrt(2), `last` for the output layer; zero biases."""
    gains = [math.sqrt(2)] * (len(sizes) - 2) + [last]

    def make(key):
        keys = jax.random.split(key, len(gains))
        return Layers(
            weights=tuple(
                weights(k, (i, o), gain)
                for k, gain, i, o in zip(keys, gains, sizes[:-1], sizes[1:], strict=True)
            ),
            biases=tuple(jnp.zeros((o,)) for o in sizes[1:]),
            activation=activation,
            owners=owners,
        )

    return drawn(key, owners, make)


def shared_view(observation: Observation, spec: Spec) -> Float[Array, " I"]:
    """Everything all agents see alike, in one row; nothing where each has only its own view."""
    return whole_view(observation) if spec.shared else jnp.zeros((0,))


def shared_size(spec: Spec) -> int:
    """Length of `shared_view`."""
    return whole_size(spec) if spec.shared else 0


def whole_view(observation: Observation) -> Float[Array, " I"]:
    """Everything there is to see, in one row: every agent's own view, entities, and globals.

    Views of inactive agents are whatever the domain puts there, zeros as a rule.
    """
    world = observation.world
    parts = (observation.local, world.entities, world.globals)
    return jnp.concatenate([part.reshape(-1) for part in parts])


def whole_size(spec: Spec) -> int:
    """Length of `whole_view`."""
    return spec.agents * spec.local + spec.entities * spec.features + spec.globals


class PerAgent(eqx.Module):
    """One network for all agents on (what all see, own view, own index by embedding).

    Yang & Liu (2026), appendices H.2 and I.3. What all see goes through the first layer once per
    tick and not once per agent.
    """

    shared: Array
    own: Array
    bias: Array
    embedding: Float[Array, "N Q"]
    rest: Layers | None
    spec: Spec = eqx.field(static=True)
    owners: Owners = eqx.field(static=True, default=None)

    def __call__(self, observation: Observation) -> Float[Array, "N A"]:
        """Logits."""
        common, owners = shared_view(observation, self.spec), self.owners
        local, named = self.own[..., : self.spec.local, :], self.own[..., self.spec.local :, :]
        x = split_affine(common, observation.local, (self.shared, local), self.bias, owners)
        # Who an agent is does not change from tick to tick: under vmap this is done once for all.
        x = x + affine(self.embedding, named, jnp.zeros_like(self.bias), owners)
        return x if self.rest is None else self.rest(self.rest.activation(x))


def per_agent(
    key: Key,
    spec: Spec,
    *,
    hidden: int = 128,
    depth: int = 2,
    embedding: int = 16,
    activation: Bend = jax.nn.tanh,
    owners: Owners = None,
) -> PerAgent:
    """`depth` hidden layers of `hidden` units; depth 0 is a linear model without embedding."""
    first, then, ids = jax.random.split(key, 3)
    embedding = embedding if depth else 0
    common = shared_size(spec)
    out = hidden if depth else spec.actions
    gain = math.sqrt(2) if depth else 0.01
    size = (common + spec.local + embedding, out)
    weight = drawn(first, owners, lambda key: weights(key, size, gain))
    sizes = [hidden] * depth + [spec.actions]
    rest = layers(then, sizes, activation=activation, last=0.01, owners=owners) if depth else None
    return PerAgent(
        shared=weight[..., :common, :],
        own=weight[..., common:, :],
        bias=jnp.zeros((*weight.shape[:-2], out)),
        embedding=jax.random.normal(ids, (spec.agents, embedding)),
        rest=rest,
        spec=spec,
        owners=owners,
    )


class Leaning(eqx.Module):
    """A network of logits with a bias of each agent's own, so that agents that share weights and
    see the same may still want different things."""

    net: Callable[[Observation], Float[Array, "N A"]]
    bias: Float[Array, "N A"]

    def __call__(self, observation: Observation) -> Float[Array, "N A"]:
        """Logits."""
        return self.net(observation) + self.bias


def leaning(
    key: Key, net: Callable[[Observation], Float[Array, "N A"]], spec: Spec, spread: float
) -> Leaning:
    """With biases drawn from a normal distribution of this deviation."""
    return Leaning(net, spread * jax.random.normal(key, (spec.agents, spec.actions)))


class Flat(eqx.Module):
    """A critic on one row with everything in it."""

    body: Layers

    def __call__(self, observation: Observation, local: Float[Array, " D"]) -> Float[Array, ""]:
        """Value of the state as seen with this own view."""
        return self.body(jnp.concatenate([whole_view(observation), local]))[0]


def flat(
    key: Key, spec: Spec, *, hidden: int = 128, depth: int = 2, activation: Bend = jax.nn.tanh
) -> Flat:
    """`depth` hidden layers of `hidden` units; depth 0 is linear."""
    sizes = [whole_size(spec) + spec.local, *[hidden] * depth, 1]
    return Flat(layers(key, sizes, activation=activation, last=1.0 if depth else 0.01))


class Alone(eqx.Module):
    """A critic that is shown nothing but an own view."""

    critic: Callable[[Observation, Array], Float[Array, ""]]

    def __call__(self, observation: Observation, local: Float[Array, " D"]) -> Float[Array, ""]:
        """Value of the state as seen with this own view."""
        dark = replace(observation, local=jnp.zeros_like(observation.local))
        world = dark.world
        unseen = replace(
            world, entities=jnp.zeros_like(world.entities), globals=jnp.zeros_like(world.globals)
        )
        return self.critic(replace(dark, world=unseen), local)
