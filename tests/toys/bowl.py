"""Agents push a point into a bowl: a quadratic team reward whose best joint point is known."""

from dataclasses import dataclass

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from scipy.optimize import lsq_linear

from descant.core.domain import Domain
from descant.core.env import AbstractEnv
from descant.core.types import Observation, Spec, Step, World
from descant.ops.rules import anywhere


@dataclass(frozen=True)
class Config:
    agents: int = 2
    actions: int = 2
    reach: float = 1.8
    """How far the unconstrained optimum may lie from the middle, along each axis."""
    draw: int = 0


class Bowl(AbstractEnv):
    """One tick: $r = -|M u - b|^2$ of all agents' points in one row."""

    spec: Spec = eqx.field(static=True)
    shape: Float[Array, "M M"]
    goal: Float[Array, " M"]

    def reset(self, key):
        return jnp.int32(0), self.observe()

    def step(self, key, state: Int[Array, ""], action):
        point = jnp.clip(action, -1, 1).reshape(-1)
        reward = -jnp.sum((self.shape @ point - self.goal) ** 2)
        yes, no = jnp.bool_(True), jnp.bool_(False)
        return state + 1, Step(self.observe(), reward, yes, no, {})

    def observe(self) -> Observation:
        return Observation(
            local=jnp.eye(self.spec.agents),
            world=World(entities=jnp.zeros((0, 0)), globals=jnp.zeros((0,))),
            mask=jnp.ones((1, self.spec.actions), bool),
            active=jnp.ones((self.spec.agents,), bool),
        )


def make(config: Config) -> Domain:
    size = config.agents * config.actions
    rng = np.random.default_rng(config.draw)
    shape = np.eye(size) + 0.3 * rng.normal(size=(size, size))
    goal = shape @ rng.uniform(-config.reach, config.reach, size)
    spec = Spec(
        agents=config.agents,
        actions=config.actions,
        horizon=1,
        local=config.agents,
        entities=0,
        features=0,
        globals=0,
        shared=False,
        continuous=True,
    )
    env = Bowl(spec=spec, shape=jnp.float32(shape), goal=jnp.float32(goal))
    return Domain(name="bowl", env=env, rules={"random": anywhere(config.actions)})


def optimum(domain: Domain) -> tuple[Float[np.ndarray, "N A"], float]:
    """The best joint point of the cube, and its reward."""
    env, spec = domain.env, domain.env.spec
    assert isinstance(env, Bowl)
    found = lsq_linear(np.asarray(env.shape, float), np.asarray(env.goal, float), (-1, 1))
    return found.x.reshape(spec.agents, spec.actions), -2 * found.cost
