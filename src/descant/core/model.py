"""The analytic model of a field: one scalar that says how far the system is from where it should
be.

A domain writes physics (`respond`, `reference`); automatic differentiation writes guidance. Actions
enter relaxed, as rows of a probability matrix [N, A], so a sampled joint action is a matrix of
one-hot rows and an inactive agent a row of zeros.
"""

import abc
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from descant.core.types import PyTree, Scalar


class AbstractModel(eqx.Module):
    """A potential over system states that agents should descend."""

    @abc.abstractmethod
    def context(self, state: PyTree) -> PyTree:
        """The few arrays of a state that guidance needs; they are stored in the rollout."""

    @abc.abstractmethod
    def potential(self, context: PyTree, action: Float[Array, "N A"]) -> Scalar:
        """The scalar d(x, x~) after the (relaxed) joint action; lower is better."""

    @abc.abstractmethod
    def expected(self, context: PyTree, probabilities: Float[Array, "N A"]) -> Scalar:
        """Expectation of the potential when agents act independently with these probabilities."""

    @abc.abstractmethod
    def begin(self, context: PyTree) -> PyTree:
        """Where things stand before the first agent of the tick; what `turn` and `move` go by."""

    @abc.abstractmethod
    def turn(self, context: PyTree, position: PyTree, agent: Int[Array, ""]) -> Float[Array, " A"]:
        """What the model charges an agent for each of its actions as things stand."""

    @abc.abstractmethod
    def move(
        self, context: PyTree, position: PyTree, agent: Int[Array, ""], action: Int[Array, ""]
    ) -> PyTree:
        """Where things stand once the agent has acted."""

    def in_turn(self, context: PyTree, action: Int[Array, " N"]) -> Float[Array, "N A"]:
        """What the model charges each agent for each of its actions, given what those before it did
        and as if nobody came after: the change of the potential, and what it may add to that for
        things that no function of the state shows.
        """

        def step(position, agent):
            charge = self.turn(context, position, agent)
            return self.move(context, position, agent, action[agent]), charge

        return jax.lax.scan(step, self.begin(context), jnp.arange(action.shape[0]))[1]

    def marginal(self, context: PyTree, action: Int[Array, " N"]) -> Float[Array, " N"]:
        """What the model charges each agent for what it did, given those before it."""
        return jnp.take_along_axis(self.in_turn(context, action), action[:, None], axis=-1)[:, 0]

    @abc.abstractmethod
    def alternatives(self, context: PyTree, action: Int[Array, " N"]) -> Float[Array, "N A"]:
        """What each agent would add by each of its actions, the others acting as they did."""

    @abc.abstractmethod
    def alignment(self, context: PyTree, action: Int[Array, " N"]) -> dict[str, Scalar]:
        """Per term of the team reward, 1 where moving to the reference improves it, else 0.

        This is Assumption 3.2 of Yang & Liu (2026), eq. 5, asked of one visited state.
        """


