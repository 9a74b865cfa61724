import errno
import fcntl
import json
import math
import os
import socket
import subprocess
import sys
import time
from contextlib import suppress

import numpy as np
import polars as pl
import pytest

from descant.core.errors import PlaceError, UserError
from descant.train.folder import RunFolder
from descant.train.storage import DISK


@pytest.fixture
def run(tmp_path):
    folder = RunFolder(tmp_path / "runs" / "a")
    folder.create()
    return folder


def test_creating_may_be_repeated(run):
    run.create()
    assert run.path.is_dir()


def test_a_file_is_no_run_folder(tmp_path):
    (tmp_path / "a").touch()
    with pytest.raises(UserError, match="a is a file; expected a folder"):
        RunFolder(tmp_path / "a").create()
    with pytest.raises(PlaceError, match="Not a directory"):
        RunFolder(tmp_path / "a" / "b").create()


def test_what_was_made_is_told_and_taken_back(tmp_path):
    folder = RunFolder(tmp_path / "runs" / "a" / "b")
    (tmp_path / "runs").mkdir()
    made = folder.create()
    assert made == [tmp_path / "runs" / "a" / "b", tmp_path / "runs" / "a"]
    assert folder.create() == []
    with folder.lock():
        folder.write_text("config.toml", "x")
        folder.withdraw(made, [folder.config, folder.run])
    assert list(tmp_path.rglob("*")) == [tmp_path / "runs"]


def test_where_anything_else_lies_all_of_it_stays(run, tmp_path):
    made = [run.path, run.path.parent]
    run.write_text("config.toml", "x")
    run.write_text("notes.txt", "mine")
    before = sorted(tmp_path.rglob("*"))
    run.withdraw(made, [run.config])
    assert sorted(tmp_path.rglob("*")) == before
    (run.path / "notes.txt").rename(run.path.parent / "notes.txt")
    run.withdraw(made, [run.config])
    assert sorted(tmp_path.rglob("*")) == [run.path.parent, run.path.parent / "notes.txt"]


# Records.


def test_rows_come_back_in_order(run):
    for iteration in (1, 2):
        run.append("metrics", {"iteration": iteration, "return": [0.5 * iteration]})
    assert run.rows("metrics") == [
        {"iteration": 1, "return": [0.5]},
        {"iteration": 2, "return": [1.0]},
    ]
    assert run.metrics.read_bytes().count(b"\n") == 2


def test_no_file_has_no_rows(run):
    assert run.rows("metrics") == []
    assert run.truncate("metrics", 0) == 0


def test_values_that_are_not_finite_become_null(run):
    row = {"a": math.nan, "b": [1.0, -math.inf], "c": np.array([np.inf, 2]), "d": np.float32(0.5)}
    run.append("metrics", row)
    assert run.rows("metrics") == [{"a": None, "b": [1.0, None], "c": [None, 2.0], "d": 0.5}]


def test_a_torn_last_line_is_ignored_and_then_written_over(run):
    run.append("metrics", {"iteration": 1})
    with run.metrics.open("ab") as file:
        file.write(b'{"iteration": 2, "ret')
    assert run.rows("metrics") == [{"iteration": 1}]
    run.append("metrics", {"iteration": 2})
    assert run.rows("metrics") == [{"iteration": 1}, {"iteration": 2}]


@pytest.mark.parametrize("line", ["{torn", "[1]", "", "\udcff"])
def test_a_bad_line_in_the_middle_is_named(run, line):
    run.metrics.write_bytes(
        b'{"iteration": 1}\n' + line.encode(errors="surrogateescape") + b"\n{}\n"
    )
    with pytest.raises(UserError, match=r"metrics\.jsonl, line 2: expected a JSON object"):
        run.rows("metrics")


def test_truncated_and_continued_equals_undisturbed(tmp_path):
    whole, resumed = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "resumed")
    rng = np.random.default_rng(0)
    rows = [{"iteration": n, "return": rng.normal(size=2)} for n in range(1, 11)]
    for folder in (whole, resumed):
        folder.create()
    for row in rows:
        whole.append("metrics", row)
    for row in rows[:8]:
        resumed.append("metrics", row)
    resumed.append("metrics", {"iteration": 9, "return": [0.0, 0.0]})
    assert resumed.truncate("metrics", 6) == 3
    assert resumed.truncate("metrics", 6) == 0
    for row in rows[6:]:
        resumed.append("metrics", row)
    assert resumed.metrics.read_bytes() == whole.metrics.read_bytes()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT, None])
