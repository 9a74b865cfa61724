"""JaxMARL's environments as worlds, inside compiled programs.

JaxMARL speaks in dictionaries by agent; here agents are rows. The state is JaxMARL's own, and a
tick is one call of its `step_env` with the tick's key, so episodes are JaxMARL's to the bit. It
starts anew by itself in `step`, which is not called: the collector decides when.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from descant.bridges.extras import library
from descant.bridges.rows import kinds
from descant.core.domain import Domain, Rule
from descant.core.env import AbstractEnv
from descant.core.types import Action, Key, Observation, PyTree, Spec, Step, World
from descant.ops.rules import anything_legal, anywhere


class Particles(AbstractEnv):
    """A particle world in which all agents want the same.

    The team's reward is the sum of theirs, as JaxMARL's log of these worlds reports it. Only the
    horizon ends an episode, and truncates it.
    """

    spec: Spec = eqx.field(static=True)
    inner: Any = eqx.field(static=True)
    """JaxMARL's environment; it holds no state."""
    mask: Bool[Array, "#N A"]

    def reset(self, key: Key) -> tuple[PyTree, Observation]:
        """As JaxMARL draws it."""
        seen, state = call(self.inner.reset, key)
        return state, self.observe(state, seen)

    def step(self, key: Key, state: PyTree, action: Action) -> tuple[PyTree, Step]:
        """As JaxMARL moves it."""
        agents = self.inner.agents
        said = by_name(action, agents)
        if self.spec.continuous:
            # JaxMARL's cube goes from 0 to 1, and has fewer sides for some agents.
            space = self.inner.action_space
            unit = {a: (jnp.clip(point, -1, 1) + 1) / 2 for a, point in said.items()}
            said = {agent: point[: space(agent).shape[0]] for agent, point in unit.items()}
        seen, state, reward, done, _ = call(self.inner.step_env, key, state, said)
        return state, Step(
            observation=self.observe(state, seen),
            reward=jnp.sum(rows(reward, agents)),
            terminated=jnp.bool_(False),
            truncated=done["__all__"],
            diagnostics={},
        )

    def observe(self, state: PyTree, seen: Mapping[str, Array]) -> Observation:
        """What JaxMARL shows each agent; critics also see where all are and how they move."""
        moving = state.p_vel[: self.spec.agents]
        return Observation(
            local=padded(seen, self.inner.agents, self.spec.local),
            world=_world(jnp.concatenate([state.p_pos.reshape(-1), moving.reshape(-1)])),
            mask=self.mask,
            active=jnp.ones((self.spec.agents,), bool),
        )


class Battle(AbstractEnv):
    """SMAX: our units against a script.

    JaxMARL gives all our units, dead ones included, the same reward, and that is the team's. One
    side's death terminates, the horizon truncates. Dead units rest.
    """

    spec: Spec = eqx.field(static=True)
    inner: Any = eqx.field(static=True)
    """JaxMARL's environment; it holds no state."""

    def reset(self, key: Key) -> tuple[PyTree, Observation]:
        """As JaxMARL draws it."""
        seen, state = call(self.inner.reset, key)
        return state, self.observe(state, seen)

    def step(self, key: Key, state: PyTree, action: Action) -> tuple[PyTree, Step]:
        """As JaxMARL moves it."""
        agents = self.inner.agents
        # JaxMARL would remember what dead units choose; they stop, as its mask tells them to.
        stop = self.inner.num_movement_actions - 1
        said = by_name(jnp.where(self.ours(state), action, stop), agents)
        seen, state, reward, done, _ = call(self.inner.step_env, key, state, said)
        ours, theirs = self.ours(state), self.theirs(state)
        over = ~jnp.any(ours) | ~jnp.any(theirs)
        return state, Step(
            observation=self.observe(state, seen),
            reward=reward[agents[0]],
            terminated=over,
            truncated=done["__all__"] & ~over,
            diagnostics={
                "won": (jnp.any(ours) & ~jnp.any(theirs)).astype(jnp.float32),
                "ours": jnp.mean(ours.astype(jnp.float32)),
                "theirs": jnp.mean(theirs.astype(jnp.float32)),
            },
        )

    def observe(self, state: PyTree, seen: Mapping[str, Array]) -> Observation:
        """What JaxMARL shows each unit, and once its state of the world."""
        agents = self.inner.agents
        return Observation(
            local=padded(seen, agents, self.spec.local),
            world=_world(seen["world_state"]),
            mask=rows(call(self.inner.get_avail_actions, state), agents).astype(bool),
            active=self.ours(state),
        )

    def ours(self, state: PyTree) -> Bool[Array, " N"]:
        """Which of our units live."""
        return state.state.unit_alive[: self.spec.agents]

    def theirs(self, state: PyTree) -> Bool[Array, " K"]:
        """Which of the others live."""
        return state.state.unit_alive[self.spec.agents :]


