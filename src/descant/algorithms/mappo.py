"""MAPPO: proximal policy ascent on a shared reward, with one critic that sees the world.

Yu et al. (2022), with the options that Yang & Liu (2026), appendix I, list for their runs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from descant.core.errors import UserError

if TYPE_CHECKING:
    from descant.algorithms._actor_critic import ActorCritic
    from descant.core.domain import Domain
    from descant.core.model import Advisor

TABLE = {
    "view": "world",
    "sharing": "shared",
    "credit": "GAE -> standardise",
    "ascent": "together",
}


@dataclass(frozen=True)
class Config:
    """MAPPO."""

    net: Literal["pointer", "mlp", "linear"] = "pointer"
    """Size-free entity and pointer network, the paper's perceptron with an embedding of the agent's
    index, or a linear model."""
    order: Literal["in-turn", "priced", "correlated", "together"] = "in-turn"
    """How the agents of a tick choose: one after another, each knowing what those before it took;
    all at once after some rounds of proposals; all at once, drawing from strata of shared chance;
    or each for itself. The first two are for `pointer`."""
    block: int = 1
    """Agents that choose at the same time where they choose in order."""
    rounds: int = 2
    """Rounds of proposals before `priced` agents choose."""
    hidden: int = 32
    """Width of hidden layers."""
    enough: float = 30.0
    """What an entity that has enough of everything gains in logits at first (`pointer` only)."""
    heed: float | None = None
    """What an action loses in logits at first if the analytic model grades it like the mean of all,
    against the best, where agents in turn ask the model as they choose; `none` for those that do
    not. The policy then needs the model when it is used, too."""
    depth: int = 2
    """Hidden layers of `mlp`."""
    embedding: int = 16
    """Width of the agent-index embedding of `mlp`."""
    discount: float = 0.99
    """Discount per tick."""
    trace: float = 0.95
    """Lambda of generalised advantage estimation."""
    clip: float = 0.2
    """Clip of the probability ratio."""
    epochs: int = 1
    """Passes of the actor over a rollout."""
    critic_epochs: int = 1
    """Passes of the critic; more than the actor's is split-epoch training."""
    minibatch: int = 64
    """Ticks in a minibatch."""
    crowd: int = 32
    """Agents of a tick that a step of the actor looks at, another set each time, where they choose
    in order; 0 for all. Everybody's choice still counts for what the others know."""
    minibatches: int = 128
    """Gradient steps in an epoch, as far as the ticks go; 0 takes as many whole minibatches as
    they make."""
    rate: float = 6e-3
    """Learning rate of the actor at the first update."""
    critic_rate: float = 3e-3
    """Learning rate of the critic at the first update."""
    rate_decay: Literal["linear", "exponential", "constant"] = "linear"
    """How learning rates fall to 1 %: straight over 95 % of training, by a constant factor, or
    not."""
    entropy: float = 1e-3
    """Weight of the entropy bonus at the first update."""
    entropy_stop: float = 1e-4
    """Weight at the last; between them a constant factor per iteration."""
    trust: float | None = 1.0
    """Divergence from the policy that collected, in nats per decision, from which on the actor
    rests until the next rollouts; `none` lets it go on. The first updates could lead where no
    rollout has been, and where nothing is learnt any more."""
    norm: float = 0.5
    """Largest norm of a gradient; actor and critic are clipped apart."""
    huber: float = 10.0
    """Where the critic's loss turns linear."""
    values: Literal["running", "batch", "none"] = "running"
    """What the critic's targets are standardised with: running moments, those of the iteration,
    or nothing."""

    def validate(self) -> None:
        """Check ranges.

        Raises:
            UserError: a value is out of its range; the field is named.
        """
        for name in ("hidden", "block", "rounds", "epochs", "critic_epochs", "minibatch"):
            if getattr(self, name) < 1:
                raise UserError(
                    f"algorithm.{name}: expected at least 1, got {getattr(self, name)}."
                )
        for name in (
            "depth",
            "embedding",
            "enough",
            "crowd",
            "minibatches",
            "entropy",
            "entropy_stop",
        ):
            if not getattr(self, name) >= 0:
                raise UserError(
                    f"algorithm.{name}: expected at least 0, got {getattr(self, name)}."
                )
        for name in ("clip", "rate", "critic_rate", "norm", "huber"):
            if not getattr(self, name) > 0:
                raise UserError(f"algorithm.{name}: expected above 0, got {getattr(self, name)}.")
        if self.heed is not None and not self.heed >= 0:
            raise UserError(f"algorithm.heed: expected at least 0 or none, got {self.heed}.")
        if self.trust is not None and not self.trust > 0:
            raise UserError(f"algorithm.trust: expected above 0 or none, got {self.trust}.")
        for name in ("discount", "trace"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"algorithm.{name}: expected 0 to 1, got {getattr(self, name)}.")


