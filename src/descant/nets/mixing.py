"""Mixers: how one utility per agent makes the value of a joint action.

`mixer(utilities, state)` is one number, where `state` is all there is to see, in one row
(`whole_view`). A sum is VDN's, a monotone function QMIX's; QPLEX mixes how good an agent's action
is and how far it is from the agent's best one, which takes more arguments.

What hangs on the state alone, `weights`, is most of the work of a mixer; `mix` does the rest for
as many utilities as are wanted.
"""

from dataclasses import replace
from typing import Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from descant.core.types import Key, Scalar, Spec
from descant.nets.mlp import Layers, layers, whole_size

Kind = Literal["sum", "monotone", "free"]
"""What a mixer may be of the utilities: their sum, any function that no utility lowers, or any."""
Advantage = Literal["graded", "held", "stepped"]
"""How `Duplex` counts what an agent's action is short of its best one."""


class Sum(eqx.Module):
    r"""$Q_{tot} = \sum_i Q_i$; Sunehag et al. (2018), section 3."""

    def __call__(self, utility: Float[Array, " N"], state: Float[Array, " I"]) -> Scalar:
        """Value of the joint action."""
        return self.mix(utility, self.weights(state))

    def weights(self, state: Float[Array, " I"]) -> tuple[()]:
        """None."""
        return ()

    def mix(self, utility: Float[Array, " N"], weights: tuple[()]) -> Scalar:
        """Value of the joint action, whatever the state."""
        return jnp.sum(utility)


class Weights(NamedTuple):
    """What a state makes of a hypernetwork; in a monotone one, `first` and `second` are not
    negative."""

    first: Float[Array, "N H"]
    shift: Float[Array, " H"]
    second: Float[Array, " H"]
    offset: Scalar


class Hypernetwork(eqx.Module):
    r"""$Q_{tot} = w_2(s)^\top \mathrm{elu}(W_1(s)^\top Q + b_1(s)) + b_2(s)$; Rashid et al. (2018),
    fig. 2. With $|W_1|, |w_2|$ it is monotone in every utility (eq. 5); without, it is the free
    critic of Peng et al. (2021).

    The state sets the weights instead of being one more input, so that it may matter in a way that
    is not monotone. At first the value is close to the sum of utilities, as in VDN.
    """

    first: Layers
    shift: Layers
    second: Layers
    offset: Layers
    monotone: bool = eqx.field(static=True)

    def __call__(self, utility: Float[Array, " N"], state: Float[Array, " I"]) -> Scalar:
        """Value of the joint action."""
        return self.mix(utility, self.weights(state))

    def weights(self, state: Float[Array, " I"]) -> Weights:
        """What the state makes of the mixer."""
        first, second, shift = self.first(state), self.second(state), self.shift(state)
        if self.monotone:
            first, second = jnp.abs(first), jnp.abs(second)
        return Weights(first.reshape(-1, shift.shape[0]), shift, second, self.offset(state)[0])

    def mix(self, utility: Float[Array, " N"], weights: Weights) -> Scalar:
        """Value of the joint action in that state."""
        inner = utility @ weights.first + weights.shift
        # Many units make one sum: their mean keeps the first values of the size of utilities.
        return elu(inner) @ weights.second / inner.shape[0] + weights.offset


def elu(x: Float[Array, "*b"]) -> Float[Array, "*b"]:
    """$x$ above zero, $e^x - 1$ below, to rounding of 1: JAX's own is exact around zero, which
    takes processors twice as long."""
    return jnp.where(x > 0, x, jnp.exp(jnp.where(x > 0, 0.0, x)) - 1)


class Attention(eqx.Module):
    r"""$\lambda_i = \sum_h \upsilon_h(s)\, \phi_{ih}(s)\, \lambda_{ih}(s, u)$, all of them
    positive; Wang et al. (2021), section 3.2."""

    key: Layers
    agents: Layers
    actions: Layers
    bounded: bool = eqx.field(static=True, default=True)
    r"""Whether $\lambda_{ih}$ is a sigmoid, or an absolute value, which gets to zero."""

    def __call__(
        self, state: Float[Array, " I"], action: Float[Array, "N A"]
    ) -> Float[Array, " N"]:
        """A weight for every agent, by what all of them do."""
        agents = action.shape[0]
        key = jnp.abs(self.key(state)) + TINY
        seen = jax.nn.sigmoid(self.agents(state)).reshape(agents, -1)
        done = self.actions(jnp.concatenate([state, action.reshape(-1)])).reshape(agents, -1)
        return (seen * (jax.nn.sigmoid(done) if self.bounded else jnp.abs(done) + TINY)) @ key


