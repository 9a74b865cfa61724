"""Results of jobs, read as curves and scores."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from descant.evaluate.statistics import (
    interval,
    paired_difference,
    probability_of_improvement,
    stratified_interval,
)
from descant.reproduce._common.jobs import Job, Rules, Score, Train
from descant.reproduce._common.tables import Measured

Array = NDArray[np.float64]

CLOSE = 0.1
"""Converged: within this share of the best; Yang & Liu (2026), appendix K."""
LAST = 0.1
"""Share of training whose mean is the final reward."""


@dataclass(frozen=True)
class Trained:
    """A training run."""

    record: Mapping[str, Any]

    @cached_property
    def reward(self) -> Array:
        """Mean training reward per tick, `[T, S]`."""
        return self.metric("return")

    @property
    def iterations(self) -> Array:
        """1 to T."""
        return np.arange(1, len(self.reward) + 1, dtype=np.float64)

    @property
    def settings(self) -> Mapping[str, Any]:
        """Every setting by dotted name."""
        return self.record["settings"]

    @property
    def seeds(self) -> int:
        """Learners."""
        return self.settings["seeds"]

    def metric(self, name: str) -> Array:
        """A metric `[T, S]`; NaN where nothing finite was recorded."""
        rows = self.record["metrics"].get(name, [])
        return np.array([[np.nan] * self.seeds if r is None else r for r in rows], np.float64)

    def final(self) -> Measured:
        """Mean reward over the last tenth of training, with its interval over seeds."""
        last = max(1, round(LAST * len(self.reward)))
        return over(np.nanmean(self.reward[-last:], axis=0))

    def highest(self) -> float:
        """The best reward of an iteration, averaged over seeds."""
        return float(np.nanmax(self.reward, axis=0).mean())

    def best(self) -> Measured:
        """The best reward of an iteration, with its interval over seeds."""
        return over(np.nanmax(self.reward, axis=0))

    def reached(self, level: float | None = None) -> Measured | None:
        """The first iteration within 10 % of a level, or of each seed's own best; None if some
        seed never was."""
        best = np.nanmax(self.reward, axis=0) if level is None else np.full(self.seeds, level)
        near = self.reward >= best - CLOSE * np.abs(best)
        if not near.any(axis=0).all():
            return None
        return over(1.0 + near.argmax(axis=0))

    def overhead(self) -> float | None:
        """Seconds of the starts that were not spent in iterations: compilation, mostly."""
        starts = self.record["starts"]
        return sum(s["seconds"] - s["iterating"] for s in starts) if starts else None

    def iteration_seconds(self) -> float | None:
        """Median wall-clock seconds of one iteration, all seeds together."""
        seconds = self.record["seconds"]
        return float(np.median(seconds)) if seconds else None

    def peak(self) -> int | None:
        """Largest resident memory in bytes while it trained."""
        known = [s["peak_bytes"] for s in self.record["starts"] if s["peak_bytes"]]
        return max(known, default=None)


class Found:
    """All results of a target."""

    def __init__(self, results: Mapping[str, Mapping[str, Any]]):
        self._results = results
        self._trained: dict[str, Trained] = {}

    def of(self, job: Job) -> Mapping[str, Any]:
        """The result of any job."""
        return self._results[job.name]

    def trained(self, job: Train) -> Trained:
        """A training run."""
        return self._trained.setdefault(job.name, Trained(self.of(job)))

    def held_out(self, job: Score) -> Measured:
        """Mean reward of a run's policies with its interval over scenarios; seeds are averaged
        first."""
        return over(self._scores(job).mean(axis=0))

    def middle(self, job: Score) -> Measured:
        """Interquartile mean over seeds and scenarios; the stratified interval is over seeds."""
        return Measured(**stratified_interval(self._scores(job)))

    def deviation(self, job: Score) -> float:
        """Standard deviation over scenarios, seeds averaged first."""
        return float(self._scores(job).mean(axis=0).std(ddof=1))

    def rule(self, job: Rules, name: str) -> Measured:
        """A rule's mean reward with its interval over scenarios."""
        return over(self._rules(job)[name])

    def rule_deviation(self, job: Rules, name: str) -> float:
        """A rule's standard deviation over scenarios."""
        return float(self._rules(job)[name].std(ddof=1))

    def bound(self, job: Rules) -> float | None:
        """What no policy can exceed, on average over the scenarios; None where it is unknown."""
        found = self.of(job).get("bound")
        return None if found is None else found["mean"]

    def best_rule(self, job: Rules) -> str:
        """The rule with the best mean."""
        rules = self._rules(job)
        return max(rules, key=lambda name: float(rules[name].mean()))

    def beyond(self, job: Score, other: Job, name: str = "") -> Measured:
        """Learned minus a rule, or minus another run, scenario by scenario; above 0: better."""
        ours = self._scores(job).mean(axis=0)
        theirs = self._values(other, name).mean(axis=0)
        return Measured(**paired_difference(ours, theirs))

    def wins(self, job: Score, other: Job, name: str = "") -> float:
        """Probability of improvement over a rule or another run."""
        return probability_of_improvement(self._scores(job), self._values(other, name))

    def _values(self, job: Job, name: str) -> Array:
        if isinstance(job, Score):
            return self._scores(job)
        return np.atleast_2d(np.array(self.of(job)["values"][name], np.float64))

    def _scores(self, job: Score) -> Array:
        return np.array(self.of(job)["values"], np.float64)

    def _rules(self, job: Rules) -> dict[str, Array]:
        return {k: np.array(v, np.float64) for k, v in self.of(job)["values"].items()}


def over(values: Any) -> Measured:
    """Mean of independent values with its 95 % interval."""
    return Measured(**interval(values))
