"""Google Research Football: its scenarios as PettingZoo environments, and so as worlds.

Starting an engine takes half a second and 50 MB; loading a game into one, a tenth of a tick and
40 KB. So one engine plays all games, each for a tick in turn.
"""

import os
import threading
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from descant.bridges.extras import library, missing

try:
    from gymnasium import spaces
    from pettingzoo import ParallelEnv
except ModuleNotFoundError as error:
    raise missing("pettingzoo") from error

ACTIONS = 19
"""Nothing, eight directions, three passes, a shot, a slide, sprint, dribble, and ends of some."""
FEATURES = 115
"""Of `simple115v2`: players, ball and their speeds, who has it, which player one is, the mode."""
QUIET = {"SDL_VIDEODRIVER": "dummy", "SDL_NO_SIGNAL_HANDLERS": "1"}
"""No window is opened, and signals are left to who trains."""

ByAgent = dict[str, Any]
"""Something for each agent, by name."""


class Engine:
    """What plays games of a scenario, one at a time."""

    def __init__(self, scenario: str, players: int):
        for name, value in QUIET.items():
            os.environ.setdefault(name, value)
        create = library("gfootball.env").create_environment
        with warnings.catch_warnings():
            # Of the interface that it has itself.
            warnings.simplefilter("ignore", DeprecationWarning)
            self.env = create(
                env_name=scenario,
                representation="simple115v2",
                rewards="scoring,checkpoints",
                number_of_left_players_agent_controls=players,
            )
        self.scenario, self.players = scenario, players
        self.busy = threading.Lock()


class Pitch(ParallelEnv):
    """A game in which agents play some of the left team.

    Each gets 1 for a goal, -1 for one of the other side, and 0.1 for each of ten distances to the
    goal at which it is the first time with the ball; with a goal come those that are left. A goal
    and what else a scenario ends at terminates the game, its clock truncates.
    """

    def __init__(self, engine: Engine):
        self.metadata: dict[str, Any] = {"name": engine.scenario, "render_modes": []}
        self.possible_agents = [f"player_{i}" for i in range(engine.players)]
        self.agents = []
        self._engine = engine
        self._view = spaces.Box(-np.inf, np.inf, (FEATURES,), np.float32)
        self._choice = spaces.Discrete(ACTIONS)

    def observation_space(self, agent: str) -> spaces.Space:
        return self._view

    def action_space(self, agent: str) -> spaces.Space:
        return self._choice

    def reset(
        self, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[ByAgent, ByAgent]:
        """A kick-off; without a seed, another one each time."""
        drawn = int(np.random.default_rng(seed).integers(2**31))
        # The engine would go on with the order of teams that its first seed gave.
        chance = {"game_engine_random_seed": drawn, "reverse_team_processing": bool(drawn % 2)}
        env = self._engine.env
        with self._engine.busy:
            env.unwrapped._config.update(chance)
            seen = env.reset()
            self._game = env.get_state()
            # A tick that nobody keeps: gfootball fails where the first after a kick-off ends a
            # game, and the next to be played may be any other game's last.
            env.step([0] * self._engine.players)
        self.agents = list(self.possible_agents)
        return self._views(seen), {agent: {} for agent in self.agents}

    def step(self, actions: ByAgent) -> tuple[ByAgent, ByAgent, ByAgent, ByAgent, ByAgent]:
        """A tenth of a second."""
        env, names = self._engine.env, self.possible_agents
        with self._engine.busy:
            env.set_state(self._game)
            seen, reward, done, info = env.step([int(actions[agent]) for agent in names])
            left = env.unwrapped.observation()[0]["steps_left"]
            self._game = env.get_state()
        goal = info["score_reward"]
        late = done and left <= 0 and not goal
        self.agents = [] if done else list(names)
        rewards = dict(zip(names, np.ravel(reward).tolist(), strict=True))
        ended, cut = dict.fromkeys(names, done and not late), dict.fromkeys(names, late)
        infos = {agent: {"success": float(goal > 0)} for agent in names}
        return self._views(seen), rewards, ended, cut, infos

    def _views(self, rows: np.ndarray) -> ByAgent:
        """Rows by agent; a player alone is given no axis of players."""
        names = self.possible_agents
        return dict(zip(names, np.reshape(rows, (len(names), FEATURES)), strict=True))
