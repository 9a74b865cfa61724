"""Who does the jobs of a sweep: processes of this machine, or a Ray cluster."""

import abc
import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Generator, Hashable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from descant.core.errors import DescantError, UserError
from descant.sweep.trials import Job
from descant.train.place import cores
from descant.train.signals import Stop

PAUSE = 0.1
"""Seconds from one look at the jobs to the next."""


class Pool(abc.ABC):
    """Does jobs, `workers` of them at a time."""

    def __init__(self, workers: int):
        self.workers = workers
        self._running: dict[Hashable, Job] = {}

    @abc.abstractmethod
    def start(self, job: Job) -> Hashable:
        """Begin a job; returns what stands for it."""

    @abc.abstractmethod
    def ended(self, running: Sequence[Any]) -> Sequence[Any]:
        """Those that have ended, after a short wait."""

    @abc.abstractmethod
    def code(self, ended: Any, job: Job) -> int:
        """The exit code of a job that has ended; below 0 the signal that ended it."""

    @abc.abstractmethod
    def interrupt(self, running: Any, number: int) -> None:
        """Ask a job to save and stop; SIGKILL ends it at once."""

    def run(self, jobs: Sequence[Job], stop: Stop) -> Generator[tuple[Job, int], None, None]:
        """Each job with its exit code as it ends; after a request to stop no other is begun."""
        waiting = deque(jobs)
        asked = False
        try:
            while self._running or (waiting and not stop.requested):
                while waiting and len(self._running) < self.workers and not stop.requested:
                    job = waiting.popleft()
                    self._running[self.start(job)] = job
                if stop.requested and not asked:
                    asked = True
                    self.interrupt_all(stop.requested)
                for handle in self.ended(list(self._running)):
                    job = self._running.pop(handle)
                    yield job, self.code(handle, job)
        finally:
            # Nobody is left to note how they end.
            self.interrupt_all(signal.SIGTERM)

    def interrupt_all(self, number: int) -> None:
        """Hand a signal to every job that runs."""
        for handle in list(self._running):
            self.interrupt(handle, number)

    def kill(self) -> None:
        """End every job that runs, at once."""
        self.interrupt_all(signal.SIGKILL)


class Local(Pool):
    """Processes of this machine, in groups of their own: a terminal's Ctrl-C is handed on, once."""

    def start(self, job: Job) -> subprocess.Popen:
        with job.log.open("wb") as log:
            return subprocess.Popen(
                job.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | shared(self.workers),
                process_group=0,
            )

    def ended(self, running: Sequence[subprocess.Popen]) -> Sequence[subprocess.Popen]:
        done = [process for process in running if process.poll() is not None]
        if not done:
            time.sleep(PAUSE)
        return done

    def code(self, ended: subprocess.Popen, job: Job) -> int:
        return ended.wait()

    def interrupt(self, running: subprocess.Popen, number: int) -> None:
        running.send_signal(number)


class Ray(Pool):
    """Tasks of a Ray cluster whose machines see the folders of this one.

    Raises:
        UserError: Ray is not installed.
    """

    def __init__(self, workers: int):
        super().__init__(workers)
        try:
            self._ray: Any = import_module("ray")
        except ImportError as error:
            raise UserError(
                "--on ray: Ray is not installed; pip install 'descant[ray]' does it, and --on "
                "local goes without."
            ) from error
        self._ray.init(ignore_reinit_error=True)

    def start(self, job: Job) -> Hashable:
        return self._ray.remote(perform).remote(job.command, job.log, Path.cwd())

    def ended(self, running: Sequence[Any]) -> Sequence[Any]:
        return self._ray.wait(list(running), num_returns=1, timeout=PAUSE)[0]

    def code(self, ended: Any, job: Job) -> int:
        try:
            return self._ray.get(ended)
        except self._ray.exceptions.TaskCancelledError:
            return 128 + signal.SIGTERM
        except self._ray.exceptions.RayError as error:
            job.log.write_text(f"{error}\n", encoding="utf-8")
            return DescantError.code

    def interrupt(self, running: Any, number: int) -> None:
        self._ray.cancel(running, force=number == signal.SIGKILL)


def perform(command: Sequence[str], log: Path, place: Path) -> int:
    """Do a job where a task of a cluster runs; returns its exit code."""
    with log.open("wb") as out:
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, cwd=place
        ).returncode


def shared(workers: int) -> dict[str, str]:
    """Environment in which workers side by side share the cores; one alone takes what it does."""
    if workers == 1 or "NPROC" in os.environ:
        return {}
    return {"NPROC": str(max(1, cores() // workers))}


POOLS = {"local": Local, "ray": Ray}
