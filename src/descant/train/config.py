"""How long and how wide to train; the same for every domain and algorithm."""

from dataclasses import dataclass

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
    """Scenarios on which the rules are measured before training, for the live gap; 0 for none."""
    scenarios: int = 40
    """Held-out scenarios of the comparison at the end; 0 leaves it out."""
    max_bad: int = 10
    """Stop after this many iterations in a row whose update was not finite and was left out."""

    def validate(self) -> None:
        """Check ranges.

        Raises:
            UserError: a value is out of its range; the field is named.
        """
        for name in ("iterations", "rollouts", "period", "keep", "max_bad"):
            if getattr(self, name) < 1:
                raise UserError(f"train.{name}: expected at least 1, got {getattr(self, name)}.")
        for name in ("steps", "validation", "scenarios"):
            if getattr(self, name) < 0:
                raise UserError(f"train.{name}: expected at least 0, got {getattr(self, name)}.")
