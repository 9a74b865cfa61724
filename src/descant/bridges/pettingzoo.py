"""PettingZoo: domains as parallel environments, and parallel environments as domains."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt

from descant.bridges.extras import missing
from descant.bridges.rows import legal, views, world_row
from descant.core.domain import Domain
from descant.core.env import AbstractEnv
from descant.core.types import Action, Key, Observation, Spec, Step, World
from descant.ops.rules import anything_legal, anywhere

try:
    from gymnasium import spaces
    from pettingzoo import ParallelEnv

    from descant.bridges.host import Host, Seen
except ModuleNotFoundError as error:
    raise missing("pettingzoo") from error

ByAgent = dict[str, Any]
"""Something for each agent, by name."""


class Parallel(ParallelEnv):
    """A domain as a PettingZoo environment.

    Agents stay for the whole episode; while one rests, its mask leaves it the first action, and
    `infos` say so. Points of continuous actions need no mask. All get the team's reward. `state()`
    is what a critic may see.
    """

    render_mode = None

    def __init__(self, domain: Domain, seed: int | None = None):
        spec, env = domain.env.spec, domain.env
        self.metadata = {"name": domain.name, "render_modes": [], "is_parallelizable": True}
        self.possible_agents = [f"agent_{i}" for i in range(spec.agents)]
        self.agents = []
        self._spec, self._chance = spec, np.random.default_rng(seed)
        self._reset = jax.jit(lambda key: env.reset(key))
        self._step = jax.jit(lambda *given: env.step(*given))
        first = jax.eval_shape(env.reset, jax.random.key(0))[1]
        blank = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), first)
        self.state_space = _reals(_whole(blank).size)
        self._mask = {} if spec.continuous else {"action_mask": spaces.MultiBinary(spec.actions)}
        seen = {"observation": _reals(views(blank, spec).shape[1]), **self._mask}
        self.observation_spaces = {a: spaces.Dict(seen) for a in self.possible_agents}
        self.action_spaces = {a: _acts(spec) for a in self.possible_agents}

    def observation_space(self, agent: str) -> spaces.Space:
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Space:
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[ByAgent, ByAgent]:
        """A scenario; without a seed, another one each time."""
        if seed is not None:
            self._chance = np.random.default_rng(seed)
        self._key, key = jax.random.split(jax.random.key(self._chance.integers(2**32)))
        self._state, seen = self._reset(key)
        self.agents = list(self.possible_agents)
        return self._tell(jax.device_get(seen), {})

    def step(self, actions: ByAgent) -> tuple[ByAgent, ByAgent, ByAgent, ByAgent, ByAgent]:
        """One tick.

        Raises:
            KeyError: an agent has no action.
            ValueError: a choice is none of those there are.
            RuntimeError: the episode is over, or none was begun.
        """
        if not self.agents:
            raise RuntimeError("No episode is under way; call reset() first.")
        kind = np.float32 if self._spec.continuous else np.int32
        chosen = np.array([actions[agent] for agent in self.agents], kind)
        if not self._spec.continuous:
            self._check(chosen)
        self._key, key = jax.random.split(self._key)
        self._state, step = self._step(key, self._state, chosen)
        step = jax.device_get(step)
        diagnostics = {name: float(value) for name, value in step.diagnostics.items()}
        seen, infos = self._tell(step.observation, diagnostics)
        told = float(step.reward), bool(step.terminated), bool(step.truncated)
        reward, terminated, truncated = (dict.fromkeys(self.agents, value) for value in told)
        if step.terminated or step.truncated:
            self.agents = []
        return seen, reward, terminated, truncated, infos

    def _check(self, chosen: np.ndarray) -> None:
        for agent, action in zip(self.agents, chosen.tolist(), strict=True):
            if not 0 <= action < self._spec.actions:
                most = self._spec.actions - 1
                raise ValueError(f"{agent}: expected an action from 0 to {most}, got {action}.")

    def state(self) -> np.ndarray:
        """All own views, and the world, in one row."""
        return _whole(self._seen)

    def _tell(self, seen: Observation, diagnostics: dict[str, float]) -> tuple[ByAgent, ByAgent]:
        self._seen = seen
        view, mask = views(seen, self._spec), legal(seen, self._spec)
        told, infos = {}, {}
        for i, agent in enumerate(self.agents):
            told[agent] = {"observation": view[i], **dict.fromkeys(self._mask, mask[i])}
            infos[agent] = {"active": bool(seen.active[i]), **diagnostics}
        return told, infos


def _whole(seen: Observation) -> np.ndarray:
    own = np.asarray(seen.local, np.float32).reshape(-1)
    return np.concatenate([own, world_row(seen.world)])


def _acts(spec: Spec) -> spaces.Space:
    if spec.continuous:
        return spaces.Box(-1.0, 1.0, (spec.actions,), np.float32)
    return spaces.Discrete(spec.actions)


def _reals(size: int) -> spaces.Box:
    return spaces.Box(-np.inf, np.inf, (size,), np.float32)


class State(NamedTuple):
    """All that a foreign world is: its seed, and what was done in it so far."""

    seed: UInt[Array, ""]
    history: Int[Array, "T N"] | Float[Array, "T N A"]
    time: Int[Array, ""]
    active: Bool[Array, " N"]


class Foreign(AbstractEnv):
    """A PettingZoo environment behind a call to the host.

    The state says how a world came about, and the host keeps the living copy. So a step is a pure
    function: what is asked twice, put aside, or read from a checkpoint is played again.
    """

    spec: Spec = eqx.field(static=True)
    host: Host = eqx.field(static=True)

    def reset(self, key: Key) -> tuple[State, Observation]:
        """The environment's own reset, with a seed drawn from the key."""
        # Foreign seeds are often signed.
        seed = jax.random.bits(key, dtype=jnp.uint32) >> 1
        history = self._blank()
        seen = self._ask(seed, history, jnp.int32(0))
        return State(seed, history, jnp.int32(0), seen.active), _observed(seen)

    def step(self, key: Key, state: State, action: Action) -> tuple[State, Step]:
        """The environment's own step; what is random in it comes from its seed."""
        active = state.active.reshape(-1, *[1] * (action.ndim - 1))
        row = jnp.where(active, action, 0)
        history, time = state.history.at[state.time].set(row), state.time + 1
        seen = self._ask(state.seed, history, time)
        late = (time >= self.spec.horizon) & ~seen.terminated
        step = Step(
            observation=_observed(seen),
            reward=seen.reward,
            terminated=seen.terminated,
            truncated=seen.truncated | late,
            diagnostics={name: seen.outcomes[..., i] for i, name in enumerate(self.spec.outcomes)},
        )
        return State(state.seed, history, time, seen.active), step

    def _blank(self) -> Array:
        size = self.spec.horizon, self.spec.agents
        if self.spec.continuous:
            return jnp.zeros((*size, self.spec.actions))
        return jnp.zeros(size, jnp.int32)

    def _ask(self, *how: Array) -> Seen:
        # Scenarios and seeds side by side come as one call, however they are nested.
        return jax.pure_callback(self.host, self.host.shapes, *how, vmap_method="broadcast_all")


