"""The actors and critics that policy-gradient algorithms choose from."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import jax
import jax.numpy as jnp

from descant.core.algorithm import AbstractPolicy
from descant.core.domain import Domain
from descant.core.errors import UserError
from descant.core.types import Key, Spec
from descant.nets import mlp, recurrent
from descant.nets import set as sets
from descant.nets.policy import Gaussian, Independent, InOrder

if TYPE_CHECKING:
    from descant.algorithms._actor_critic import Critic
    from descant.algorithms.mappo import Config

View = Literal["world", "local"]


def actor(config: "Config", domain: Domain) -> Callable[[Key], AbstractPolicy]:
    """The joint policy that settings describe, given a key.

    Raises:
        UserError: the domain has nothing for it to work on.
    """
    spec = domain.env.spec
    if config.net == "pointer":
        return _pointing(config, domain)
    owners, bend = _owners(config, spec), _bend(config)

    def make(key):
        if config.net == "gru":
            sees = recurrent.own(spec)
            sizes = config.hidden, spec.actions
            net = recurrent.listener(key, sees, "actor", *sizes, owners=owners, activation=bend)
        else:
            net = mlp.per_agent(
                key,
                spec,
                hidden=config.hidden,
                depth=_depth(config),
                embedding=config.embedding,
                activation=bend,
                owners=owners,
            )
        if config.spread:
            net = mlp.leaning(jax.random.fold_in(key, 1), net, spec, config.spread)
        if not spec.continuous:
            return Independent(net=net, correlated=config.order == "correlated")
        deviation = jnp.full((len(owners or (0,)), spec.actions), jnp.log(config.deviation))
        return Gaussian(net=net, deviation=deviation, squash=config.squash)

    return make


def critic(config: "Config", domain: Domain, view: View) -> Callable[[Key], "Critic"]:
    """What judges ticks, of the world or of each agent's own view."""
    spec, bend = domain.env.spec, _bend(config)

    def make(key):
        if config.net == "gru":
            sees = recurrent.whole(spec) if view == "world" else recurrent.own(spec)
            sizes = config.hidden, 1
            return recurrent.listener(key, sees, "critic", *sizes, last=1.0, activation=bend)
        if config.net == "pointer":
            judge = sets.pooled(key, spec, hidden=config.hidden)
        else:
            judge = mlp.flat(key, spec, hidden=config.hidden, depth=_depth(config), activation=bend)
        return mlp.Alone(judge) if view == "local" and not spec.shared else judge

    return make


def _pointing(config: "Config", domain: Domain) -> Callable[[Key], AbstractPolicy]:
    spec = domain.env.spec
    if spec.continuous or not spec.entities or spec.entities % spec.actions:
        raise UserError(
            f"algorithm.net: pointer chooses among entities, and actions of {domain.name!r} name "
            f"none; use --algorithm.net mlp."
        )
    if config.spread:
        raise UserError(
            "algorithm.spread: the pointer network is for agents of any number, who have no biases "
            "of their own; those take --algorithm.net mlp, linear or gru."
        )
    if config.sharing != "shared":
        raise UserError(
            "algorithm.sharing: the pointer network is one for all agents, however many; networks "
            "of their own take --algorithm.net mlp or gru."
        )

    def make(key):
        net = sets.pointer(key, spec, hidden=config.hidden, enough=config.enough, heed=config.heed)
        if config.in_turn(spec):
            return InOrder(net=net, block=config.block)
        if config.order == "priced" and spec.supplies:
            return Independent(net=sets.Priced(net, config.rounds), correlated=True)
        return Independent(net=net, correlated=config.order == "correlated")

    return make


def _bend(config: "Config") -> mlp.Bend:
    """What is between layers."""
    return mlp.BENDS[config.activation or ("relu" if config.net == "gru" else "tanh")]


def _owners(config: "Config", spec: Spec) -> mlp.Owners:
    """Whose weights each agent has."""
    if config.sharing == "groups" and spec.groups:
        return spec.groups
    return tuple(range(spec.agents)) if config.sharing == "separate" else None


def _depth(config: "Config") -> int:
    return config.depth if config.net == "mlp" else 0
