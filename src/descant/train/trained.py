"""A trained learner, read back from its run folder."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from descant.core import discovery
from descant.core.algorithm import AbstractAlgorithm, AbstractPolicy
from descant.core.domain import Domain
from descant.core.errors import UserError
from descant.core.types import PyTree
from descant.train.checkpoint import Checkpoint, CheckpointError, latest, load, restore
from descant.train.settings import Settings, with_values
from descant.train.toml import of_run


@dataclass(frozen=True)
class Trained:
    """Learners with everything needed to use them."""

    settings: Settings
    domain: Domain
    algorithm: AbstractAlgorithm
    learners: PyTree
    """One learner per seed, along a first axis S; the best on validation scenarios where
    `train.select` says so, else the last."""
    iteration: int
    """Iterations of the run."""
    selected: tuple[int, ...]
    """Iteration after which each seed's learner was kept."""

    def policy(self, seed: int = 0) -> AbstractPolicy:
        """The joint policy of one of the seeds trained side by side.

        Raises:
            UserError: the run has fewer seeds.
        """
        import jax

        self._refuse_unknown(seed)
        return self.algorithm.policy(jax.tree.map(lambda x: x[seed], self.learners))

    def untrained(self, seed: int = 0) -> AbstractPolicy:
        """The joint policy that one of the seeds began with.

        Raises:
            UserError: the run has fewer seeds.
        """
        import jax

        from descant.train.loop import learner_key

        self._refuse_unknown(seed)
        key = jax.random.split(jax.random.key(self.settings.seed), self.settings.seeds)[seed]
        return self.algorithm.policy(self.algorithm.init(learner_key(key)))

    def _refuse_unknown(self, seed: int) -> None:
        if not 0 <= seed < self.settings.seeds:
            raise UserError(f"The run has seeds 0 to {self.settings.seeds - 1}, got {seed}.")


def make(settings: Settings) -> tuple[Domain, AbstractAlgorithm]:
    """The domain and the algorithm that settings describe.

    Raises:
        UserError: a value cannot be used.
    """
    domain = discovery.load("domains", settings.domain_name).make(settings.domain)
    algorithm = discovery.load("algorithms", settings.algorithm_name)
    return domain, algorithm.make(settings.algorithm, domain)


def practice(settings: Settings) -> tuple[Domain, AbstractAlgorithm]:
    """The domain and the algorithm that training runs in: those of the settings, or with scenarios
    of many sizes where `train.servers` asks for them.

    Raises:
        UserError: a value cannot be used, or the domain or the network is of one size.
    """
    if settings.train.servers is None:
        return make(settings)
    names = {field.name for field in fields(settings.domain)}
    if not {"servers", "fewest"} <= names:
        raise UserError(f"train.servers: the domain {settings.domain_name!r} has no servers.")
    low, high = settings.train.servers
    ranged = replace(settings.domain, servers=high, fewest=low if low < high else 0)
    found = make(replace(settings, domain=ranged))
    if _weights(found[1]) != _weights(make(settings)[1]):
        raise UserError(
            "train.servers: this network is as wide as the world, so it can be trained at one size "
            "only; choose the pointer network."
        )
    return found


def _weights(algorithm: AbstractAlgorithm) -> list[tuple[int, ...]]:
    import jax

    learner = jax.eval_shape(algorithm.init, jax.random.key(0))
    return [leaf.shape for leaf in jax.tree.leaves(learner)]


def load_trained(
    run: Path, overrides: Mapping[str, Any] | None = None, iteration: int | None = None
) -> Trained:
    """The learners of a run's newest good checkpoint, in its own domain or a changed one.

    Args:
        run: the run folder.
        overrides: values by dotted name, `{"domain.servers": 50}`.
        iteration: whose checkpoint to take instead; `train.keep` says how many are kept.

    Raises:
        UserError: there is no run or no checkpoint, or its networks do not fit the changed domain.
        PlaceError: the folder cannot be read.
    """
    config = run / "config.toml"
    if not config.is_file():
        raise UserError(f"{run}: is no run folder, for it holds no config.toml.")
    settings = of_run(config)
    domain, algorithm = make(with_values(settings, overrides or {}))
    checkpoint = _checkpoint(run, iteration)
    template = _template(settings, algorithm)
    stored = {k: v for k, v in checkpoint.leaves.items() if k.split("/")[0] in template}
    try:
        found = restore(template, stored)
    except CheckpointError as error:
        if not overrides:
            raise
        changed = ", ".join(f"{name} = {value}" for name, value in overrides.items())
        raise UserError(
            f"{run}: its networks do not fit {changed}; they are bound to the size that they were "
            f"trained at. {error}"
        ) from error
    learners, selected = _selected(found, settings.seeds, checkpoint.step)
    return Trained(settings, domain, algorithm, learners, checkpoint.step, selected)


def _checkpoint(run: Path, iteration: int | None) -> Checkpoint:
    if iteration is not None:
        return load(run / "checkpoints" / f"{iteration:08d}")
    checkpoint, messages = latest(run / "checkpoints", readonly=True)
    if checkpoint is None:
        raise UserError(f"{run}: holds no checkpoint that can be used.", *messages)
    return checkpoint


def _template(settings: Settings, algorithm: AbstractAlgorithm) -> dict[str, PyTree]:
    """The part of a checkpoint that holds learners, filled with zeros."""
    import jax

    from descant.train.loop import unjudged

    def start(key):
        learner = algorithm.init(key)
        if settings.train.select == "last":
            return {"learner": learner}
        return {"learner": learner, "kept": unjudged(algorithm, learner)}

    keys = jax.random.split(jax.random.key(0), settings.seeds)
    return jax.tree.map(_blank, jax.eval_shape(jax.vmap(start), keys))


def _selected(found: dict[str, PyTree], seeds: int, step: int) -> tuple[PyTree, tuple[int, ...]]:
    """The learners to use and their iterations; the last ones where there was no validation."""
    import jax
    import jax.numpy as jnp

    last, kept = found["learner"], found.get("kept")
    if kept is None:
        return last, (step,) * seeds
    judged = kept.iteration > 0

    def pick(best, last):
        return jnp.where(judged.reshape(-1, *[1] * (last.ndim - 1)), best, last)

    iterations = jnp.where(judged, kept.iteration, step)
    return jax.tree.map(pick, kept.learner, last), tuple(map(int, iterations))


def _blank(shape: Any) -> Any:
    import jax.numpy as jnp

    return jnp.zeros(shape.shape, shape.dtype)
