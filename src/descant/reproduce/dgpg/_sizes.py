"""The training runs at all sizes that Table 1, Figures 4 and 5 and Table 9 share."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from descant.reproduce._common.jobs import Job, Rules, Score, Train
from descant.reproduce._common.plan import Scale
from descant.reproduce.dgpg._runs import (
    DESCANT,
    HOME,
    IPPO,
    MAPPO,
    MOVED,
    PUBLISHED,
    Method,
    rules,
    scoring,
    shrunk,
    training,
)

if TYPE_CHECKING:
    from descant.reproduce._common.found import Found
    from descant.reproduce._common.tables import Measured

SCALES = {
    "quick": Scale(
        "quick",
        servers=(5, 20, 50, 200),
        seeds=2,
        iterations={"published": 8, "descant": 8, "moved": 8, "mappo": 20, "ippo": 20},
        rollouts={0: 4, 20: 2, 200: 1},
        fewer={50: 12, 200: 4},
        largest={"published": 20, "mappo": 20, "ippo": 20},
        values={"train.validation": 4},
    ),
    "full": Scale(
        "full",
        servers=(5, 10, 20, 50, 100, 200),
        seeds=5,
        iterations={"descant": 40, "moved": 40, "mappo": 100, "ippo": 100},
    ),
}
METHODS = (PUBLISHED, DESCANT, MAPPO, IPPO)
SCORED = (PUBLISHED, DESCANT, MOVED, MAPPO, IPPO)
"""A policy that moves has no curve and no clock of its own at the sizes it moves to."""
BASE_RULES = {"best-fit": "Best-Fit", "random": "Random"}
"""The rules of the paper, and how it writes them."""


def jobs(scale: Scale) -> list[Job]:
    """Training, held-out scores and rules at every size."""
    found: list[Job] = []
    for servers in scale.servers:
        found += [run(method, servers, scale) for method in at(servers, scale, SCORED)]
        found += [score(method, servers, scale) for method in at(servers, scale, SCORED)]
        found.append(world(servers, scale))
    return found


def at(servers: int, scale: Scale, methods: Sequence[Method] = METHODS) -> list[Method]:
    """Methods that are run at a size."""
    return [method for method in methods if servers in scale.sizes(method.key)]


def run(method: Method, servers: int, scale: Scale) -> Train:
    """The training run of a method at a size."""
    return training(method, servers, scale)


def score(method: Method, servers: int, scale: Scale) -> Score:
    """Its policies on held-out scenarios."""
    return scoring(run(method, servers, scale), scale, servers)


def world(servers: int, scale: Scale) -> Rules:
    """The rules there, and what no policy can exceed."""
    return rules(run(DESCANT, servers, scale), scale, bound=True)


def standing(
    servers: int, scale: Scale, found: "Found", method: Method
) -> tuple[str, "Measured", float]:
    """The best rule, a method minus it, and the probability of improvement."""
    mine, rule = score(method, servers, scale), world(servers, scale)
    best = found.best_rule(rule)
    return best, found.beyond(mine, rule, best), found.wins(mine, rule, best)


def notes(scale: Scale) -> Iterator[str]:
    """What was chosen."""
    yield from shrunk(scale)
    yield (
        "DG-PG faithful is the preset `published` (perceptron, sampled guidance, Table 7); DG-PG "
        f"descant is this library's, trained at the size itself, or at N = {HOME} as the preset "
        "`descant` does; its agents ask the model as they choose, and need it when they act."
    )
    for method, largest in scale.largest.items():
        if largest < max(scale.servers):
            yield f"At this scale {method} is run up to N = {largest}; larger sizes with --full."
    if scale.fewer:
        few = ", ".join(f"{count} from N = {size}" for size, count in scale.fewer.items())
        yield f"Held-out scenarios: {scale.scenarios}; {few}."
    yield (
        "Learners are chosen on validation scenarios and scored on held-out ones that neither "
        "training nor selection sees; the paper does not say on which scenarios its best "
        "checkpoints were chosen."
    )
    yield (
        "MAPPO and IPPO here have descant's network and the stabilisers of the paper's linear "
        "ones: a fixed entropy bonus, 20 passes of the critic and 3 of the actor in minibatches of "
        "about 10,000 decisions, and 2.5 times the iterations of DG-PG."
    )
