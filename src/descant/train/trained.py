"""A trained learner, read back from its run folder."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from descant.core import discovery
from descant.core.algorithm import AbstractAlgorithm, AbstractPolicy
from descant.core.domain import Domain
from descant.core.errors import UserError
from descant.core.types import PyTree
from descant.train.checkpoint import CheckpointError, latest, restore
from descant.train.settings import Settings, with_values
from descant.train.toml import from_toml


@dataclass(frozen=True)
class Trained:
    """Learners with everything needed to use them."""

    settings: Settings
    domain: Domain
    algorithm: AbstractAlgorithm
    learners: PyTree
    """One learner per seed, along a first axis S."""
    iteration: int

    def policy(self, seed: int = 0) -> AbstractPolicy:
        """The joint policy of one of the seeds trained side by side.

        Raises:
            UserError: the run has fewer seeds.
        """
        import jax

        if not 0 <= seed < self.settings.seeds:
            raise UserError(f"The run has seeds 0 to {self.settings.seeds - 1}, got {seed}.")
        return self.algorithm.policy(jax.tree.map(lambda x: x[seed], self.learners))


def make(settings: Settings) -> tuple[Domain, AbstractAlgorithm]:
    """The domain and the algorithm that settings describe.

    Raises:
        UserError: a value cannot be used.
    """
    domain = discovery.load("domains", settings.domain_name).make(settings.domain)
    algorithm = discovery.load("algorithms", settings.algorithm_name)
    return domain, algorithm.make(settings.algorithm, domain)


def load_trained(run: Path, overrides: Mapping[str, Any] | None = None) -> Trained:
    """The learners of a run's newest good checkpoint, in its own domain or a changed one.

    Args:
        run: the run folder.
        overrides: values by dotted name, `{"domain.servers": 50}`.

    Raises:
        UserError: there is no run or no checkpoint, or its networks do not fit the changed domain.
        PlaceError: the folder cannot be read.
    """
    import jax

    config = run / "config.toml"
    if not config.is_file():
        raise UserError(f"{run}: is no run folder, for it holds no config.toml.")
    settings = from_toml(config)
    domain, algorithm = make(with_values(settings, overrides or {}))
    checkpoint, messages = latest(run / "checkpoints", readonly=True)
    if checkpoint is None:
        raise UserError(f"{run}: holds no checkpoint that can be used.", *messages)
    keys = jax.random.split(jax.random.key(0), settings.seeds)
    template = {"learner": jax.eval_shape(jax.vmap(algorithm.init), keys)}
    stored = {k: v for k, v in checkpoint.leaves.items() if k.startswith("learner/")}
    try:
        learners = restore(jax.tree.map(_blank, template), stored)["learner"]
    except CheckpointError as error:
        if not overrides:
            raise
        changed = ", ".join(f"{name} = {value}" for name, value in overrides.items())
        raise UserError(
            f"{run}: its networks do not fit {changed}; they are bound to the size that they were "
            f"trained at. {error}"
        ) from error
    return Trained(settings, domain, algorithm, learners, checkpoint.step)


def _blank(shape: Any) -> Any:
    import jax.numpy as jnp

    return jnp.zeros(shape.shape, shape.dtype)
