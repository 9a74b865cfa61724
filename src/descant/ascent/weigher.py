"""How much of the gradient the analytic model gives, decided before each update.

The gradient that an update follows is $(1 - \\alpha)\\, g_J + \\alpha\\, g_G$, both parts taken as
descent directions: $g_J$ is what the rewards teach, $g_G$ what the model teaches. A schedule says
alpha in advance; the rules here read it off the two gradients themselves.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from descant.ascent.together import crowds
from descant.core.algorithm import (
    OVER_TICKS,
    AbstractAscent,
    AbstractPolicy,
    Schedule,
)
from descant.core.types import Key, Number, Rollout, Scalar

Guided = Callable[[Schedule], Any]
"""The algorithm at a guidance weight."""


class Evidence(NamedTuple):
    """Running averages over updates; rewards first, model second."""

    noise: Float[Array, "2 2"]
    """Variances and covariance of the two gradients, summed over the policy's weights."""
    signal: Float[Array, "2 2"]
    """Inner products of their means, free of the bias that noise gives to squares."""
    doubt: Float[Array, " 2"]
    """Squared standard errors of what the signal says of the rewards' mean gradient: its squared
    length, and its inner product with the other."""
    gathered: Scalar
    """Weight of all that has been taken in so far, 1 at most."""


ALONE = 8
"""Samples that a single scenario is cut into."""
SURE = 2.0
"""Standard errors; two leave one chance in forty that noise alone is taken for more."""

Rule = Callable[[Scalar, Evidence], Scalar]
"""`(progress, evidence)` to the guidance weight."""


def planned(schedule: Schedule) -> Rule:
    """The weight of a schedule, whatever the evidence."""
    return lambda progress, evidence: schedule(progress)


def least_variance(progress: Scalar, evidence: Evidence) -> Scalar:
    r"""The weight at which the blend has the least variance: Yang & Liu (2026), theorem 4.2.

    $\alpha^* = (\sigma_J^2 + \rho\,\sigma_J \sigma_G) / (\sigma_J^2 + \sigma_G^2 + 2 \rho\,\sigma_J
    \sigma_G)$, held within [0, 1]. $\rho$ is the paper's, of gradients of the return and of the
    potential, which point apart: our covariance of two descent directions has the other sign.
    """
    rewards, model, both = evidence.noise[0, 0], evidence.noise[1, 1], evidence.noise[0, 1]
    return jnp.clip((rewards - both) / jnp.maximum(rewards + model - 2 * both, 1e-30), 0, 1)


def adaptive(progress: Scalar, evidence: Evidence) -> Scalar:
    r"""Theorem 4.2 for gradients of one length, which is what it takes the two to be.

    As they come, one may be ten times as long as the other, and the least variance then goes to the
    shorter, whatever it says. So both are divided by the length of their mean, the best weight of
    the two is worked out, and turned back into a weight of the gradients as they come. The rewards'
    mean gradient is taken to be as long as can be said with confidence, which is `SURE` standard
    errors of its squared length below the estimate; where that leaves nothing, the model is all
    there is.
    """
    rewards = evidence.signal[0, 0] - SURE * jnp.sqrt(evidence.doubt[0])
    length = jnp.sqrt(jnp.maximum(jnp.stack([rewards, evidence.signal[1, 1]]), 1e-30))
    relative = evidence.noise / jnp.outer(length, length)
    share = least_variance(progress, evidence._replace(noise=relative))
    odds = jnp.array([1 - share, share]) / length
    return jnp.where(rewards > 0, odds[1] / jnp.sum(odds), 1.0)


