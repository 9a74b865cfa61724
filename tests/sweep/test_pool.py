"""Processes side by side, asked to stop once, and the same through a stand-in for Ray."""

import signal
import sys
import time
from types import ModuleType, SimpleNamespace

import pytest

from descant.core.errors import UserError
from descant.sweep.pool import Local, Ray, perform, shared
from descant.train.signals import Stop

POLITE = """
import signal, sys, time
signal.signal(signal.SIGINT, lambda *_: sys.exit(130))
print("ready", flush=True)
time.sleep(60)
"""


@pytest.fixture
def job(tmp_path):
    """A job that runs a piece of Python."""
    made = []

    def job(code):
        made.append(code)
        log = tmp_path / f"{len(made)}.log"
        return SimpleNamespace(command=[sys.executable, "-c", code], log=log)

    return job


def until(true, seconds=20):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_every_job_ends_with_its_code_and_words(job):
    jobs = [job("print('hello')"), job("raise SystemExit(4)"), job("import os; os.abort()")]
    ends = {id(job): code for job, code in Local(1).run(jobs, Stop())}
    assert [ends[id(job)] for job in jobs] == [0, 4, -signal.SIGABRT]
    assert jobs[0].log.read_text() == "hello\n"


def test_workers_are_at_work_at_the_same_time(job, tmp_path):
    """Each waits for the other's file."""
    wait = """
import time, pathlib
pathlib.Path({!r}).touch()
while not pathlib.Path({!r}).exists():
    time.sleep(0.02)
"""
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    jobs = [job(wait.format(a, b)), job(wait.format(b, a))]
    assert [code for _, code in Local(2).run(jobs, Stop())] == [0, 0]


def test_a_request_to_stop_is_handed_on_and_nothing_else_begins(job):
    stop, jobs, pool = Stop(), [job(POLITE), job("print('never')")], Local(1)
    ended = pool.ended

    def asked(running):
        if "ready" in jobs[0].log.read_text():
            stop.requested = signal.SIGINT
        return ended(running)

    pool.ended = asked
    assert [code for _, code in pool.run(jobs, stop)] == [130]
    assert not jobs[1].log.exists()


def test_nobody_is_left_when_the_sweep_fails(job):
    pool, polite = Local(2), job(POLITE.replace("SIGINT", "SIGTERM"))
    ends = pool.run([polite, job("")], Stop())
    assert next(ends)[1] == 0
    (process,) = pool._running
    until(lambda: "ready" in polite.log.read_text())
    ends.close()
    assert process.wait(20) == 130


def test_kill_ends_at_once(job):
    pool, polite = Local(1), job(POLITE)
    ended = pool.ended

    def killed(running):
        pool.kill()
        return ended(running)

    pool.ended = killed
    assert [code for _, code in pool.run([polite], Stop())] == [-signal.SIGKILL]


def test_workers_share_the_cores(monkeypatch):
    monkeypatch.setattr("descant.sweep.pool.cores", lambda: 8)
    monkeypatch.delenv("NPROC", raising=False)
    assert shared(1) == {}
    assert (shared(3), shared(16)) == ({"NPROC": "2"}, {"NPROC": "1"})
    monkeypatch.setenv("NPROC", "5")
    assert shared(3) == {}


@pytest.fixture
def ray(monkeypatch):
    """As much of Ray as the pool asks for; a task runs when somebody waits for it."""
    ray = ModuleType("ray")

    class RayError(Exception):
        pass

    class TaskCancelledError(RayError):
        pass

    ray.exceptions = SimpleNamespace(RayError=RayError, TaskCancelledError=TaskCancelledError)
    ray.cancelled = []
    ray.init = lambda ignore_reinit_error: None
    ray.remote = lambda function: SimpleNamespace(
        remote=lambda *args: (function, *args[1:], tuple(args[0]))
    )
    ray.wait = lambda refs, num_returns, timeout: (refs[:num_returns], refs[num_returns:])

    def get(ref):
        if ref in [cancelled for cancelled, _ in ray.cancelled]:
            raise TaskCancelledError
        function, log, place, command = ref
        if "lost" in command[-1]:
            raise RayError("A node died.")
        return function(command, log, place)

    ray.get = get
    ray.cancel = lambda ref, force: ray.cancelled.append((ref, force))
    monkeypatch.setitem(sys.modules, "ray", ray)
    return ray


def test_tasks_of_ray_are_the_same_jobs(job, ray):
    jobs = [job("print('there')"), job("raise SystemExit(4)"), job("'lost'")]
    assert [code for _, code in Ray(2).run(jobs, Stop())] == [0, 4, 5]
    assert [job.log.read_text() for job in jobs] == ["there\n", "", "A node died.\n"]


def test_tasks_of_ray_are_cancelled(job, ray):
    stop, pool = Stop(), Ray(2)
    ended = pool.ended

    def asked(running):
        stop.requested = signal.SIGINT
        return ended(running) if ray.cancelled else []

    pool.ended = asked
    codes = [code for _, code in pool.run([job(""), job(""), job("")], stop)]
    assert codes == [128 + signal.SIGTERM] * 2
    assert [force for _, force in ray.cancelled] == [False, False]


def test_ray_that_is_not_installed_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"pip install 'descant\[ray\]'"):
        Ray(1)


def test_a_task_runs_where_it_is_told(tmp_path):
    log = tmp_path / "log"
    code = perform([sys.executable, "-c", "import os; print(os.getcwd())"], log, tmp_path)
    assert (code, log.read_text().strip()) == (0, str(tmp_path))