def test_a_failing_append_is_told_and_leaves_the_log_intact(run, faulty, number):
    run.append("metrics", {"iteration": 1})
    nth, finished = 0, False
    while not finished:
        nth += 1
        storage = faulty(nth, number)
        before = run.rows("metrics")
        try:
            RunFolder(run.path, storage).append("metrics", {"iteration": nth})
        except PlaceError as error:
            assert "metrics.jsonl failed" in str(error)
            assert run.rows("metrics") == before
        else:
            assert run.rows("metrics") == [*before, {"iteration": nth}]
        finished = not storage.fired
    assert nth > 1


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, None])
def test_a_failing_truncate_leaves_the_log_whole(tmp_path, faulty, number):
    nth, finished = 0, False
    while not finished:
        nth += 1
        storage = faulty(nth, number)
        run = RunFolder(tmp_path / str(nth))
        run.create()
        for iteration in (1, 2, 3):
            run.append("metrics", {"iteration": iteration})
        try:
            RunFolder(run.path, storage).truncate("metrics", 2)
        except PlaceError:
            assert len(run.rows("metrics")) in (2, 3)
        else:
            assert len(run.rows("metrics")) == 2
        assert DISK.names(run.path) == ["metrics.jsonl"]
        finished = not storage.fired
    assert nth > 1


def test_sync_forces_what_is_there(run, faulty):
    run.sync()
    run.append("metrics", {"iteration": 1})
    run.sync()
    with pytest.raises(PlaceError, match="Input/output error"):
        RunFolder(run.path, faulty(2, errno.EIO)).sync()


# Other files.


def test_text_and_json_are_replaced_whole(run):
    run.write_text("config.toml", "seed = 1\n")
    run.write_json("run.json", {"threads": None, "loss": math.nan})
    assert run.config.read_text() == "seed = 1\n"
    assert run.read_json("run.json") == {"threads": None, "loss": None}
    run.write_json("run.json", {})
    assert run.read_json("run.json") == {}
    assert DISK.names(run.path) == ["config.toml", "run.json"]


def test_json_that_is_missing_or_bad_is_named(run):
    with pytest.raises(UserError, match=r"run\.json is missing"):
        run.read_json("run.json")
    run.write_text("run.json", "{")
    with pytest.raises(UserError, match=r"run\.json is not JSON: Expecting"):
        run.read_json("run.json")


def test_too_little_room_is_refused_with_needed_and_free(run):
    run.check_room(1)
    with pytest.raises(PlaceError, match=r"has [\d,]+ bytes free; expected 3,000,000,000,000,000"):
        run.check_room(10**15)


def test_parquet_has_a_row_for_each_iteration_and_seed(run):
    run.append("metrics", {"iteration": 1, "progress": 0.5, "return": [1, 2.5], "skipped": [0, 1]})
    run.append("metrics", {"iteration": 2, "progress": 1.0, "return": [math.nan, 3], "new": [7, 8]})
    frame = pl.read_parquet(run.to_parquet())
    assert frame.columns == ["iteration", "progress", "seed", "new", "return", "skipped"]
    assert frame.rows() == [
        (1, 0.5, 0, None, 1.0, 0.0),
        (1, 0.5, 1, None, 2.5, 1.0),
        (2, 1.0, 0, 7.0, None, None),
        (2, 1.0, 1, 8.0, 3.0, None),
    ]


def test_parquet_of_no_rows(run):
    assert pl.read_parquet(run.to_parquet()).columns == ["iteration", "progress", "seed"]


# R6: one writer.

CONTENDER = """
import sys; from pathlib import Path
from descant.core.errors import UserError
from descant.train.folder import RunFolder
folder = RunFolder(Path(sys.argv[1]))
for _ in sys.stdin:
    try:
        with folder.lock():
            print("held", flush=True)
            next(sys.stdin)
    except UserError as error:
        assert error.code == 2
        print(error, flush=True)
assert not {"jax", "polars"} & sys.modules.keys()
"""