def most_aligned(progress: Scalar, evidence: Evidence) -> Scalar:
    r"""The weight at which the blend most surely points where the rewards' mean gradient does.

    Of all blends $b = (1 - \nu)\, g_J + \nu\, g_G$ it has the largest $\langle \mathbb{E} b,
    \mathbb{E} g_J \rangle^2 / \mathbb{E} \lVert b \rVert^2$, which does not hang on lengths: a
    gradient that is next to nothing is no better for being short. With the second moments M of the
    two and their inner products p with the rewards' mean, $(1 - \nu, \nu) \propto M^{-1} p$, held
    within [0, 1]. The second gradient is taken to agree with the rewards as far as can be said with
    confidence: `SURE` standard errors less than the estimate, and not at all below zero.
    """
    moments, mean = evidence.signal + evidence.noise, evidence.signal
    own = jnp.maximum(mean[0, 0], 0)
    agreed = jnp.maximum(mean[0, 1] - SURE * jnp.sqrt(evidence.doubt[1]), 0)
    first = jnp.maximum(moments[1, 1] * own - moments[0, 1] * agreed, 0)
    second = jnp.maximum(moments[0, 0] * agreed - moments[0, 1] * own, 0)
    return jnp.where(agreed > 0, second / jnp.maximum(first + second, 1e-30), 0.0)


class Weigher(eqx.Module):
    """Sets the weight that an update is made with, and looks at the two gradients for it.

    A sample is the gradient over ticks of one scenario, for what is luck in a rollout moves all its
    ticks alike: within one it would look like signal. Where there is one scenario only, its ticks
    are all there is.
    """

    guided: Guided = eqx.field(static=True)
    rule: Rule = eqx.field(static=True)
    ticks: int = eqx.field(static=True)
    """Ticks looked at in an update, of all scenarios together; 0 for none, which leaves the
    evidence empty."""
    crowd: int = eqx.field(static=True, default=0)
    """Agents of a tick that are looked at; 0 for all."""
    momentum: Number = 0.9
    """Share of the evidence that is kept from one update to the next."""
    name: str = eqx.field(static=True, default="alpha")
    """What the weight is called in records."""

    def init(self) -> Evidence:
        """No evidence yet."""
        nothing = jnp.zeros((2, 2))
        return Evidence(nothing, nothing, jnp.zeros(2), jnp.float32(0))

    def __call__(
        self,
        actor: AbstractPolicy,
        ascent: AbstractAscent,
        rollout: Rollout,
        advantage: Float[Array, "T E N"],
        slope: Float[Array, "T E N"],
        evidence: Evidence,
        progress: Scalar,
        key: Key,
    ) -> tuple[Scalar, Evidence, dict[str, Scalar]]:
        """The weight of this update, its own rollout taken into account.

        Args:
            actor: before the update.
            ascent: whose terms are the model's part, if it has any.
            rollout: what is learned from.
            advantage: what the rewards say, before the model comes in.
            slope: what the model charges each action taken, if it speaks through the advantage.
            evidence: from earlier updates.
            progress: from 0 to 1.
            key: chooses the ticks that are looked at.
        """
        if not self.ticks:
            weight = self.rule(progress, evidence)
            return weight, evidence, {self.name: weight}
        active = jnp.any(rollout.observation.active, axis=-1)

        tick, scenario = draws(key, active, self.ticks)
        agents = advantage.shape[-1]
        some = jnp.arange(agents)[None].repeat(len(tick), axis=0)
        if 0 < self.crowd < agents:
            some = crowds(jax.random.fold_in(key, 1), len(tick), agents, self.crowd)

        def sample(where):
            tick, scenario, some = where
            batch = jax.tree.map(lambda x: x[tick, scenario], rollout)
            said = advantage[tick, scenario][:, some], slope[tick, scenario][:, some]
            return both(actor, ascent, batch, *said, some)

        seen, means = spread(jax.lax.map(sample, (tick, scenario, some)))
        evidence = follow(evidence, seen, self.momentum)
        known = read(evidence)
        weight = self.rule(progress, known)
        return weight, evidence, {self.name: weight} | describe(known, means)


def both(
    actor: AbstractPolicy,
    ascent: AbstractAscent,
    batch: Rollout,
    advantage: Float[Array, "B P"],
    slope: Float[Array, "B P"],
    some: Int[Array, " P"],
) -> Float[Array, "2 W"]:
    """The two gradients of a minibatch side by side, as flat vectors; `some` agents speak."""

    def losses(actor):
        assess = jax.vmap(actor.assess, (0, 0, None), OVER_TICKS)
        said = assess(jax.vmap(actor.listen)(batch.observation), batch.action, some)
        charge = said.log_prob * slope + ascent.guidance(said, batch)
        each = jnp.stack([-said.log_prob * advantage, charge])
        each = jnp.where(said.acts[None], each, 0.0)
        return jnp.sum(each, axis=(1, 2)) / jnp.maximum(jnp.sum(said.acts), 1)

    leaves = jax.tree.leaves(jax.jacrev(losses)(actor))
    return jnp.concatenate([leaf.reshape(2, -1) for leaf in leaves], axis=1)


