"""A trained policy as a plain function of what the agents see."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from jaxtyping import Array, Int

from descant.core.domain import Domain
from descant.core.types import Key, Observation
from descant.train.trained import load_trained


class Policy:
    """A joint policy: `action = policy(observation)`.

    Agents in order take their most likely actions; agents that choose all at once draw, with a
    fixed seed unless a key is given, so equal observations get equal answers. `greedy=True` takes
    the most likely actions in any case.
    """

    def __init__(
        self, act: Callable, best: Callable, informed: Callable, domain: Domain, iteration: int
    ):
        self._act = act
        self._best = best
        self.informed = informed
        """`(state, observation) -> observation`: what to hand to agents who ask the analytic model
        as they choose (`--algorithm.heed`); for others it changes nothing."""
        self.domain = domain
        """The domain it was trained for, or the one asked for."""
        self.iteration = iteration
        """Iterations of training behind it."""

    def __call__(
        self, observation: Observation, key: Key | None = None, *, greedy: bool = False
    ) -> Int[Array, " N"]:
        """One action per agent slot; those of inactive slots mean nothing."""
        import jax

        if greedy:
            return self._best(observation)
        return self._act(observation, jax.random.key(0) if key is None else key)


def load_policy(run: str | Path, *, seed: int = 0, **overrides: Any) -> Policy:
    """The policy of a run folder, from its newest good checkpoint.

    Args:
        run: the run folder.
        seed: which of the seeds trained side by side.
        overrides: another size to act at, `servers=50` for `domain.servers`.

    Raises:
        UserError: there is no such run or seed, or its networks do not fit the other size.
        PlaceError: the folder cannot be read.
    """
    import jax

    named = {name if "." in name else f"domain.{name}": x for name, x in overrides.items()}
    trained = load_trained(Path(run), named)
    policy = trained.policy(seed)
    return Policy(
        act=jax.jit(lambda observation, key: policy.act(observation, key)),
        best=jax.jit(lambda observation: policy.best(observation)),
        informed=policy.informed,
        domain=trained.domain,
        iteration=trained.selected[seed],
    )
