"""How long and how wide to train; the same for every domain and algorithm."""

from dataclasses import dataclass
from typing import Literal

from descant.core.errors import UserError


@dataclass(frozen=True)
class Train:
    """Training loop."""

    iterations: int = 10
    """Iterations in all; one iteration is some rollouts and one update."""
    rollouts: int = 4
    """Scenarios stepped side by side in one iteration, for each seed."""
    steps: int = 0
    """Ticks of one rollout; 0 takes the domain's horizon, so that a rollout is a whole episode."""
    period: int = 1
    """Iterations in one compiled call; between calls come records, checkpoints and progress."""
    keep: int = 3
    """Checkpoints kept; older ones are removed once a newer one is safely on disk."""
    validation: int = 8
    """Scenarios on which the rules are measured before training, for the live gap, and learners
    with `select best`, these at `domain.servers`; 0 for none."""
    select: Literal["last", "best"] = "last"
    """Which learner is kept for use: that of the last iteration, or the one that did best on
    validation scenarios: by its reward, or by the objective that the algorithm climbs instead;
    where there are constraints, the least violation counts first."""
    every: int = 5
    """Iterations from one validation to the next with `select best`; the last one is always
    validated."""
    scenarios: int = 40
    """Held-out scenarios of the comparison at the end; 0 leaves it out."""
    rules: tuple[str, ...] = ()
    """Rules to compare with, by name; all of the domain's when left out."""
    bound: bool = True
    """Compute in that comparison what no policy can exceed, where the domain knows it, and every
    policy's gap to it."""
    servers: tuple[int, int] | None = None
    """Fewest and most servers of a training scenario, such as 10..100: each draws its own number.
    The comparison at the end stays at `domain.servers`. For domains of servers and networks of any
    size."""
    max_bad: int = 10
    """Stop after this many iterations in a row whose update was not finite and was left out."""

    def validate(self) -> None:
        """Check ranges.

        Raises:
            UserError: a value is out of its range; the field is named.
        """
        for name in ("iterations", "rollouts", "period", "keep", "max_bad", "every"):
            if getattr(self, name) < 1:
                raise UserError(f"train.{name}: expected at least 1, got {getattr(self, name)}.")
        for name in ("steps", "validation", "scenarios"):
            if getattr(self, name) < 0:
                raise UserError(f"train.{name}: expected at least 0, got {getattr(self, name)}.")
        if self.servers is not None and not 1 <= self.servers[0] <= self.servers[1]:
            low, high = self.servers
            raise UserError(
                f"train.servers: expected two whole numbers, 1 <= low <= high, got {low}..{high}."
            )
        if self.select == "best" and not self.validation:
            raise UserError("train.select: best needs train.validation of at least 1.")
