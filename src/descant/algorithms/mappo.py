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
    from descant.ascent.together import Together
    from descant.core.algorithm import Schedule
    from descant.core.domain import Domain
    from descant.core.model import Advisor
    from descant.core.types import Spec

TABLE = {
    "view": "world",
    "sharing": "shared",
    "credit": "GAE -> standardise",
    "ascent": "together",
}


@dataclass(frozen=True)
class Config:
    """MAPPO."""

    net: Literal["pointer", "mlp", "linear", "gru"] = "pointer"
    """Size-free entity and pointer network, the paper's perceptron with an embedding of the agent's
    index, a linear model, or a gated recurrent unit, which remembers what it has seen."""
    sharing: Literal["shared", "groups", "separate"] = "shared"
    """Who has weights in common: all agents, those of a kind as the domain tells kinds apart, or
    nobody (`mlp`, `linear` and `gru`)."""
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
    activation: Literal["tanh", "relu"] | None = None
    """What is between layers of `mlp` and `gru`; left out, `tanh` for the one, `relu` for the
    other."""
    embedding: int = 16
    """Width of the agent-index embedding of `mlp`."""
    spread: float = 0.0
    """Deviation of what each agent leans to at first, whatever it sees: a bias of its own on its
    logits, or on its aim where actions are points; 0 gives nobody one (not for `pointer`)."""
    chunk: int = 16
    """Ticks in a row through which `gru` learns what to remember, as many of them as divide a
    rollout evenly; 0 for all of a rollout."""
    squash: Literal["clipped", "tanh"] = "clipped"
    """How a draw from a normal distribution becomes an action where actions are continuous: as it
    is, the domain taking the nearest point it has; or by a hyperbolic tangent."""
    deviation: float = 0.5
    """Deviation of that distribution at first."""
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
            "chunk",
            "enough",
            "spread",
            "crowd",
            "minibatches",
            "entropy",
            "entropy_stop",
        ):
            if not 0 <= getattr(self, name) < math.inf:
                raise UserError(
                    f"algorithm.{name}: expected at least 0, got {getattr(self, name)}."
                )
        for name in ("deviation", "clip", "rate", "critic_rate", "norm", "huber"):
            if not getattr(self, name) > 0:
                raise UserError(f"algorithm.{name}: expected above 0, got {getattr(self, name)}.")
        if self.heed is not None and not self.heed >= 0:
            raise UserError(f"algorithm.heed: expected at least 0 or none, got {self.heed}.")
        if self.trust is not None and not self.trust > 0:
            raise UserError(f"algorithm.trust: expected above 0 or none, got {self.trust}.")
        for name in ("discount", "trace"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"algorithm.{name}: expected 0 to 1, got {getattr(self, name)}.")

    @property
    def ticks_in_a_row(self) -> int:
        """Through which memory is learnt; 1 where there is none."""
        return self.chunk if self.net == "gru" else 1

    def in_turn(self, spec: Spec) -> bool:
        """Whether agents choose in order: wanted, and there is something for them to take."""
        return self.order == "in-turn" and self.net == "pointer" and bool(spec.supplies)


def make(config: Config, domain: Domain, view: Literal["world", "local"] = "world") -> ActorCritic:
    """The algorithm for a domain; `view` is what its critic sees.

    Raises:
        UserError: a value of the configuration cannot be used.
    """
    config.validate()
    from descant.algorithms import _networks
    from descant.algorithms._actor_critic import ActorCritic, Fit
    from descant.credit.links import Gae, Standardise, chain

    return ActorCritic(
        make_actor=_networks.actor(config, domain),
        make_critic=_networks.critic(config, domain, view),
        view=view,
        credit=chain(Gae(discount=config.discount, trace=config.trace), Standardise()),
        ascent=ascent(config, domain),
        fit=Fit(
            epochs=config.critic_epochs,
            minibatch=config.minibatch,
            minibatches=config.minibatches,
            norm=config.norm,
            delta=config.huber,
            momentum={"running": 0.99, "batch": 0.0, "none": None}[config.values],
            rate=decayed(config, config.critic_rate),
            chunk=config.ticks_in_a_row,
        ),
        advisor=_advisor(config, domain),
    )


def ascent(config: Config, domain: Domain) -> Together:
    """How actors move."""
    from descant.ascent.together import Together
    from descant.credit.schedules import Decay

    return Together(
        epochs=config.epochs,
        minibatch=config.minibatch,
        minibatches=config.minibatches,
        clip=config.clip,
        norm=config.norm,
        trust=math.inf if config.trust is None else config.trust,
        rate=decayed(config, config.rate),
        entropy=Decay(start=config.entropy, stop=config.entropy_stop),
        # Agents that choose at the same time are assessed together in any case.
        crowd=config.crowd if config.in_turn(domain.env.spec) else 0,
        chunk=config.ticks_in_a_row,
    )


def decayed(config: Config, rate: float) -> Schedule:
    """A learning rate over training."""
    from descant.credit.schedules import Constant, Decay, Ramp

    return {
        "linear": Ramp(start=rate, stop=0.01 * rate, end=0.95),
        "exponential": Decay(start=rate, stop=0.01 * rate),
        "constant": Constant(level=rate),
    }[config.rate_decay]


def _advisor(config: Config, domain: Domain) -> Advisor | None:
    """Whom the agents ask as they choose."""
    if config.heed is None:
        return None
    from descant.core.model import Advisor

    if domain.model is None:
        raise UserError(f"algorithm.heed: {domain.name!r} has no analytic model to ask.")
    if not config.in_turn(domain.env.spec):
        raise UserError(
            "algorithm.heed: the model is asked at each agent's turn, which takes algorithm.net "
            "= pointer, algorithm.order = in-turn, and a domain that observes what is left of what."
        )
    return Advisor(domain.model)
