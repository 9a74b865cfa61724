"""The papers' settings as values, by name: `descant train --preset NAME`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from descant.train.settings import Settings, flatten


@dataclass(frozen=True)
class Preset:
    """Values that belong together, such as the ones behind a published table."""

    summary: str
    """One line for `descant list`."""
    domain: str
    """The domain that the values are for."""
    values: Mapping[str, Any] | Callable[[Settings], Mapping[str, Any]]
    """Values by dotted name. A function is handed the settings as the user asked for them (file and
    flags included, which still win), so that values may depend on the size."""


LIGHT_LOAD = {"domain.load": "slots", "domain.reward_scale": "cores"}
"""The paper's cluster: waiting hardly occurs, and energy decides."""
TRUE_LOAD = {"domain.load": "true", "domain.reward_scale": "total"}
"""Servers at 80 to 85 % of their tightest resource: waiting is what costs, and placement decides
it."""
TRACE = {"domain.horizon": 1000, "domain.arrivals": 1000, "domain.utilisation": (0.9, 0.95)}
"""Nodes almost full at the end."""
LARGE = 300
"""Servers from which an iteration is cut to what it needs: two rollouts hold a million
decisions."""

# Yang & Liu (2026), Table 7: hidden width, minibatch in decisions, rollouts, clip.
PERCEPTRON = {
    5: (128, 256, 12, 0.2),
    10: (128, 512, 12, 0.2),
    20: (128, 512, 12, 0.2),
    50: (256, 1024, 8, 0.4),
    100: (512, 2048, 6, 0.4),
    200: (1024, 2048, 4, 0.4),
}
DECISIONS = 0.825
"""Jobs per server and tick that arrive: what turns a minibatch of decisions into one of ticks."""


def _published(settings: Settings) -> dict[str, Any]:
    """The paper's perceptron runs; a size between two of Table 7 takes the larger one's
    settings."""
    servers = settings.domain.servers
    size = next((n for n in PERCEPTRON if servers <= n), max(PERCEPTRON))
    hidden, decisions, rollouts, clip = PERCEPTRON[size]
    return (
        _estimator(settings)
        | _base(
            settings,
            net="mlp",
            order="together",
            hidden=hidden,
            depth=2,
            embedding=16,
            clip=clip,
            epochs=4,
            critic_epochs=4,
            minibatch=max(1, round(decisions / (DECISIONS * servers))),
            minibatches=0,
            rate=3e-4,
            critic_rate=3e-4,
            rate_decay="exponential",
            entropy=0.02,
            entropy_stop=1e-4,
            norm=0.5,
            huber=10.0,
            trust=None,
            values="none",
        )
        | {
            "train.iterations": 200,
            "train.rollouts": rollouts,
            # The paper reports its best checkpoint.
            "train.select": "best",
            # Appendix H.2 compresses what is seen of many servers.
            "domain.observation": "clusters" if servers >= 200 else "paper",
        }
    )


def _published_linear(settings: Settings) -> dict[str, Any]:
    """The paper's linear runs, Table 6; its baselines train longer, with a fixed entropy bonus."""
    guided = settings.algorithm_name == "dgpg"
    return (
        _estimator(settings)
        | _base(
            settings,
            net="linear",
            order="together",
            clip=0.2,
            epochs=3,
            critic_epochs=20,
            minibatch=max(1, round(10_000 / (DECISIONS * settings.domain.servers))),
            minibatches=0,
            rate=1e-3,
            critic_rate=1e-3,
            rate_decay="linear",
            entropy=0.01 if guided else 0.005,
            entropy_stop=1e-4 if guided else 0.005,
            norm=10.0,
            huber=10.0,
            trust=None,
            values="batch",
        )
        | {
            "train.iterations": 200 if guided else 500,
            "train.rollouts": 24,
            "train.select": "best",
            "domain.observation": "paper",
            "domain.reward_scale": "total",
        }
    )


def _estimator(settings: Settings) -> dict[str, Any]:
    """The paper's guidance, for the algorithm that has any; the reference is the paper's in all."""
    paper = {"domain.model": "proportional"}
    if settings.algorithm_name != "dgpg":
        return paper
    return paper | {
        "algorithm.guidance": "sampled",
        "algorithm.moment": "after",
        "algorithm.start": 0.9,
        "algorithm.stop": 0.2,
        "algorithm.hold": 0.1,
        "algorithm.reach": 0.5,
    }


