"""Training in the memory of one process or of several, period by period; nothing is written."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from descant.core.algorithm import AbstractAlgorithm
from descant.core.domain import Domain
from descant.core.errors import Diverged
from descant.core.types import PyTree
from descant.train.checkpoint import flatten, restore
from descant.train.devices import Devices, mesh, provide
from descant.train.hosts import Team
from descant.train.loop import SITES, compile_period, everywhere, plan, start
from descant.train.settings import Settings
from descant.train.signals import Stop
from descant.train.trained import make, practice
from descant.train.verdict import Verdict

Judge = Callable[[PyTree], Verdict]
"""What a learner is worth on validation scenarios."""


@dataclass(frozen=True)
class Period:
    """Some iterations that were computed in one call."""

    done: int
    """Iterations of the run so far."""
    rows: list[dict[str, Any]]
    """One record per iteration, with one number per seed."""
    leaves: dict[str, np.ndarray] | None
    """The state to be stored; None for rank 0's helpers, and after divergence."""
    seconds: float
    """For one iteration."""
    speed: float
    """Ticks per second."""


class Training:
    """A run of all seeds, from its first iteration or from a checkpoint.

    Args:
        settings: everything that decides the run.
        devices: over how many devices of each process scenarios are spread.
        team: the processes that take part.
        judged: what scores learners where `train.select` asks for the best one.

    Raises:
        UserError: a value cannot be used, or devices and rollouts do not fit.
    """

    def __init__(
        self,
        settings: Settings,
        devices: Devices,
        team: Team,
        judged: Callable[[Domain, AbstractAlgorithm, Mesh | None], Judge],
    ):
        knobs = settings.train
        provide(devices)
        spread = mesh(devices, knobs.rollouts)
        domain, judging = make(settings)
        self.domain, algorithm = practice(settings)
        self.plan = plan(
            algorithm,
            self.domain.env,
            rollouts=knobs.rollouts,
            steps=knobs.steps,
            iterations=knobs.iterations,
            mesh=spread,
            judge=judged(domain, judging, spread) if knobs.select == "best" else None,
            every=knobs.every,
        )
        self.done = 0
        self.signal: int | None = None
        """What asked to stop."""
        self._settings = settings
        self._team = team
        self._runs, self._keys = start(self.plan, settings.seed, settings.seeds)
        self._compiled: dict[int, Callable] = {}

    @property
    def devices(self) -> int:
        """Devices of all processes."""
        return 1 if self.plan.mesh is None else self.plan.mesh.size

    @property
    def weights(self) -> int:
        """Of one seed's policy."""
        policies = jax.eval_shape(jax.vmap(self.plan.algorithm.policy), self._runs.learner)
        return sum(x.size for x in jax.tree.leaves(policies)) // self._settings.seeds

    @property
    def size(self) -> int:
        """Bytes of a checkpoint."""
        return sum(x.nbytes for x in jax.tree.leaves(self._runs))

    def resume(self, done: int, leaves: Mapping[str, np.ndarray] | None) -> None:
        """Go on after `done` iterations from what rank 0 has read; others hand in None."""
        self.done = done
        if done:
            if not self._team.alone:
                leaves = self._team.handed(leaves, self._leaves())
            self._runs = restore(self._runs, leaves or {})

    def compile(self) -> None:
        """Compile what all periods need; they are equally long, but perhaps the last."""
        knobs = self._settings.train
        starts = range(self.done, knobs.iterations, knobs.period)
        for length in {min(knobs.period, knobs.iterations - at) for at in starts}:
            if length not in self._compiled:
                program = compile_period(self.plan, self._runs, self._keys, length)
                self._compiled[length] = program

    def periods(self, stop: Stop) -> Iterator[Period]:
        """Train to the end, or until somebody asks to stop; what is yielded is to be stored.

        Raises:
            Diverged: too many iterations in a row were not finite.
            WorkerLost: another process is gone.
        """
        self.compile()
        total = self._settings.train.iterations
        while self.done < total and not self._asked(stop):
            stop.idle = False
            period = self._advance(min(self._settings.train.period, total - self.done))
            yield period
            self._refuse_divergence(period.rows)
            self.done = period.done
            stop.idle = stop.requested is None
        stop.idle = True

    def _asked(self, stop: Stop) -> bool:
        """Whether anybody asked to stop; all processes do so after the same period."""
        self.signal = self._team.most(stop.requested or 0) or None
        return self.signal is not None

    def _advance(self, length: int) -> Period:
        begin = time.perf_counter()
        self._runs, metrics = self._compiled[length](self._runs, self._keys, np.int32(self.done))
        metrics = jax.device_get(metrics)
        seconds = (time.perf_counter() - begin) / length
        rows = self._rows(metrics, length)
        leaves = None if self._diverging(rows) else self._leaves()
        speed = self._settings.seeds * self.plan.rollouts * self.plan.steps / seconds
        return Period(self.done + length, rows, leaves, seconds, speed)

    def _leaves(self) -> dict[str, np.ndarray]:
        """The state on the host; scenarios under way on other machines are fetched."""
        runs = self._runs
        if not self._team.alone and runs.worlds is not None and self.plan.mesh is not None:
            fetch = jax.jit(lambda worlds: worlds, out_shardings=everywhere(self.plan.mesh))
            runs = runs._replace(worlds=fetch(runs.worlds))
        return flatten(runs)

    def _rows(self, metrics: Mapping[str, Any], length: int) -> list[dict[str, Any]]:
        total = self._settings.train.iterations
        return [
            {
                "iteration": self.done + i + 1,
                "progress": (self.done + i) / max(total - 1, 1),
                **{name: np.asarray(x[i], np.float64).tolist() for name, x in metrics.items()},
            }
            for i in range(length)
        ]

    def _diverging(self, rows: list[dict[str, Any]]) -> bool:
        return any(max(row["bad"]) >= self._settings.train.max_bad for row in rows)

    def _refuse_divergence(self, rows: list[dict[str, Any]]) -> None:
        limit = self._settings.train.max_bad
        for row in rows:
            if max(row["bad"]) < limit:
                continue
            seed = row["bad"].index(max(row["bad"]))
            site = SITES[int(row["site"][seed]) - 1]
            good = f"The checkpoint of iteration {self.done} is good."
            world = site in ("reward", "observation", "context", "probes", "state")
            cure = "Look at the domain, where it comes from." if world else "Lower learning rates."
            raise Diverged(
                f"Iteration {row['iteration']}, seed {seed}: {limit} iterations in a row were not "
                f"finite and were left out; NaN or infinity first stood in the {site}. "
                f"{good if self.done else 'Nothing was saved.'} {cure}"
            )
