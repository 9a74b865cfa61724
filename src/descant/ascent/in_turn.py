"""Agents move one after another, each knowing how those before it have moved."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from descant.ascent.together import Together, adam, fresh
from descant.core.algorithm import (
    OVER_TICKS,
    AbstractAscent,
    AbstractPolicy,
    Assessment,
    Term,
)
from descant.core.types import Key, PyTree, Rollout, Scalar


class InTurn(AbstractAscent):
    r"""Proximal ascent of one agent after another, in an order drawn anew each time.

    What an agent has to gain is weighed by how much likelier those before it now are to do as they
    did: $M^{i_m} = \prod_{l < m} \frac{\pi^{i_l}_{new}}{\pi^{i_l}_{old}} A$; Kuba et al. (2022),
    eq. 11. Agents need weights of their own, so that one can move while the others rest.
    """

    each: Together
    """How one agent moves."""

    def with_term(self, term: Term) -> "InTurn":
        return InTurn(each=self.each.with_term(term))

    def guidance(self, said: Assessment, batch: Rollout) -> Float[Array, "B N"]:
        return self.each.guidance(said, batch)

    def frozen(self, actor: AbstractPolicy, rollout: Rollout) -> "InTurn":
        return InTurn(each=self.each.frozen(actor, rollout))

    def init(self, actor: AbstractPolicy) -> PyTree:
        return jax.vmap(adam(self.each.norm).init)(actor)

    def __call__(
        self,
        actor: AbstractPolicy,
        state: PyTree,
        rollout: Rollout,
        advantage: Float[Array, "T E N"],
        progress: Scalar,
        key: Key,
    ) -> tuple[AbstractPolicy, PyTree, dict[str, Scalar]]:
        agents = advantage.shape[-1]

        def turn(carry, agent):
            actor, state, factor = carry
            part, own = jax.tree.map(lambda x: x[agent], (actor, state))
            part, own, metrics = self.each.climb(
                part,
                _replacing(actor, agent),
                own,
                rollout,
                advantage * factor[..., None],
                progress,
                key,
                agent[None],
            )
            actor = _replacing(actor, agent)(part)
            state = jax.tree.map(lambda all, one: all.at[agent].set(one), state, own)
            return (actor, state, factor * _likelier(actor, rollout, agent)), metrics

        order = jax.random.permutation(jax.random.fold_in(key, 2), agents)
        start = actor, state, jnp.ones_like(rollout.reward)
        (actor, state, _), metrics = jax.lax.scan(turn, start, order)
        return actor, state, jax.tree.map(jnp.mean, metrics)


def _likelier(
    actor: AbstractPolicy, rollout: Rollout, agent: Int[Array, ""]
) -> Float[Array, "T E"]:
    """How much likelier an agent now is to do what it did."""
    some = agent[None]
    heard = jax.vmap(actor.follow, 1, 1)(rollout.observation, fresh(rollout))
    over_scenarios = jax.vmap(actor.assess, (0, 0, None), OVER_TICKS)
    said = jax.vmap(over_scenarios, (0, 0, None), OVER_TICKS)(heard, rollout.action, some)
    gain = said.log_prob - rollout.log_prob[..., some]
    return jnp.exp(jnp.where(said.acts, gain, 0.0))[..., 0]


def _replacing(actor: AbstractPolicy, agent: Int[Array, ""]) -> Callable[[PyTree], AbstractPolicy]:
    """The joint policy with other weights of one agent."""
    return lambda part: jax.tree.map(lambda all, one: all.at[agent].set(one), actor, part)