def _base(settings: Settings, **values: Any) -> dict[str, Any]:
    """Values of MAPPO, which other algorithms nest."""
    prefix = "algorithm" if settings.algorithm_name == "mappo" else "algorithm.base"
    return {f"{prefix}.{name}": value for name, value in values.items()}


SCHOOL = 20
"""Servers among which a policy for clusters of any size learns: enough for all that matters between
servers to happen, few enough for an iteration to take a second and for one job to show in what all
are paid."""
SMALL = 10
"""Servers up to which an iteration holds few decisions, and more of them are taken."""
FAR = 100
"""Servers from which, under load, agents that learnt among few ask the model as they choose."""


def _any_size(settings: Settings, heed: float | None) -> dict[str, Any]:
    """A network as wide as no world learns in a small one, unless somebody says where
    (`--train.servers 500..500` learns among 500 servers), and agents with a model ask it as they
    choose."""
    if settings.algorithm_name not in ("dgpg", "mappo", "ippo"):
        return _compared(settings)
    values, world = _compared(settings) | _asking(settings, heed), settings.domain
    free = _points(settings) and not (world.clusters or world.fewest)
    if free and settings.train.servers is None:
        return values | {"train.servers": (SCHOOL, SCHOOL)}
    return values | _sized(settings)


def _asking(settings: Settings, heed: float | None) -> dict[str, Any]:
    """Agents that have a model, and choose one after another, ask it. Whoever follows the model
    needs nothing else to hold on to."""
    if settings.algorithm_name != "dgpg" or not _points(settings):
        return {}
    in_turn = flatten(settings)["algorithm.base.order"] == "in-turn"
    return _base(settings, heed=heed, trust=None) if in_turn else {}


def _points(settings: Settings) -> bool:
    """Whether the network points at what it sees one by one, however many there are."""
    (net,) = (flatten(settings)[name] for name in _base(settings, net=None))
    return net == "pointer" and settings.domain.observation != "clusters"


def _light(settings: Settings) -> dict[str, Any]:
    """The model is right in all but little, and what is learnt is that little."""
    return LIGHT_LOAD | _any_size(settings, heed=4.0)


def _true(settings: Settings) -> dict[str, Any]:
    """What a network alone makes of 20 servers holds up to some 50, what it adds to the model's
    advice further."""
    heed = 0.0 if settings.domain.servers >= FAR else None
    return TRUE_LOAD | _congested(settings) | _any_size(settings, heed)


def _trace(settings: Settings) -> dict[str, Any]:
    """Nodes are full at the end, and the model knows what full costs."""
    return TRACE | _congested(settings) | _asking(settings, heed=4.0)


def _congested(settings: Settings) -> dict[str, Any]:
    """Where much waits, the first rollouts show all that matters, and the policy is soon far from
    the one that made them: nothing holds it back."""
    return {name: None for name in flatten(settings) if name.endswith(".trust")}


def _sized(settings: Settings) -> dict[str, Any]:
    """More iterations in small clusters; fewer rollouts and smaller steps in large ones, whose
    ticks hold many decisions each."""
    servers = max(settings.train.servers or (settings.domain.servers,))
    if servers <= SMALL:
        return {"train.iterations": 40}
    if servers < LARGE:
        return {}
    steps = _base(settings, minibatch=16, crowd=64, minibatches=64, trust=1.0)
    return {"train.rollouts": 2, "train.iterations": 5} | steps


def _compared(settings: Settings) -> dict[str, Any]:
    """A held-out episode of a large cluster takes seconds under each rule: fewer of both."""
    if settings.domain.servers < LARGE:
        return {}
    return {
        "train.scenarios": 8,
        "train.rules": ("random", "best-fit", "most-efficient-first", "tetris"),
    }


def _spread(settings: Settings) -> dict[str, Any]:
    """All is in sight, so nothing needs to be remembered; what an agent does shows within ten
    ticks."""
    return {
        "train.rollouts": 128,
        "train.iterations": 300,
        "train.period": 10,
        "train.scenarios": 200,
    } | _proximal(
        settings,
        net="mlp",
        activation="tanh",
        hidden=64,
        depth=2,
        minibatch=800,
        rate=5e-3,
        critic_rate=5e-3,
        discount=0.9,
        entropy=0.01,
        entropy_stop=1e-3,
    )


REPLAYED = 8
"""Iterations of algorithms that learn from a replay, in battles, for one of those that do not: as
many ticks in all, seen in smaller portions."""


