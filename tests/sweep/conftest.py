"""Trials of a small sweep, and a pool that only pretends to train."""

import pytest

from descant.sweep.pool import Pool
from descant.sweep.trials import Trial
from descant.train.folder import RunFolder
from descant.train.settings import defaults, with_values


@pytest.fixture
def trial():
    """A trial at one learning rate."""
    settings = with_values(defaults("matrix", "mappo"), {"train.scenarios": 0, "seeds": 2})

    def trial(rate, **more):
        values = {"algorithm.rate": rate, **more}
        found = with_values(settings, values)
        return Trial(values, tuple(f"--{n}={v}" for n, v in values.items()), found)

    return trial


class Pretended(Pool):
    """Jobs end at once: `outcomes` has rewards by learning rate, or an exit code."""

    def __init__(self, outcomes, workers=1, then=lambda: None):
        super().__init__(workers)
        self.outcomes, self.then = outcomes, then
        self.started, self.interrupted = [], []

    def start(self, job):
        assert len(self._running) < self.workers
        self.started.append(job.folder.name)
        return job.folder

    def ended(self, running):
        self.then()
        return running[:1]

    def code(self, ended, job):
        outcome = self.outcomes[job.trial.values["algorithm.rate"]]
        if isinstance(outcome, int):
            message = '{"kind": "error", "message": "It broke."}'
            job.log.write_text(f"Starting ...\n{message}\n")
            return outcome
        RunFolder(job.folder).write_json("validation.json", {"values": outcome})
        return 0

    def interrupt(self, running, number):
        self.interrupted.append((running.name, number))


@pytest.fixture
def pretended():
    return Pretended