def draws(
    key: Key, active: Bool[Array, "T E"], most: int
) -> tuple[Int[Array, "samples B"], Int[Array, " samples"]]:
    """Ticks of each sample and its scenario, ticks in which somebody acts before others; at most so
    many in all, but one for each sample."""
    ticks, scenarios = active.shape
    count = scenarios if scenarios > 1 else ALONE
    size = max(1, min(most // count, ticks * scenarios // count))
    keys = jax.random.split(key, scenarios)
    order = jnp.argsort(jax.vmap(lambda k: jax.random.uniform(k, (ticks,)))(keys) + ~active.T)
    tick = order[:, : size * count // scenarios].reshape(count, size)
    return tick, jnp.arange(count) % scenarios


def spread(gradients: Float[Array, "samples 2 W"]) -> tuple[Evidence, Float[Array, "2 2"]]:
    """What the samples of one update show of the mean over them, and inner products of the two mean
    gradients as they came out."""
    count = gradients.shape[0]
    mean = jnp.mean(gradients, axis=0)
    apart = gradients - mean[None]
    noise = jnp.einsum("kaw,kbw->ab", apart, apart) / (count * (count - 1))
    plain = mean @ mean.T
    signal = plain - noise
    rewards = gradients[:, 0]
    pairs = (rewards @ rewards.T)[jnp.triu_indices(count, 1)]
    # Of a single pair nothing is known but its size.
    centre = signal[0, 0] if len(pairs) > 1 else 0.0
    length = jnp.sum((pairs - centre) ** 2) / (float(len(pairs)) * max(len(pairs) - 1, 1))
    doubt = jnp.stack([length, _doubt(rewards @ gradients[:, 1].T)])
    return Evidence(noise, signal, doubt, jnp.float32(1)), plain


def _doubt(products: Float[Array, "samples samples"]) -> Scalar:
    """Squared standard error of the mean over all pairs of different samples, by the jackknife,
    which errs to the careful side; of a single pair nothing is known but its size."""
    count = products.shape[0]
    own = jnp.diagonal(products)
    apart = jnp.sum(products) - jnp.sum(own)
    if count < 3:
        return (apart / (count * (count - 1))) ** 2
    gone = jnp.sum(products, axis=0) + jnp.sum(products, axis=1) - 2 * own
    without = (apart - gone) / ((count - 1) * (count - 2))
    return (count - 1) * jnp.var(without)


def follow(evidence: Evidence, seen: Evidence, momentum: Number) -> Evidence:
    """Take in what one update showed; updates err independently, so their doubts add as squares."""
    keep, take = momentum, 1 - momentum
    blend = jax.tree.map(lambda old, new: keep * old + take * new, evidence, seen)
    return blend._replace(doubt=keep**2 * evidence.doubt + take**2 * seen.doubt)


def read(evidence: Evidence) -> Evidence:
    """Averages, corrected for their start."""
    whole = jnp.where(evidence.gathered > 0, evidence.gathered, 1.0)
    averages = jax.tree.map(lambda x: x / whole, evidence)
    return averages._replace(doubt=evidence.doubt / whole**2)


def describe(evidence: Evidence, means: Float[Array, "2 2"]) -> dict[str, Scalar]:
    """Records: running noise, and this update's mean gradients and their cosine."""
    length = jnp.sqrt(jnp.diagonal(means))
    noise = jnp.diagonal(evidence.noise)
    joint = jnp.sqrt(noise[0] * noise[1])
    return {
        "reward_gradient": length[0],
        "guidance_gradient": length[1],
        "gradient_cosine": means[0, 1] / jnp.maximum(length[0] * length[1], 1e-30),
        "reward_variance": noise[0],
        "guidance_variance": noise[1],
        "gradient_correlation": evidence.noise[0, 1] / jnp.maximum(joint, 1e-30),
    }
