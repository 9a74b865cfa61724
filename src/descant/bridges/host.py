"""Living copies of a parallel environment, on the host's side of a compiled program."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
from gymnasium import spaces
from jaxtyping import Array, Bool, Float
from pettingzoo import ParallelEnv

from descant.bridges.rows import kinds
from descant.core.errors import UserError


class Seen(NamedTuple):
    """What a tick of a foreign world gives, as arrays of the host or of a program."""

    local: Float[Any, "*batch N D"]
    globals: Float[Any, "*batch G"]
    mask: Bool[Any, "*batch N A"]
    active: Bool[Any, "*batch N"]
    reward: Float[Any, "*batch"]
    terminated: Bool[Any, "*batch"]
    truncated: Bool[Any, "*batch"]
    outcomes: Float[Any, "*batch O"]


class Copy:
    """One copy, read in rows; agents that are not there have zeros."""

    def __init__(
        self, env: ParallelEnv, team: Literal["sum", "mean"], outcomes: tuple[str, ...] = ()
    ):
        self._env, self._team, self._outcomes = env, team, outcomes
        env.reset(seed=0)
        self.agents = list(env.possible_agents)
        self._views = [_own(env.observation_space(agent)) for agent in self.agents]
        self._acts = [env.action_space(agent) for agent in self.agents]
        self.continuous = isinstance(self._acts[0], spaces.Box)
        for agent, space in zip(self.agents, self._acts, strict=True):
            _check(agent, space, self.continuous)
        self._choices = [_sides(space) for space in self._acts]
        lengths = [int(spaces.flatdim(view)) for view in self._views]
        self._width = max(lengths)
        self.groups = kinds(list(zip(lengths, self._choices, strict=True)))

    def open(self, seed: int) -> Seen:
        """A scenario."""
        told, infos = self._env.reset(seed=seed)
        live = set(self._env.agents)
        return Seen(
            local=self._local(told),
            globals=self._globals(),
            mask=self._mask(told, infos),
            active=self._among(live),
            reward=np.float32(0),
            terminated=np.bool_(False),
            truncated=np.bool_(False),
            outcomes=self._said({}),
        )

    def move(self, row: np.ndarray, last: Seen) -> Seen:
        """A tick; what has ended stays as it is and gives nothing."""
        live = list(self._env.agents)
        if not live:
            return last._replace(reward=np.float32(0))
        pairs = zip(self.agents, row, self._acts, strict=True)
        actions = {agent: _action(x, space) for agent, x, space in pairs if agent in live}
        told, rewards, _, cut, infos = self._env.step(actions)
        over, cut_off = not self._env.agents, {agent for agent in live if cut.get(agent)}
        return Seen(
            local=self._local(told),
            # Some have no state without agents.
            globals=last.globals if over else self._globals(),
            mask=self._mask(told, infos),
            # Of those that a clock cuts off, the value of what would follow is asked for.
            active=self._among(cut_off if over else set(self._env.agents)),
            reward=np.float32(sum(rewards.values()) / (len(live) if self._team == "mean" else 1)),
            terminated=np.bool_(over and not cut_off),
            truncated=np.bool_(over and bool(cut_off)),
            outcomes=self._said(infos),
        )

    def _said(self, infos: Mapping[str, Any]) -> np.ndarray:
        """Outcomes, the most that somebody says of each."""
        said = [
            max((info.get(name, 0) for info in infos.values()), default=0)
            for name in self._outcomes
        ]
        return np.array(said, np.float32)

    def _among(self, some: set[str]) -> np.ndarray:
        return np.array([agent in some for agent in self.agents])

    def _local(self, told: Mapping[str, Any]) -> np.ndarray:
        rows = np.zeros((len(self.agents), self._width), np.float32)
        for i, (agent, view) in enumerate(zip(self.agents, self._views, strict=True)):
            if agent in told:
                row: Any = spaces.flatten(view, _part(told[agent], "observation"))
                rows[i, : len(row)] = row
        return rows

    def _mask(self, told: Mapping[str, Any], infos: Mapping[str, Any]) -> np.ndarray:
        """Masks stand in the observation or beside it, or are not needed."""
        rows = np.arange(max(self._choices)) < np.array(self._choices)[:, None]
        if self.continuous:
            return rows
        for i, agent in enumerate(self.agents):
            for said in (told.get(agent), infos.get(agent)):
                if isinstance(said, Mapping) and "action_mask" in said:
                    rows[i, : self._choices[i]] = np.asarray(said["action_mask"], bool)
        return rows

    def _globals(self) -> np.ndarray:
        try:
            return np.asarray(self._env.state(), np.float32).reshape(-1)
        except NotImplementedError:
            return np.zeros(0, np.float32)


def _own(space: spaces.Space) -> spaces.Space:
    return (
        space["observation"]
        if isinstance(space, spaces.Dict) and "observation" in space.spaces
        else space
    )


def _part(said: Any, name: str) -> Any:
    return said[name] if isinstance(said, Mapping) and name in said else said


def _check(agent: str, space: spaces.Space, continuous: bool) -> None:
    good = isinstance(space, spaces.Discrete)
    if continuous:
        good = isinstance(space, spaces.Box) and len(space.shape) == 1 and space.is_bounded()
    if not good:
        raise UserError(
            f"{agent} acts in {space}; descant bridges environments in which every agent chooses "
            "one of some actions (Discrete), or every one a bounded row of numbers (Box)."
        )


def _sides(space: spaces.Space) -> int:
    """Choices, or numbers of a row."""
    return int(space.n) if isinstance(space, spaces.Discrete) else int(spaces.flatdim(space))


def _action(x: np.ndarray, space: spaces.Space) -> Any:
    """An agent's action as its space has it; sides that it lacks are left out."""
    if isinstance(space, spaces.Box):
        share = (np.clip(x[: space.shape[0]], -1, 1) + 1) / 2
        return (space.low + share * (space.high - space.low)).astype(space.dtype)
    return int(x + getattr(space, "start", 0))