def _observed(seen: Seen) -> Observation:
    world = World(entities=jnp.zeros((0, 0)), globals=seen.globals)
    return Observation(local=seen.local, world=world, mask=seen.mask, active=seen.active)


def domain_of(
    make: Callable[[], ParallelEnv],
    *,
    name: str,
    horizon: int,
    fixed: bool = False,
    team: Literal["sum", "mean"] = "sum",
    most: int = 1024,
    outcomes: tuple[str, ...] = (),
) -> Domain:
    """A parallel environment as a domain.

    Args:
        make: a new copy of the environment, each time.
        name: of the domain.
        horizon: ticks after which an episode is cut off.
        fixed: whether every episode lasts that long.
        team: what the team gets of its agents' rewards.
        most: copies that are kept alive; at least twice as many as scenarios are side by side, or
            ticks are played again and again.
        outcomes: numbers in agents' `infos` that say how an episode ended; the most that an agent
            says counts, and 0 where none does.

    Raises:
        UserError: an agent acts in a space that is no Discrete and no bounded row, or in another
            kind of space than others.
    """
    host = Host(make, team, most, outcomes)
    shapes = host.shapes
    spec = Spec(
        agents=len(host.agents),
        actions=shapes.mask.shape[1],
        horizon=horizon,
        local=shapes.local.shape[1],
        entities=0,
        features=0,
        globals=shapes.globals.shape[0],
        fixed=fixed,
        shared=False,
        continuous=host.continuous,
        groups=host.groups,
        outcomes=outcomes,
    )
    return Domain(
        name=name,
        env=Foreign(spec=spec, host=host),
        rules={"random": anywhere(spec.actions) if spec.continuous else anything_legal},
        headline="random",
    )
