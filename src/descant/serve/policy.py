"""A trained policy as a plain function of what the agents see."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from jaxtyping import Array, Int

from descant.core.domain import Domain
from descant.core.errors import UserError
from descant.core.types import Key, Observation, PyTree
from descant.train.trained import load_trained


class Policy:
    """A joint policy: `action = policy(observation)`.

    Agents in order take their most likely actions; agents that choose all at once draw, with a
    fixed seed unless a key is given, so equal observations get equal answers. `greedy=True` takes
    the most likely actions in any case.
    """

    def __init__(
        self,
        act: Callable,
        best: Callable,
        informed: Callable,
        listen: Callable,
        memory: PyTree,
        domain: Domain,
        iteration: int,
    ):
        self._act = act
        self._best = best
        self._listen = listen
        self.memory = memory
        """What agents remember before an episode; None for those that do not."""
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
        """One action per agent slot; those of inactive slots mean nothing.

        Raises:
            UserError: the agents remember, and the observation does not say what.
        """
        import jax

        if self.memory is not None and observation.memory is None:
            raise UserError(
                "These agents remember: hand them what policy.listen(observation, memory) returns, "
                "beginning with policy.memory."
            )
        if greedy:
            return self._best(observation)
        return self._act(observation, jax.random.key(0) if key is None else key)

    def listen(self, observation: Observation, memory: PyTree) -> Observation:
        """What to hand to agents that remember (`--algorithm.net gru`): the observation, and in
        `observation.memory` what they remember from now on."""
        return self._listen(replace(observation, memory=memory))


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
        listen=jax.jit(lambda observation: policy.listen(observation)),
        memory=policy.begin(),
        domain=trained.domain,
        iteration=trained.selected[seed],
    )