class Host:
    """Copies under the seed and the actions that made them, the least recently asked for go first.

    Called with what worlds have behind them, it tells what they are like.
    """

    def __init__(
        self,
        make: Callable[[], ParallelEnv],
        team: Literal["sum", "mean"],
        most: int,
        outcomes: tuple[str, ...] = (),
    ):
        self._make, self._most = lambda: Copy(make(), team, outcomes), most
        self._living: OrderedDict[bytes, tuple[Copy, Seen]] = OrderedDict()
        self._lock = threading.Lock()
        self.replayed = 0
        """Ticks that had to be played again."""
        first = self._make()
        self._idle = [first]
        self.agents, self.groups, self.continuous = first.agents, first.groups, first.continuous
        self.shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), first.open(0))

    def __call__(self, seed: Array, history: Array, time: Array) -> Seen:
        """Worlds after the first `time` rows of their histories, whatever the axes in front."""
        seeds, histories, times = (np.asarray(x) for x in (seed, history, time))
        worlds = np.ndindex(times.shape)
        found = [self._after(int(seeds[i]), histories[i][: times[i]]) for i in worlds]
        return jax.tree.map(
            lambda *rows: np.stack(rows).reshape(times.shape + rows[0].shape), *found
        )

    def _after(self, seed: int, history: np.ndarray) -> Seen:
        now, before = _name(seed, history), _name(seed, history[:-1])
        with self._lock:
            if now in self._living:
                self._living.move_to_end(now)
                return self._living[now][1]
            found = self._living.pop(before, None) if len(history) else None
        copy, seen = found or self._replay(seed, history[:-1])
        if len(history):
            seen = copy.move(history[-1], seen)
        with self._lock:
            self._living[now] = copy, seen
            while len(self._living) > self._most:
                self._idle.append(self._living.popitem(last=False)[1][0])
        return seen

    def _replay(self, seed: int, history: np.ndarray) -> tuple[Copy, Seen]:
        with self._lock:
            self.replayed += len(history)
            copy = self._idle.pop() if self._idle else None
        copy = copy or self._make()
        seen = copy.open(seed)
        for row in history:
            seen = copy.move(row, seen)
        return copy, seen


def _name(seed: int, history: np.ndarray) -> bytes:
    return hashlib.blake2b(seed.to_bytes(8) + history.tobytes(), digest_size=16).digest()