def _battle(settings: Settings) -> dict[str, Any]:
    """Units see little at a time, so they remember."""
    usual = {"train.steps": 128, "train.scenarios": 100, "domain.env": "SMAX"}
    # Every tick is learnt from four times, as by the others.
    replayed = _known(
        settings,
        {
            f"algorithm.{_nested(settings, 'replay')}{name}": value
            for name, value in {"net": "gru", "replay": 65_536, "updates": 32}.items()
        },
    )
    if replayed:
        often = {"train.rollouts": 16, "train.iterations": 92 * REPLAYED}
        return usual | often | {"train.period": 4 * REPLAYED} | replayed
    usual |= {"train.rollouts": 128, "train.iterations": 92, "train.period": 4}
    return usual | _proximal(
        settings,
        net="gru",
        hidden=128,
        minibatch=4096,
        rate=2e-3,
        critic_rate=2e-3,
        entropy=1e-3,
        entropy_stop=1e-4,
    )


def _signals(settings: Settings) -> dict[str, Any]:
    """Queues grow for longer than ten ticks."""
    values = {"train.rollouts": 16, "train.iterations": 200, "train.period": 20}
    return values | _near(settings, base={"net": "mlp", "discount": 0.97}, critic="gae")


def _pistons(settings: Settings) -> dict[str, Any]:
    """Pistons that are decided before the ball has come to them never learn what to do with it."""
    iterations = 60 if settings.algorithm_name == "localised" else 200
    values = {"train.rollouts": 16, "train.iterations": iterations, "train.period": 20}
    return values | _near(settings, base={"net": "mlp"}, entropy=1.0)


def _near(settings: Settings, base: Mapping[str, Any], **values: Any) -> dict[str, Any]:
    """Agents of a network that are alike, and learn from what follows over some 30 ticks; `base`
    is for those that nest MAPPO."""
    if settings.algorithm_name != "localised":
        return _known(settings, _base(settings, **base))
    alike = {"sharing": "shared", "view": 1, "credit_radius": 1, "rate": 0.01, "discount": 0.97}
    return {f"algorithm.{name}": value for name, value in (alike | values).items()}


def _proximal(settings: Settings, **values: Any) -> dict[str, Any]:
    """Values of MAPPO and all that nest it, with four passes over all ticks; other algorithms keep
    theirs."""
    return _known(settings, _base(settings, epochs=4, critic_epochs=4, minibatches=0, **values))


def _nested(settings: Settings, name: str) -> str:
    """What stands before a value's name in an algorithm that may nest the one that has it."""
    return "" if f"algorithm.{name}" in flatten(settings) else "base."


def _known(settings: Settings, values: dict[str, Any]) -> dict[str, Any]:
    """Values that the algorithm has, or none of them."""
    return values if values.keys() <= flatten(settings).keys() else {}


PRESETS: dict[str, Preset] = {
    "paper": Preset(
        summary="The cluster of Yang & Liu (2026), Table 1: light load, energy decides (default)",
        domain="cloud",
        values=LIGHT_LOAD,
    ),
    "descant": Preset(
        summary="The paper's cluster at any size, with this library's settings for that size",
        domain="cloud",
        values=_light,
    ),
    "true-load": Preset(
        summary="Servers at 80 to 85 % of their tightest resource: waiting decides",
        domain="cloud",
        values=_true,
    ),
    "trace": Preset(
        summary="An imported trace (--domain.trace): 1,000 ticks, nodes almost full at the end",
        domain="cloud",
        values=_trace,
    ),
    "published": Preset(
        summary="Yang & Liu (2026), Table 7: perceptron, sampled guidance, 200 iterations",
        domain="cloud",
        values=_published,
    ),
    "published-linear": Preset(
        summary="Yang & Liu (2026), Table 6: linear models, 200 or 500 iterations",
        domain="cloud",
        values=_published_linear,
    ),
    "spread": Preset(
        summary="Particles that spread over landmarks: a million ticks, feed-forward",
        domain="particle",
        values=_spread,
    ),
    "smax": Preset(
        summary="SMAX battles (extra jaxmarl): 1.5 million ticks, units that remember",
        domain="jaxmarl",
        values=_battle,
    ),
    "signals": Preset(
        summary="Signals on a grid that learn alike from what is near: 384,000 ticks",
        domain="traffic",
        values=_signals,
    ),
    "pistons": Preset(
        summary="Pistons that learn alike and are not decided too early: 96,000 ticks",
        domain="pistonball",
        values=_pistons,
    ),
}