def call(function: Callable, *given: Any) -> Any:
    """A function of JaxMARL's, which lets ranks be promoted, even where that is forbidden."""
    with jax.numpy_rank_promotion("allow"):
        return function(*given)


def rows(by_agent: Mapping[str, Array], agents: Sequence[str]) -> Array:
    """What JaxMARL gives by name, one row per agent."""
    return jnp.stack([by_agent[agent] for agent in agents])


def by_name(action: Action, agents: Sequence[str]) -> dict[str, Array]:
    """Rows as JaxMARL takes them."""
    return {agent: action[i] for i, agent in enumerate(agents)}


def padded(seen: Mapping[str, Array], agents: Sequence[str], length: int) -> Float[Array, "N D"]:
    """Views, shorter ones filled up with zeros."""
    return jnp.stack([jnp.pad(seen[a], (0, length - seen[a].shape[0])) for a in agents])


def named(
    name: str,
    *,
    map_name: str = "3m",
    agents: int = 0,
    horizon: int = 0,
    continuous: bool = False,
) -> Domain:
    """The domain of a JaxMARL environment by its name; zeros take JaxMARL's own numbers, and only
    its particle worlds have continuous actions here.

    Raises:
        UserError: JaxMARL is not installed.
    """
    make = library("jaxmarl").make
    if name == "SMAX":
        maps = library("jaxmarl.environments.smax").map_name_to_scenario
        limit = {"max_steps": horizon} if horizon else {}
        return battle(make("HeuristicEnemySMAX", scenario=maps(map_name), **limit))
    # Its particle worlds look at the clock before it moves, so they last a tick longer.
    limit = {"max_steps": horizon - 1} if horizon else {}
    many = {"num_agents": agents, "num_landmarks": agents} if agents else {}
    kind = {"action_type": "Continuous"} if continuous else {}
    return particles(make(name, **limit, **many, **kind))


def particles(inner: Any) -> Domain:
    """A particle world of JaxMARL's as a domain."""
    agents, spaces = inner.agents, [inner.action_space(agent) for agent in inner.agents]
    continuous = not hasattr(spaces[0], "n")
    choices = [space.shape[0] if continuous else space.n for space in spaces]
    views = [inner.observation_space(agent).shape[0] for agent in agents]
    mask = np.arange(max(choices)) < np.array(choices)[:, None]
    spec = Spec(
        agents=len(agents),
        actions=max(choices),
        horizon=inner.max_steps + 1,
        local=max(views),
        entities=0,
        features=0,
        globals=2 * inner.num_entities + 2 * len(agents),
        shared=False,
        continuous=continuous,
        groups=kinds(list(zip(views, choices, strict=True))),
    )
    # One row says it for all.
    mask = mask[:1] if mask.all() else mask
    return _domain(Particles(spec=spec, inner=inner, mask=jnp.asarray(mask)), {})


def battle(inner: Any) -> Domain:
    """JaxMARL's HeuristicEnemySMAX with discrete actions, as a domain."""
    first = inner.agents[0]
    spec = Spec(
        agents=inner.num_allies,
        actions=inner.action_space(first).n,
        horizon=inner.max_steps,
        local=inner.observation_space(first).shape[0],
        entities=0,
        features=0,
        globals=inner.state_size,
        fixed=False,
        shared=False,
        outcomes=("won",),
    )
    return _domain(Battle(spec=spec, inner=inner), {"scripted": scripted(inner)})


def scripted(inner: Any) -> Rule:
    """How JaxMARL's script plays the other side, on ours and without its memory: shoot the closest,
    else walk towards an enemy in sight, else across the middle."""
    module = library("jaxmarl.environments.smax.heuristic_enemy")
    policy = module.create_heuristic_policy(inner, 0)

    def rule(state: PyTree, observation: Observation, key: Key) -> Int[Array, " N"]:
        def one(key, local):
            return call(policy, key, module.get_heuristic_policy_initial_state(), local)[0]

        keys = jax.random.split(key, observation.active.shape[0])
        return jax.vmap(one)(keys, observation.local).astype(jnp.int32)

    return rule


def _domain(env: AbstractEnv, rules: Mapping[str, Rule]) -> Domain:
    anything = anywhere(env.spec.actions) if env.spec.continuous else anything_legal
    named = {"random": anything, **rules}
    figures = ("ours", "theirs") if env.spec.outcomes else ()
    return Domain(name="jaxmarl", env=env, rules=named, headline=list(named)[-1], figures=figures)


def _world(row: Float[Array, " G"]) -> World:
    """A world without entities."""
    return World(entities=jnp.zeros((0, 0)), globals=row)