class Contender:
    """A process that tries the lock at each line it is sent, and holds it until the next."""

    def __init__(self, folder: RunFolder):
        self.process = subprocess.Popen(
            [sys.executable, "-c", CONTENDER, str(folder.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def go(self) -> None:
        assert self.process.stdin
        print("go", file=self.process.stdin, flush=True)

    def answer(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()


@pytest.fixture
def contenders(run):
    crowd = [Contender(run) for _ in range(3)]
    yield crowd
    for contender in crowd:
        contender.process.kill()
        contender.process.communicate()


def test_of_many_processes_one_gets_the_lock(run, contenders):
    for _ in range(50):
        for contender in contenders:
            contender.go()
        answers = [contender.answer() for contender in contenders]
        assert answers.count("held") == 1, answers
        holder = contenders[answers.index("held")]
        name = f"{run.path} is in use by process {holder.process.pid} on {socket.gethostname()}."
        assert all(answer == "held" or answer.startswith(name) for answer in answers), answers
        holder.go()
        await_release(run)


def await_release(run):
    for _ in range(1000):
        with suppress(UserError), run.lock():
            return
        time.sleep(0.005)
    raise AssertionError("the lock was never released")


def test_the_lock_of_a_killed_process_is_taken_over(run, contenders):
    first, second, _ = contenders
    first.go()
    assert first.answer() == "held"
    first.process.kill()
    first.process.wait()
    assert f"process {first.process.pid} " in (run.path / "lock").read_text()
    second.go()
    assert second.answer() == "held"
    assert (run.path / "lock").read_text().startswith(f"process {second.process.pid} ")


def test_a_dead_process_is_not_taken_for_the_holder(run):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    with (run.path / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        print(f"process {dead.pid} on {socket.gethostname()}", file=file, flush=True)
        with pytest.raises(UserError, match="in use by another process"), run.lock():
            pass


def test_the_same_process_cannot_lock_twice(run):
    with (
        run.lock(),
        pytest.raises(UserError, match=f"process {os.getpid()} "),
        run.lock(),
    ):
        pass


def test_a_hostile_lock_file_does_no_harm(run):
    (run.path / "lock").write_bytes(b"\xff process -1 on\n" * 100)
    with run.lock():
        assert (run.path / "lock").read_text().count("\n") == 1
    (run.path / "lock").unlink()
    (run.path / "target").write_text("precious")
    (run.path / "lock").symlink_to(run.path / "target")
    with pytest.raises(PlaceError, match="Locking"), run.lock():
        pass
    assert (run.path / "target").read_text() == "precious"


def test_records_are_plain_json_lines(run):
    run.append("timing", {"iteration": 1, "seconds": 0.1})
    assert json.loads(run.timing.read_text()) == {"iteration": 1, "seconds": 0.1}


def lines(run):
    return run.metrics.read_bytes().splitlines(keepends=True)


@pytest.fixture
def recorded(tmp_path):
    """Six iterations on record."""
    run = RunFolder(tmp_path)
    for i in range(1, 7):
        run.append("metrics", {"iteration": i, "return": [i / 3]})
    return run


def test_sound_records_stay_as_they_are(recorded):
    before = recorded.metrics.read_bytes()
    assert recorded.mend("metrics", 6) == []
    assert recorded.metrics.read_bytes() == before
    assert recorded.mend("metrics", 4) == []
    assert recorded.metrics.read_bytes() == b"".join(before.splitlines(keepends=True)[:4])


@pytest.mark.parametrize(
    "rubbish", [b"\x00\xff", b"[1]", b"{}", b'{"iteration": "3"}', b"[" * 5000]
)
def test_lines_that_are_no_rows_leave_a_gap_and_are_kept(recorded, rubbish):
    good = lines(recorded)
    broken = b"".join([*good[:2], rubbish + b"\n", *good[3:]])
    recorded.metrics.write_bytes(broken)
    damage, gap = recorded.mend("metrics", 6)
    assert "metrics.jsonl, line 3: expected a row" in damage
    assert "no rows for 1 of 6 iterations" in gap
    assert lines(recorded) == [*good[:2], *good[3:]]
    assert recorded.path.joinpath("metrics.jsonl.damaged").read_bytes() == broken
    assert recorded.mend("metrics", 6) == [gap]


def test_damage_in_what_is_made_again_leaves_no_gap(recorded):
    good = lines(recorded)
    recorded.metrics.write_bytes(b"".join([*good[:4], b"rubbish\n", good[5]]))
    (damage,) = recorded.mend("metrics", 4)
    assert "line 5" in damage
    assert lines(recorded) == good[:4]


def test_torn_doubled_and_disordered_rows(recorded):
    good = lines(recorded)
    recorded.metrics.write_bytes(b"".join([good[2], good[0], good[1], good[2], good[3][:9]]))
    assert recorded.mend("metrics", 3) == []
    assert lines(recorded) == good[:3]


def test_records_that_are_gone(tmp_path):
    run = RunFolder(tmp_path)
    assert run.mend("metrics", 0) == []
    assert not run.metrics.exists()
    (gap,) = run.mend("metrics", 5)
    assert "no rows for 5 of 5" in gap