def in_turn(config: Config, domain: Domain) -> bool:
    """Whether agents choose in order: wanted, and there is something for them to take."""
    return config.order == "in-turn" and config.net == "pointer" and bool(domain.env.spec.supplies)


def make(config: Config, domain: Domain) -> ActorCritic:
    """The algorithm for a domain.

    Raises:
        UserError: a value of the configuration cannot be used.
    """
    config.validate()
    from descant.algorithms._actor_critic import ActorCritic, Fit
    from descant.ascent.together import Together
    from descant.credit.links import Gae, Standardise, chain
    from descant.credit.schedules import Constant, Decay, Ramp
    from descant.nets import mlp
    from descant.nets import set as sets
    from descant.nets.policy import Independent, InOrder

    spec = domain.env.spec
    if config.net == "pointer" and (not spec.entities or spec.entities % spec.actions):
        raise UserError(
            f"algorithm.net: pointer chooses among entities, and actions of {domain.name!r} name "
            f"none; use --algorithm.net mlp."
        )
    depth = config.depth if config.net == "mlp" else 0
    one_by_one = in_turn(config, domain)
    advisor = _advisor(config, domain)

    def actor(key):
        if config.net == "pointer":
            net = sets.pointer(
                key, spec, hidden=config.hidden, enough=config.enough, heed=config.heed
            )
            if one_by_one:
                return InOrder(net=net, block=config.block)
            if config.order == "priced" and spec.supplies:
                return Independent(net=sets.Priced(net, config.rounds), correlated=True)
            return Independent(net=net, correlated=config.order == "correlated")
        width, index = config.hidden, config.embedding
        net = mlp.per_agent(key, spec, hidden=width, depth=depth, embedding=index)
        return Independent(net=net, correlated=config.order == "correlated")

    def critic(key):
        if config.net == "pointer":
            return sets.pooled(key, spec, hidden=config.hidden)
        return mlp.flat(key, spec, hidden=config.hidden, depth=depth)

    def decay(rate):
        return {
            "linear": Ramp(start=rate, stop=0.01 * rate, end=0.95),
            "exponential": Decay(start=rate, stop=0.01 * rate),
            "constant": Constant(level=rate),
        }[config.rate_decay]

    return ActorCritic(
        make_actor=actor,
        make_critic=critic,
        view="world",
        credit=chain(Gae(discount=config.discount, trace=config.trace), Standardise()),
        ascent=Together(
            epochs=config.epochs,
            minibatch=config.minibatch,
            minibatches=config.minibatches,
            clip=config.clip,
            norm=config.norm,
            trust=math.inf if config.trust is None else config.trust,
            rate=decay(config.rate),
            entropy=Decay(start=config.entropy, stop=config.entropy_stop),
            # Agents that choose at the same time are assessed together in any case.
            crowd=config.crowd if one_by_one else 0,
        ),
        fit=Fit(
            epochs=config.critic_epochs,
            minibatch=config.minibatch,
            minibatches=config.minibatches,
            norm=config.norm,
            delta=config.huber,
            momentum={"running": 0.99, "batch": 0.0, "none": None}[config.values],
            rate=decay(config.critic_rate),
        ),
        advisor=advisor,
    )


def _advisor(config: Config, domain: Domain) -> Advisor | None:
    """Whom the agents ask as they choose."""
    if config.heed is None:
        return None
    from descant.core.model import Advisor

    if domain.model is None:
        raise UserError(f"algorithm.heed: {domain.name!r} has no analytic model to ask.")
    if not in_turn(config, domain):
        raise UserError(
            "algorithm.heed: the model is asked at each agent's turn, which takes algorithm.net "
            "= pointer, algorithm.order = in-turn, and a domain that observes what is left of what."
        )
    return Advisor(domain.model)
