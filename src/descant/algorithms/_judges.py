"""The critics of actions that algorithms choose from."""

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from descant.algorithms._action_critic import Counterfactual, Factorised, Lesson
from descant.algorithms._actor_critic import ActorCritic, Fit
from descant.ascent.climb import Climb
from descant.core.domain import Domain
from descant.core.network import AbstractSystem
from descant.core.types import Key
from descant.credit.links import Judged, Standardise, chain
from descant.credit.probes import Luck
from descant.nets import beside, joint, mixing, recurrent
from descant.nets import set as sets

if TYPE_CHECKING:
    from descant.algorithms import maipg, mappo
    from descant.algorithms._settings import Critic


def factorised(config: "maipg.Config", domain: Domain, fit: Fit) -> Factorised:
    """MAIPG's, which nobody climbs yet."""
    spec, sizes = domain.env.spec, {"hidden": config.critic.hidden, "depth": config.critic.depth}

    def make(key: Key):
        net_key, mix_key = jax.random.split(key)
        width = config.critic.hidden
        if config.mixer == "joint":
            return joint.whole(net_key, spec, **sizes)
        mixer = mixing.mixer(mix_key, spec, config.mixer, embed=config.embed, hidden=width)
        if spec.continuous:
            who = "judge" if config.base.net == "gru" else None
            return beside.points(net_key, spec, mixer, who=who, **sizes)
        if config.base.net == "pointer":
            net = sets.pointer(net_key, spec, hidden=width, enough=0.0)
        elif config.base.net == "gru":
            sees = recurrent.everything(spec)
            net = recurrent.listener(net_key, sees, "judge", width, spec.actions)
        else:
            net = joint.utilities(net_key, spec, view="world", **sizes)
        return joint.Mixed(net, mixer)

    draws = config.noise and not spec.continuous
    term = partial(Climb, temperature=config.temperature, noise=config.noise, hard=config.hard)
    return Factorised(
        lesson=lesson(config.base, config.critic, fit, make, following=config.following),
        weight=None,
        make_term=term,
        luck=Luck(agents=spec.agents) if draws else None,
        in_advantages=config.scale == "advantages",
    )


def counterfactual(
    config: "mappo.Config",
    critic: "Critic",
    domain: Domain,
    fit: Fit,
    heed: Float[Array, "N N"],
    *,
    mean: bool,
) -> Counterfactual:
    """Values of each agent's choices beside what the others do: the sum of it, all seen, or the
    mean of some, seen with an agent's own eyes."""
    sizes = {"hidden": critic.hidden, "depth": critic.depth}
    make = partial(beside.beside, spec=domain.env.spec, whole=not mean, by_name=not mean, **sizes)
    alone = replace(fit, chunk=1)
    return Counterfactual(lesson=lesson(config, critic, alone, make), heed=heed, mean=mean)


def lesson(config: "mappo.Config", critic: "Critic", fit: Fit, make, **options) -> Lesson:
    """How such a critic learns."""
    return Lesson(
        make=make,
        fit=fit if critic.epochs is None else replace(fit, epochs=critic.epochs),
        discount=config.discount,
        trace=critic.trace,
        lag=critic.lag,
        **options,
    )


def judged(base: ActorCritic, actions: Counterfactual) -> ActorCritic:
    """The algorithm with advantages that a critic of actions reads off; the critic of ticks is left
    to say what follows a rollout."""
    credit = chain(base.credit, Judged(name="counterfactual"), Standardise())
    return replace(base, credit=credit, actions=actions)


def neighbours(network: AbstractSystem) -> Float[Array, "N N"]:
    """Those next to an agent count."""
    agents, listed = network.near.shape
    near = jnp.where((network.hops == 1) & (network.near < agents), network.near, agents)
    rows = jnp.arange(agents)[:, None].repeat(listed, axis=1)
    return jnp.zeros((agents, agents)).at[rows, near].set(1.0, mode="drop")


def everybody_else(agents: int) -> Float[Array, "N N"]:
    """All count but oneself."""
    return 1 - jnp.eye(agents)