class AbstractTargetModel(AbstractModel):
    r"""A model given by a reference state: $d = \tfrac12 \lVert x - \tilde x \rVert^2$ in the
    model's own metric; Yang & Liu (2026), eq. 6.

    The response must be linear in the action matrix, which makes every quantity here exact.
    """

    @abc.abstractmethod
    def reference(self, context: PyTree) -> Float[Array, " M"]:
        """Where the system should be, x~: exogenous, so it must not depend on the actions."""

    @abc.abstractmethod
    def respond(self, context: PyTree, action: Float[Array, "N A"]) -> Float[Array, " M"]:
        """Where the system will be, x, linear in the relaxed joint action."""

    @abc.abstractmethod
    def metric(self, context: PyTree) -> Float[Array, " M"]:
        """Diagonal weights that make coordinates comparable; raw units let one of them drown the
        rest."""

    @abc.abstractmethod
    def influence(
        self, context: PyTree, agent: Int[Array, ""], action: Int[Array, ""]
    ) -> Float[Array, " M"]:
        """What one agent's action adds to the state, z_ij; Yang & Liu (2026), appendix D."""

    @abc.abstractmethod
    def pull(
        self, context: PyTree, agent: Int[Array, ""], covector: Float[Array, " M"]
    ) -> Float[Array, " A"]:
        """Inner product of a covector with every influence vector of one agent, <v, z_ij>."""

    @abc.abstractmethod
    def weight(self, context: PyTree) -> Float[Array, "N A"]:
        r"""Squared length of each influence vector, $\lVert z_{ij} \rVert^2$ in the metric."""

    @abc.abstractmethod
    def rewards(self, context: PyTree, x: Float[Array, " M"]) -> dict[str, Scalar]:
        """Differentiable stand-ins for the terms of the team reward, as functions of the state."""

    def potential(self, context: PyTree, action: Float[Array, "N A"]) -> Scalar:
        deviation = self.respond(context, action) - jax.lax.stop_gradient(self.reference(context))
        return 0.5 * jnp.sum(self.metric(context) * deviation**2)

    def expected(self, context: PyTree, probabilities: Float[Array, "N A"]) -> Scalar:
        r"""$d(\bar x, \tilde x) + \tfrac12 \sum_i (\sum_j p_{ij} \lVert z_{ij}\rVert^2 -
        \lVert \sum_j p_{ij} z_{ij} \rVert^2)$: the mean's potential plus the variance of the sum of
        independent agents. Influence vectors of one agent's different actions are taken to be
        orthogonal, as they are when an action says *where* something goes.
        """
        spread = self.weight(context) * probabilities * (1 - probabilities)
        return self.potential(context, probabilities) + 0.5 * jnp.sum(spread)

    def alternatives(self, context: PyTree, action: Int[Array, " N"]) -> Float[Array, "N A"]:
        r"""$\langle \nabla d(x - z_{i a_i}), z_{ij} \rangle + \tfrac12 \lVert z_{ij} \rVert^2$."""
        weight = self.weight(context)
        chosen = jax.nn.one_hot(action, weight.shape[-1])
        slope = jax.grad(self.potential, argnums=1)(context, chosen)
        return slope + weight * (0.5 - chosen)

    def begin(self, context: PyTree) -> tuple[Array, Array, Array]:
        weight = self.weight(context)
        start = self.respond(context, jnp.zeros_like(weight)) - self.reference(context)
        return start, self.metric(context), weight

    def turn(self, context: PyTree, position: PyTree, agent: Int[Array, ""]) -> Float[Array, " A"]:
        r"""$\langle x_{<i} - \tilde x, z_{ij} \rangle + \tfrac12 \lVert z_{ij} \rVert^2$."""
        deviation, metric, weight = position
        return self.pull(context, agent, metric * deviation) + 0.5 * weight[agent]

    def move(
        self, context: PyTree, position: PyTree, agent: Int[Array, ""], action: Int[Array, ""]
    ) -> tuple[Array, Array, Array]:
        deviation, metric, weight = position
        return deviation + self.influence(context, agent, action), metric, weight

    def alignment(self, context: PyTree, action: Int[Array, " N"]) -> dict[str, Scalar]:
        chosen = jax.nn.one_hot(action, self.weight(context).shape[-1])
        x = self.respond(context, chosen)
        return aligned(lambda x: self.rewards(context, x), x, self.reference(context) - x)


class Advisor:
    """A model as a constant of programs, and not among the arrays that go through them."""

    def __init__(self, model: AbstractModel):
        self.model = model

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Advisor) and other.model is self.model

    def __hash__(self) -> int:
        return id(self.model)


class Advice(eqx.Module):
    """A model at one tick, to be asked by agents as they choose."""

    context: PyTree
    advisor: Advisor = eqx.field(static=True)

    @property
    def model(self) -> AbstractModel:
        """Whom to ask about the context."""
        return self.advisor.model


def aligned(
    rewards: Callable[[Array], dict[str, Scalar]], x: Array, direction: Array
) -> dict[str, Scalar]:
    """Per term of the team reward, and for all together, 1 where a small step improves it."""
    gain = {
        name: jnp.vdot(jax.grad(lambda x, n=name: rewards(x)[n])(x), direction)
        for name in rewards(x)
    }
    gain["total"] = sum(gain.values(), start=jnp.float32(0))
    return {name: (value > 0).astype(jnp.float32) for name, value in gain.items()}
