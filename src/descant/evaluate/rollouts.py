"""What each rollout alone would have an actor do.

`variance` asks about single agents and takes agents that do not remember; here a sample is the
gradient of all decisions of one rollout, and agents may remember.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from descant.core.algorithm import OVER_TICKS, AbstractAlgorithm, each_tick
from descant.core.types import PyTree, Rollout

TOGETHER = 16
"""Rollouts whose gradients are computed side by side."""


def gradients(
    algorithm: AbstractAlgorithm, learner: PyTree, rollout: Rollout, fresh: Bool[Array, "T E"]
) -> Float[Array, "E P X"]:
    r"""Directions in which an actor climbs, as the first epoch meets it and before any clipping:
    $g_J$, which the return teaches, and $-g_G$, of model or critic, each before its weight.

    Their means over rollouts are the gradients of the whole batch, whose statistics are held still
    and whose decisions all count alike. Entropy bonuses are left out.

    Args:
        algorithm: how signals are made.
        learner: its learner, whose policy made the rollout.
        rollout: scenarios side by side.
        fresh: ticks at which agents remember what was stored there, the first ones among them; at
            others they are followed from the tick before, and gradients go that way, too.
    """
    frozen, policy = algorithm.frozen(learner, rollout), algorithm.policy(learner)
    weights, rest = eqx.partition(policy, eqx.is_inexact_array)
    scenarios = rollout.reward.shape[1]
    count = jnp.maximum(jnp.sum(rollout.observation.active) / scenarios, 1)

    def one(index):
        alone = jax.tree.map(lambda x: x[:, index][:, None], rollout)
        seen, action = jax.tree.map(lambda x: x[:, 0], (alone.observation, alone.action))

        def climbed(weights):
            actor = eqx.combine(weights, rest)
            heard = actor.follow(seen, fresh[:, index])
            said = jax.vmap(actor.assess, (0, 0, None), OVER_TICKS)(heard, action, None)
            parts = frozen.parts(learner, each_tick(said, lambda x: x[:, None]), alone)
            return jnp.stack([jnp.sum(parts.learning), -jnp.sum(parts.guidance)]) / count

        leaves = jax.tree.leaves(jax.jacrev(climbed)(weights))
        return jnp.concatenate([leaf.reshape(2, -1) for leaf in leaves], axis=1)

    return jax.lax.map(one, jnp.arange(scenarios), batch_size=min(TOGETHER, scenarios))
