"""What `gfootball.env.create_environment` gives, where the package is not built: the same calls and
shapes, and a game that a test can foresee. Its engine, too, keeps the order of teams that its first
seed gave, unless told, and breaks down where the first tick after a kick-off ends a game, whichever
game that is."""

import copy
from types import SimpleNamespace

import numpy as np

RIGHT, SHOT = 5, 12
LENGTH = 12
"""Ticks of the game's clock."""
REACH = 0.5
"""From where on a shot is a goal; before, the other side scores."""


class Game:
    """The ball goes right by as many players as run there; some wind helps, or does not."""

    def __init__(self, players: int):
        self.players = players
        self._config: dict = {"reverse_team_processing": None}
        self.unwrapped = self

    def reset(self):
        seed = self._config["game_engine_random_seed"]
        if self._config["reverse_team_processing"] is None:
            self._config["reverse_team_processing"] = bool(seed % 2)
        self.wind = np.random.default_rng(seed)
        self.order = float(self._config["reverse_team_processing"])
        self.ball, self.time, self.over = 0.1 * self.wind.random(), 0, False
        self.played = 0
        return self._rows()

    def step(self, actions):
        assert not self.over, "reset it first"
        assert len(actions) == self.players
        assert all(type(a) is int and 0 <= a < 19 for a in actions)
        self.time += 1
        self.ball += 0.1 * actions.count(RIGHT) + 0.02 * self.wind.random()
        goal = (1 if self.ball > REACH else -1) if SHOT in actions else 0
        self.over = bool(goal) or self.time == LENGTH
        self.played += 1
        assert not (self.over and self.played == 1), "nothing is left to write to"
        reward = np.full(self.players, goal, np.float32)
        reward[0] += 0.1 * actions.count(RIGHT)
        told = reward if self.players > 1 else reward[0]
        return self._rows(), told, self.over, {"score_reward": goal}

    def get_state(self):
        kept = self.wind.bit_generator.state, self.order, self.ball, self.time, self.over
        return copy.deepcopy(kept)

    def set_state(self, state):
        kept, self.order, self.ball, self.time, self.over = copy.deepcopy(state)
        self.wind.bit_generator.state = kept

    def observation(self):
        return [{"steps_left": LENGTH - self.time} for _ in range(self.players)]

    def _rows(self):
        rows = np.full((self.players, 115), -1, np.float32)
        rows[:, 88], rows[:, 0] = self.ball, self.order
        rows[:, 97:108] = np.eye(11)[: self.players]
        return rows if self.players > 1 else rows[0]


def module() -> SimpleNamespace:
    """Stands for `gfootball.env`; `games` are those made so far."""
    games: list[Game] = []

    def create_environment(
        *, env_name, representation, rewards, number_of_left_players_agent_controls
    ):
        assert env_name.startswith("academy_")
        assert (representation, rewards) == ("simple115v2", "scoring,checkpoints")
        games.append(Game(number_of_left_players_agent_controls))
        return games[-1]

    return SimpleNamespace(create_environment=create_environment, games=games)