class Duplex(eqx.Module):
    r"""$Q_{tot} = \sum_i V_i + \sum_i \lambda_i(s, u) (Q_i - V_i)$ with $V_i = \max_a Q_i$ and
    $\lambda_i > 0$; Wang et al. (2021), section 3.2, after each agent's utilities are scaled and
    shifted by the state.

    Whatever joint action is best, all agents' best actions are: every function with that property
    is of this form.

    With `step`, $\lambda_i$ is $\lambda_i + w_i(s, u) / |Q_i - V_i|$: any action but the best costs
    $w_i$ more, however near the utilities are. As no gradient says so, utilities of what was done
    also move as in VDN, by the error of the whole.
    """

    scale: Layers
    shift: Layers
    importance: Attention
    step: Attention | None = None
    held: bool = eqx.field(static=True, default=False)
    r"""Whether $Q_i - V_i$ counts as given where it is multiplied by $\lambda_i - 1$: a utility
    whose weight has vanished can then still rise, but what is followed is no gradient."""

    def __call__(
        self,
        utility: Float[Array, " N"],
        state: Float[Array, " I"],
        best: Float[Array, " N"],
        action: Float[Array, "N A"],
    ) -> Scalar:
        """Value of the joint action, given what each agent's best action is worth to it."""
        scale = jnp.abs(self.scale(state)) + TINY
        loss = scale * (utility - best)
        weighed = (self.importance(state, action) - 1) * (
            jax.lax.stop_gradient(loss) if self.held else loss
        )
        value = jnp.sum(scale * utility + self.shift(state)) + jnp.sum(weighed)
        if self.step is None:
            return value
        # Rounding, which may differ between a maximum and what it is of, makes no action worse.
        worse = utility < best - TINY * (1 + jnp.abs(best))
        pull = jax.lax.stop_gradient(scale) * (utility - jax.lax.stop_gradient(utility))
        return value + jnp.sum(worse * (pull - self.step(state, action)))


TINY = 1e-6
"""Keeps weights above zero."""


def mixer(
    key: Key, spec: Spec, kind: Kind, *, embed: int = 32, hidden: int = 64
) -> Sum | Hypernetwork:
    """A mixer with `embed` units, whose weights come from networks with one layer of `hidden`."""
    if kind == "sum":
        return Sum()
    state, keys = whole_size(spec), jax.random.split(key, 4)
    return Hypernetwork(
        first=_around(1.0, keys[0], [state, hidden, spec.agents * embed]),
        shift=layers(keys[1], [state, embed], activation=jax.nn.relu, last=0.1),
        second=_around(1.0, keys[2], [state, hidden, embed]),
        offset=layers(keys[3], [state, hidden, 1], activation=jax.nn.relu, last=0.1),
        monotone=kind == "monotone",
    )


def duplex(
    key: Key, spec: Spec, *, heads: int = 4, hidden: int = 64, advantage: Advantage = "graded"
) -> Duplex:
    """QPLEX's mixer, whose weights come from networks with one layer of `hidden`."""
    state, keys = whole_size(spec), jax.random.split(key, 5)
    agents, seen = spec.agents, whole_size(spec) + spec.agents * spec.actions

    def attention(level: float, *keys: Key, bounded: bool) -> Attention:
        sizes = [state, hidden, agents * heads], [seen, hidden, agents * heads]
        return Attention(
            key=_around(level / heads, keys[0], [state, hidden, heads]),
            agents=layers(keys[1], sizes[0], activation=jax.nn.relu),
            actions=layers(keys[2], sizes[1], activation=jax.nn.relu),
            bounded=bounded,
        )

    # All steps together begin around one unit of the value, however many agents there are.
    steps = jax.random.split(jax.random.fold_in(key, 1), 3)
    return Duplex(
        scale=_around(1.0, keys[0], [state, hidden, agents]),
        shift=layers(keys[1], [state, hidden, agents], activation=jax.nn.relu, last=0.1),
        # Two sigmoids make a quarter: weights begin around 1, where QPLEX is VDN but for steps.
        importance=attention(4.0, *keys[2:], bounded=True),
        step=attention(4.0 / agents, *steps, bounded=False) if advantage == "stepped" else None,
        held=advantage == "held",
    )


def _around(level: float, key: Key, sizes: list[int]) -> Layers:
    """Layers whose outputs begin around a level above zero: around zero, a weight that is an
    absolute value would find no way up where the state is all zeros."""
    net = layers(key, sizes, activation=jax.nn.relu, last=0.5 * level)
    return replace(net, biases=(*net.biases[:-1], jnp.full_like(net.biases[-1], level)))
