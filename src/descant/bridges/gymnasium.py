"""Gymnasium: scenarios of a domain, side by side, as a vector environment."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from descant.bridges.extras import missing
from descant.bridges.rows import legal
from descant.core.domain import Domain
from descant.core.env import AbstractEnv
from descant.core.types import Action, Key, Keys, Observation, PyTree, Spec, Step

try:
    from gymnasium import spaces
    from gymnasium.vector import AutoresetMode, VectorEnv
    from gymnasium.vector.utils import batch_space
except ModuleNotFoundError as error:
    raise missing("gymnasium") from error


class Worlds(NamedTuple):
    """Scenarios side by side."""

    state: PyTree
    observation: Observation
    over: Bool[Array, " E"]
    """Whose episode has ended; the next step starts another and does nothing else."""


class Vector(VectorEnv):
    """Scenarios of a domain, one joint action each.

    An action is [E, N], a choice of each agent, or [E, N, A], a point; rewards are the team's. A
    world whose episode has ended starts anew at the next step, whatever is chosen for it.
    """

    metadata: dict[str, Any] = {
        "autoreset_mode": AutoresetMode.NEXT_STEP,
        "render_modes": [],
    }

    def __init__(self, domain: Domain, scenarios: int):
        env, spec = domain.env, domain.env.spec
        self.num_envs = scenarios
        self._spec = spec
        self._open, self._step = jax.jit(partial(_opened, env)), jax.jit(partial(_stepped, env))
        first = jax.eval_shape(env.reset, jax.random.key(0))[1]
        blank = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), first)
        self.single_observation_space = spaces.Dict(
            {name: _space(value) for name, value in self._told(blank).items()}
        )
        self.single_action_space = _acts(spec)
        self.observation_space = batch_space(self.single_observation_space, scenarios)
        self.action_space = batch_space(self.single_action_space, scenarios)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Other scenarios; the same ones for the same seed."""
        super().reset(seed=seed)
        key = jax.random.key(self.np_random.integers(2**32))
        self._key, key = jax.random.split(key)
        self.worlds = self._open(jax.random.split(key, self.num_envs))
        return self._told(jax.device_get(self.worlds.observation)), {}

    def step(
        self, actions: np.ndarray
    ) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """One tick of every world."""
        ran = ~np.asarray(self.worlds.over)
        self._key, key = jax.random.split(self._key)
        chosen = jnp.asarray(actions, jnp.float32 if self._spec.continuous else jnp.int32)
        self.worlds, step = self._step(key, self.worlds, chosen)
        step = jax.device_get(step)
        infos = {}
        for name, value in step.diagnostics.items():
            infos |= {name: value, f"_{name}": ran}
        told = self._told(step.observation)
        return told, step.reward.astype(np.float64), step.terminated, step.truncated, infos

    def _told(self, seen: Observation) -> dict[str, np.ndarray]:
        world = seen.world
        parts = {"local": seen.local, "entities": world.entities, "globals": world.globals}
        if world.present is not None:
            parts["present"] = world.present
        rows = {name: np.asarray(part, np.float32) for name, part in parts.items()}
        flags = {"active": np.asarray(seen.active, np.int8)}
        if not self._spec.continuous:
            flags["mask"] = legal(seen, self._spec)
        return {name: part for name, part in (rows | flags).items() if part.size}


def _acts(spec: Spec) -> spaces.Space:
    if spec.continuous:
        return spaces.Box(-1.0, 1.0, (spec.agents, spec.actions), np.float32)
    return spaces.MultiDiscrete([spec.actions] * spec.agents)


def _space(value: np.ndarray) -> spaces.Space:
    if value.dtype == np.int8:
        return spaces.MultiBinary(value.shape)
    return spaces.Box(-np.inf, np.inf, value.shape, np.float32)


def _opened(env: AbstractEnv, keys: Keys) -> Worlds:
    return Worlds(*jax.vmap(env.reset)(keys), jnp.zeros(keys.shape, bool))


def _stepped(env: AbstractEnv, key: Key, worlds: Worlds, action: Action) -> tuple[Worlds, Step]:
    over = worlds.over
    step_keys, reset_keys = (jax.random.split(k, over.shape[0]) for k in jax.random.split(key))
    state, step = jax.vmap(env.step)(step_keys, worlds.state, action)
    after = Worlds(state, step.observation, step.terminated | step.truncated)

    def pick(new: Array, old: Array) -> Array:
        return jnp.where(over.reshape(-1, *[1] * (new.ndim - 1)), new, old)

    def renew(after: Worlds) -> Worlds:
        return jax.tree.map(pick, _opened(env, reset_keys), after)

    after = jax.lax.cond(jnp.any(over), renew, lambda after: after, after)
    said = Step(
        observation=after.observation,
        reward=jnp.where(over, 0.0, step.reward),
        terminated=step.terminated & ~over,
        truncated=step.truncated & ~over,
        diagnostics=step.diagnostics,
    )
    return after, said
