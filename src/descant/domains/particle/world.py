"""The world of `particle`, whatever the task."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from descant.core.domain import Domain, Rule
from descant.core.env import AbstractEnv
from descant.core.types import Action, Key, Observation, Spec, Step, World
from descant.domains.particle import Config
from descant.domains.particle.physics import MOVES, advance, pushes, touching
from descant.domains.particle.rules import rules
from descant.domains.particle.tasks import TASKS, Task, anywhere, judge


class State(NamedTuple):
    """Where everything is; L landmarks."""

    position: Float[Array, "N 2"]
    velocity: Float[Array, "N 2"]
    landmarks: Float[Array, "L 2"]
    time: Int[Array, ""]
    over: Bool[Array, ""]
    """Whether the task is done: nothing moves any more, and nothing costs."""


class Particles(AbstractEnv):
    """Discs that push themselves about in an arena without walls."""

    spec: Spec = eqx.field(static=True)
    config: Config = eqx.field(static=True)

    @property
    def task(self) -> Task:
        """What agents are to do."""
        return TASKS[self.config.task]

    def reset(self, key: Key) -> tuple[State, Observation]:
        """Agents anywhere, at rest."""
        agents, task = self.spec.agents, self.task
        agent_key, landmark_key = jax.random.split(key)
        state = State(
            position=anywhere(agent_key, agents),
            velocity=jnp.zeros((agents, 2)),
            landmarks=task.place(landmark_key, task.landmarks or agents),
            time=jnp.int32(0),
            over=jnp.bool_(False),
        )
        return state, self.observe(state)

    def step(self, key: Key, state: State, action: Action) -> tuple[State, Step]:
        """Move, and pay for where everybody then is."""
        task = self.task
        moved = advance(state.position, state.velocity, pushes(action), task.radius)
        position, velocity = (
            jnp.where(state.over, old, new) for old, new in zip(state[:2], moved, strict=True)
        )
        outcome = judge(task, position, state.landmarks, self.config.local_ratio)
        time = state.time + 1
        over = jnp.bool_(False) if self.spec.fixed else state.over | outcome.success
        after = State(position, velocity, state.landmarks, time, over)
        collisions = jnp.sum(touching(position, task.radius)) / 2
        step = Step(
            observation=self.observe(after),
            reward=jnp.where(state.over, 0.0, outcome.reward),
            terminated=over,
            truncated=time >= self.spec.horizon,
            diagnostics={
                "distance": outcome.distance,
                "collisions": collisions.astype(jnp.float32),
                "success": outcome.success.astype(jnp.float32),
            },
        )
        return after, step

    def observe(self, state: State) -> Observation:
        """Own velocity and position, where landmarks and others are from here; all in units of the
        arena's half width."""
        position, agents = state.position, self.spec.agents
        seen = [state.landmarks[None] - position[:, None]]
        if self.config.others:
            seen.append(position[_others(agents)] - position[:, None])
        around = jnp.concatenate(seen, axis=1).reshape(agents, -1)
        everything = (position, state.velocity, state.landmarks)
        return Observation(
            local=jnp.concatenate([state.velocity, position, around], axis=-1),
            world=World(
                entities=jnp.zeros((0, 0)),
                globals=jnp.concatenate([x.reshape(-1) for x in everything]),
            ),
            mask=jnp.ones((1, self.spec.actions), bool),
            active=jnp.broadcast_to(~state.over, (agents,)),
        )


def _others(agents: int) -> Int[np.ndarray, "N M"]:
    """Each agent's others, in the order of all."""
    return np.array([[j for j in range(agents) if j != i] for i in range(agents)], int)


def _as_force(rule: Rule) -> Rule:
    """The same moves, as forces."""
    return lambda state, observation, key: pushes(rule(state, observation, key))


def build(config: Config, agents: int) -> Domain:
    """World and rules."""
    task = TASKS[config.task]
    marks = task.landmarks or agents
    fixed = config.task == "spread" or not config.early
    spec = Spec(
        agents=agents,
        actions=2 if config.push == "force" else len(MOVES),
        horizon=config.horizon,
        local=4 + 2 * marks + 2 * (agents - 1) * config.others,
        entities=0,
        features=0,
        globals=4 * agents + 2 * marks,
        fixed=fixed,
        shared=False,
        continuous=config.push == "force",
        outcomes=() if fixed else ("success",),
    )
    named = rules(task, agents)
    if spec.continuous:
        named = {name: _as_force(rule) for name, rule in named.items()}
    return Domain(
        name="particle",
        env=Particles(spec=spec, config=config),
        rules=named,
        headline="assigned" if "assigned" in named else "nearest",
        figures=("distance", "collisions", "success"),
    )
