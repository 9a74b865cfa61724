"""A PettingZoo environment with all that can make trouble: unequal agents, masks, a death, chance,
and two ways to end."""

from typing import Any

import numpy as np
from gymnasium import spaces
from pettingzoo import ParallelEnv


class Pair(ParallelEnv):
    """A total wanders. `tall` pushes it by 1 to 3, the largest push at even ticks only; `small`
    sees less, and may leave. A total from `goal` on ends the episode, `length` ticks cut it off."""

    def __init__(self, length: int = 6, goal: float = 100.0):
        self.metadata: dict[str, Any] = {"name": "pair", "render_modes": []}
        self.length, self.goal = length, goal
        self.possible_agents = ["tall", "small"]
        self.agents = []
        mask = spaces.MultiBinary(3)
        self._seen = {
            "tall": spaces.Dict({"observation": _box(2), "action_mask": mask}),
            "small": _box(1),
        }
        self._acts = {"tall": spaces.Discrete(3, start=1), "small": spaces.Discrete(2)}

    def observation_space(self, agent):
        return self._seen[agent]

    def action_space(self, agent):
        return self._acts[agent]

    def reset(self, seed=None, options=None):
        self.chance = np.random.default_rng(seed)
        self.time, self.total = 0, self.chance.normal()
        self.agents = list(self.possible_agents)
        return self._tell(), {agent: {} for agent in self.agents}

    def step(self, actions):
        assert actions.keys() == set(self.agents)
        assert self.time % 2 == 0 or actions["tall"] < 3, "the mask forbids it"
        self.time += 1
        self.total += actions["tall"] + self.chance.normal()
        over, late = bool(self.total >= self.goal), self.time >= self.length
        leaves = actions.get("small") == 1
        gone = {agent: over or (agent == "small" and leaves) for agent in self.agents}
        cut = dict.fromkeys(self.agents, late and not over)
        told, rewards = self._tell(), {agent: float(self.total) for agent in self.agents}
        infos = {agent: {} for agent in self.agents}
        self.agents = [agent for agent in self.agents if not (gone[agent] or cut[agent])]
        return told, rewards, gone, cut, infos

    def state(self):
        return np.array([self.total, self.time])

    def _tell(self):
        mask = np.array([1, 1, self.time % 2 == 0], np.int8)
        own = np.array([self.total, self.time], np.float32)
        told = {"tall": {"observation": own, "action_mask": mask}, "small": own[:1]}
        return {agent: told[agent] for agent in self.agents}


def _box(size: int) -> spaces.Box:
    return spaces.Box(-np.inf, np.inf, (size,), np.float32)
