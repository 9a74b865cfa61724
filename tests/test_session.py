"""Whole runs through the command line: stopped, killed, damaged, starved, and the same in the end.

One thread, for only then do equal runs have equal bits. No process may open a connection, and none
may show a traceback. `DESCANT_SLOW=1` adds what takes minutes.
"""

import json
import os
import pty
import re
import resource
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from descant.train import checkpoint
from descant.train.hosts import HEARTBEAT

ROOT = Path(__file__).parents[1]
TOYS = ROOT / "tests" / "toys"
COMMAND = [sys.executable, "-c", "from descant.cli.main import run; raise SystemExit(run())"]
TOTAL = 12
LEARNER = "--algorithm.net linear --algorithm.minibatch 16 --algorithm.minibatches 1"
WORLD = "--domain.horizon 32 --domain.work 200 --train.rollouts 2"
TRAIN = f"train frail.py mappo {WORLD} {LEARNER} --train.iterations {TOTAL} --train.validation 1"
SHORT = f"{TRAIN} --train.scenarios 0"
OFFLINE = """\
import socket

def refused(self, address):
    raise AssertionError(f"a connection to {address} was tried")

socket.socket.connect = socket.socket.connect_ex = refused
"""

slow = pytest.mark.skipif(
    not os.environ.get("DESCANT_SLOW"), reason="takes minutes: DESCANT_SLOW=1"
)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder to work in, with the toys, a compile cache of its own, and no network."""
    home = tmp_path_factory.mktemp("home")
    shutil.copy(TOYS / "frail.py", home)
    (home / "offline").mkdir()
    (home / "offline" / "sitecustomize.py").write_text(OFFLINE)
    return home


@pytest.fixture(scope="module")
def begin(home):
    """Start a command; its process is gone when the tests are over."""
    started = []

    def begin(line, **more):
        environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
            "NPROC": "1",
            "NO_COLOR": "1",
            "JAX_PLATFORMS": "cpu",
            "XDG_CACHE_HOME": str(home / "cache"),
            "PYTHONPATH": f"{home / 'offline'}:{ROOT / 'src'}",
        }
        environment |= more.pop("environment", {})
        process = subprocess.Popen(
            [*COMMAND, *shlex.split(line)],
            cwd=home,
            env=environment,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **more},
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def ended(process, before=""):
    """What a process said until its end."""
    out, err = process.communicate(timeout=300)
    err = before + err
    assert "Traceback" not in out + err, err
    return SimpleNamespace(code=process.returncode, out=out, err=err)


@pytest.fixture(scope="module")
def descant(begin):
    """Run a command to its end."""
    return lambda line, **more: ended(begin(line, **more))


@pytest.fixture(scope="module")
def peace(home, descant):
    """A run that nobody disturbs."""
    result = descant(f"{TRAIN} --train.scenarios 2 --run peace --json")
    assert result.code == 0, result.err
    return SimpleNamespace(path=home / "peace", result=result)


@pytest.fixture(scope="module")
def halfway(home, begin):
    """A run that was asked to stop with Ctrl-C after some iterations."""
    run = home / "halfway"
    process = begin(f"{SHORT} --run halfway --json")
    until(lambda: rows(run) >= 4, process)
    sent = time.monotonic()
    process.send_signal(signal.SIGINT)
    heard = read_until(process, "SIGINT")
    delay = time.monotonic() - sent
    result = ended(process, heard)
    return SimpleNamespace(path=run, result=result, delay=delay)


@pytest.fixture
def copy(home, request):
    """A copy of a run under a name of the test's own."""

    def copy(run):
        name = request.node.name.split("[")[0].removeprefix("test_")[:40]
        return shutil.copytree(run.path, home / name)

    return copy


def until(moment, process):
    for _ in range(60_000):
        if moment():
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    raise AssertionError("waited too long")


def read_until(process, word):
    """Standard error up to a word."""
    heard = ""
    while not heard.endswith(word):
        # Past Python's buffer, in which `communicate` would not look for the rest.
        piece = os.read(process.stderr.fileno(), 1)
        assert piece, f"ended before it said {word!r}: {heard}"
        heard += piece.decode("latin-1")
    return heard


def rows(run):
    path = run / "metrics.jsonl"
    return path.read_bytes().count(b"\n") if path.is_file() else 0


def checkpoints(run):
    return sorted((run / "checkpoints").glob("[0-9]*"))


def digest(run):
    """Of the last checkpoint; no checkpoint may hold a value that is not finite."""
    for path in checkpoints(run):
        leaves = checkpoint.load(path).leaves
        assert all(np.isfinite(leaf).all() for leaf in leaves.values())
    return checkpoint.digest(leaves)


def same(run, peace):
    """To the last bit."""
    assert [path.name for path in checkpoints(run)][-1] == f"{TOTAL:08d}"
    assert digest(run) == digest(peace.path)
    assert (run / "metrics.jsonl").read_bytes() == (peace.path / "metrics.jsonl").read_bytes()
    return True


def flip(path, at=None):
    content = bytearray(path.read_bytes())
    content[len(content) // 2 if at is None else at] ^= 4
    path.write_bytes(content)


def test_a_run_from_start_to_report(peace):
    record = json.loads(peace.result.out)
    assert (record["kind"], record["status"]) == ("training", "finished")
    assert record["evaluation"]["iteration"] == TOTAL
    said = peace.result.err
    for phase in ("Starting JAX", "Measuring 2 rules", "Compiling", "Comparing", "Writing the re"):
        assert said.count(phase) == 1, said
    assert f"fresh, {TOTAL} iterations, seed 0" in said
    assert "1 thread." in said
    assert f"Iteration {TOTAL}/{TOTAL} (100%): return -" in said
    assert said.endswith("Next: descant report peace\n")
    names = {path.name for path in peace.path.iterdir()}
    assert names == {
        *("config.toml", "run.json", "lock", "checkpoints", "report.html", "episode.json"),
        *("metrics.jsonl", "metrics.parquet", "timing.jsonl", "evaluation.json"),
    }
    assert [path.name for path in checkpoints(peace.path)] == ["00000010", "00000011", "00000012"]


def test_the_same_command_again_prints_the_result(peace, descant):
    before = {path: path.read_bytes() for path in peace.path.glob("*.json*")}
    again = descant(f"{TRAIN} --train.scenarios 2 --run peace")
    assert again.code == 0
    assert "Finished before: iteration 12 of 12." in again.err
    assert "Compiling" not in again.err
    assert "learned" in again.out
    assert {path: path.read_bytes() for path in before} == before


def test_other_settings_are_refused_with_their_difference(peace, descant):
    for line in (f"{TRAIN} --train.scenarios 3 --seed 1", f"{TRAIN} --algorithm.clip 0.1 --seed 1"):
        result = descant(f"{line} --run peace")
        assert result.code == 2
        first, *changes = result.err.splitlines()[1:]
        assert "--fresh starts over" in first
        assert "seed: 0 -> 1" in changes
        assert len(changes) >= 2
        error = json.loads(descant(f"{line} --run peace --json").out)
        assert (error["kind"], error["code"]) == ("error", 2)
        assert error["problems"] == [first, *changes]


def test_settings_refused_at_the_start_bind_nobody(home, descant):
    """A slip costs one more try, not a --fresh."""
    (home / "slip").mkdir()
    slip = descant(f"{SHORT} --run slip --train.rules nobody")
    assert slip.code == 2
    assert "no rule 'nobody'" in slip.err
    result = descant(f"{SHORT} --run slip --seed 3")
    assert result.code == 0, result.err
    assert "rules = []" in (home / "slip" / "config.toml").read_text()
    assert "seed: 3 -> 0" in descant(f"{SHORT} --run slip").err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (f"{SHORT} --train.rules nobody", "no rule 'nobody'"),
        (f"{SHORT} --devices 3", "devices"),
        ("train matrix localised", "'matrix' has no network"),
        ("train voter localised --domain.agents 3 --train.steps 2", "whole episodes of 50 ticks"),
    ],
)
def test_what_is_refused_before_it_learns_leaves_no_folder(home, descant, line, said):
    """Whether it is refused while things are built, or only as they are compiled; those above the
    folder that were not there go with it."""
    refused = descant(f"{line} --run new/er/run")
    assert refused.code == 2 and said in refused.err, refused.err
    assert not (home / "new").exists()


def test_fresh_starts_over_and_leaves_foreign_files(peace, copy, descant):
    run = copy(peace)
    foreign = [run / "notes.txt", run / "checkpoints" / "notes.txt"]
    for path in foreign:
        path.write_text("mine")
    result = descant(f"{SHORT} --run {run.name} --fresh")
    assert result.code == 0, result.err
    assert all(path.read_text() == "mine" for path in foreign)
    assert not (run / "evaluation.json").exists()
    assert same(run, peace)


def test_ctrl_c_answers_saves_and_the_same_command_goes_on(peace, halfway, copy, descant):
    assert halfway.result.code == 130
    assert json.loads(halfway.result.out)["status"] == "interrupted"
    assert "finishing this period, then saving" in halfway.result.err
    assert halfway.result.err.endswith("Next: the same command goes on from here\n")
    # On a busy machine the scheduler alone may take longer than the 0.2 seconds promised.
    assert halfway.delay < 1
    done = rows(halfway.path)
    assert 4 <= done < TOTAL
    assert checkpoints(halfway.path)[-1].name == f"{done:08d}"

    run = copy(halfway)
    record = json.loads((run / "run.json").read_text())
    record |= {"isa": "x86_64 avx2", "threads": "4"}
    record["versions"]["jaxlib"] = "0.9.0"
    (run / "run.json").write_text(json.dumps(record))
    result = descant(f"{SHORT} --run {run.name}")
    assert result.code == 0, result.err
    assert f"resumed after iteration {done} of {TOTAL}" in result.err
    (warning,) = [line for line in result.err.splitlines() if line.startswith("Warning")]
    for change in ("threads: 4 -> 1", "instruction set: x86_64 avx2", "jaxlib: 0.9.0 ->"):
        assert change in warning
    assert same(run, peace)


def test_damage_is_told_and_made_good(peace, halfway, copy, descant):
    run = copy(halfway)
    newest = checkpoints(run)[-1]
    flip(newest / "state.npz")
    (run / "run.json").write_text("{")
    (run / "report.html").mkdir()
    result = descant(f"{SHORT} --run {run.name} --json")
    assert result.code == 0, result.err
    assert json.loads(result.out)["status"] == "finished"
    warnings = [line for line in result.err.splitlines() if line.startswith("Warning")]
    assert len(warnings) == 3, result.err
    assert f"quarantine-{newest.name}-1" in warnings[0]
    assert "SHA-256" in warnings[0]
    assert "run.json is damaged; kept as run.json.damaged" in warnings[1]
    assert "there is no report: " in warnings[2]
    assert f"resumed after iteration {int(newest.name) - 1}" in result.err
    assert (run / "checkpoints" / f"quarantine-{newest.name}-1").is_dir()
    assert same(run, peace)


def test_two_processes_on_one_folder_and_sigterm(peace, home, begin, descant):
    run = home / "both"
    first = begin(f"{SHORT} --run both")
    until(lambda: rows(run) >= 1, first)
    first.send_signal(signal.SIGSTOP)
    try:
        second = descant(f"{SHORT} --run both")
        fresh = descant(f"{SHORT} --run both --fresh")
    finally:
        first.send_signal(signal.SIGCONT)
    for result in (second, fresh):
        assert result.code == 2
        assert f"both is in use by process {first.pid} on " in result.err
    first.send_signal(signal.SIGTERM)
    assert ended(first).code == 143
    assert descant(f"{SHORT} --run both").code == 0
    assert same(run, peace)


def test_the_second_ctrl_c_leaves_at_once_and_periods_change_nothing(peace, home, begin, descant):
    run, line = home / "periods", f"{SHORT} --run periods --train.period {TOTAL}"
    process = begin(f"{line} --json")
    heard = read_until(process, "Compiling") + read_until(process, " s\n")
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    heard += read_until(process, "SIGINT")
    process.send_signal(signal.SIGINT)
    sent = time.monotonic()
    result = ended(process, heard)
    record = json.loads(result.out)
    assert (result.code, record["kind"], record["code"]) == (130, "error", 130)
    assert time.monotonic() - sent < 1
    assert rows(run) == 0
    assert descant(line).code == 0
    assert same(run, peace)


def test_before_training_ctrl_c_leaves_at_once(home, begin):
    for number, code, moment in ((2, 130, "Run folder"), (15, 143, "Every start compiles anew")):
        process = begin(f"{SHORT} --run early", environment={"XDG_CACHE_HOME": "/proc/none"})
        heard = read_until(process, moment)
        until(lambda: (home / "early" / "config.toml").exists(), process)
        time.sleep(0.3)
        process.send_signal(number)
        sent = time.monotonic()
        result = ended(process, heard)
        assert result.code == code
        assert "nothing is lost" in result.err
        assert time.monotonic() - sent < 1


def test_ctrl_c_in_the_last_comparison(peace, copy, begin, descant):
    run = copy(peace)
    expected = json.loads((run / "evaluation.json").read_text())
    (run / "evaluation.json").write_text("{")
    process = begin(f"{TRAIN} --train.scenarios 2 --run {run.name}")
    read_until(process, "Comparing")
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    assert ended(process).code == 130
    result = descant(f"{TRAIN} --train.scenarios 2 --run {run.name} --json")
    assert result.code == 0
    assert "Compiling" not in result.err
    assert json.loads(result.out)["evaluation"]["policies"] == expected["policies"]
    assert same(run, peace)


@pytest.mark.parametrize("kills", [3, pytest.param(30, marks=slow)])
def test_kills_change_nothing(peace, home, kills):
    line = [sys.executable, str(ROOT / "benchmarks" / "kill.py"), "--kills", str(kills)]
    line += ["--flips", str(kills // 3), "--iterations", str(TOTAL if kills < 4 else 8 * kills)]
    # What is kept besides the last learner must survive as well.
    arguments = f"{SHORT.removeprefix('train ')} --train.select best --train.every 3"
    arguments = arguments.replace(f"--train.iterations {TOTAL} ", "")
    done = subprocess.run(
        [*line, "--", *shlex.split(arguments)],
        cwd=home,
        env={
            **os.environ,
            "XDG_CACHE_HOME": str(home / "cache"),
            "JAX_PLATFORMS": "cpu",
            "PYTHONPATH": str(ROOT / "src"),
        },
        capture_output=True,
        text=True,
        timeout=3000,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("identical") == 3


def close(run, peace):
    """Up to rounding: every metric of every iteration."""
    found, wanted = (
        [json.loads(line) for line in (path / "metrics.jsonl").open()] for path in (run, peace.path)
    )
    assert [row.keys() for row in found] == [row.keys() for row in wanted]
    for row, other in zip(found, wanted, strict=True):
        for name in row:
            np.testing.assert_allclose(row[name], other[name], 1e-3, 1e-4, err_msg=name)
    return True


def test_two_devices_train_the_same_run(peace, home, descant):
    result = descant(f"{SHORT} --run devices --devices 2")
    assert result.code == 0, result.err
    assert "On 2 devices cpu" in result.err
    assert close(home / "devices", peace)
    result = descant(f"{SHORT} --run uneven --devices 3")
    assert result.code == 2
    assert "train.rollouts: expected a multiple of the 3 devices" in result.err


def test_two_processes_train_the_same_run_and_one_is_killed(peace, home, begin):
    run, loopback = home / "hosts", {"PYTHONPATH": str(ROOT / "src")}

    def both():
        with socket.create_server(("127.0.0.1", 0)) as free:
            where = f"127.0.0.1:{free.getsockname()[1]}"
        line = f"{SHORT} --run hosts --json --hosts {where}"
        return [begin(f"{line},{rank},2", environment=loopback) for rank in range(2)]

    first, second = both()
    until(lambda: rows(run) >= 3, first)
    second.kill()
    start = time.monotonic()
    result = ended(first)
    assert time.monotonic() - start < HEARTBEAT + 5
    record = json.loads(result.out)
    assert (result.code, record["code"]) == (5, 5), result.err
    assert re.search("Rank 1 is gone|lost rank 1", record["message"])
    saved = int(checkpoints(run)[-1].name)
    assert 2 <= saved < TOTAL

    results = [ended(process) for process in both()]
    assert [result.code for result in results] == [0, 0], results
    assert f"resumed after iteration {saved} of {TOTAL}" in results[0].err
    assert "On 2 devices cpu" in results[0].err
    told = [json.loads(result.out)["status"] for result in results]
    assert told == ["finished", "finished"]
    assert results[1].err.splitlines()[1:] == ["Rank 1 of 2: done."]
    assert close(run, peace)


NAN = f"train frail.py mappo {LEARNER} --domain.horizon 1000 --train.steps 4 --train.rollouts 2"
NAN += " --train.iterations 8 --train.max-bad 3 --train.validation 0 --train.scenarios 0"


def test_nan_for_ever_stops_and_names_the_site(home, descant):
    """Which sites, and for how long, is for tests/train/test_loop.py."""
    result = descant(f"{NAN} --domain.start 9 --run nan --json")
    error = json.loads(result.out)
    assert result.code == error["code"] == 4, result.err
    assert "Iteration 5, seed 0: 3 iterations in a row" in error["message"]
    assert "NaN or infinity first stood in the reward. " in error["message"]
    assert "The checkpoint of iteration 4 is good." in error["message"]
    good, _, last = (checkpoint.load(path).leaves for path in checkpoints(home / "nan"))
    assert good.keys() == last.keys()
    learner = [name for name in good if name.startswith("learner/")]
    assert learner
    assert all(np.array_equal(good[name], last[name]) for name in learner)
    digest(home / "nan")


def test_no_room_leaves_the_newest_checkpoint_whole(peace, halfway, copy, descant):
    run, before = copy(halfway), digest(halfway.path)
    limit = 4096
    starved = descant(
        f"{SHORT} --run {run.name} --json",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert starved.code == 3, starved.err
    error = json.loads(starved.out)
    assert error["code"] == 3
    assert "bytes were needed" in error["message"]
    assert "are free" in error["message"]
    assert digest(run) == before
    assert descant(f"{SHORT} --run {run.name}").code == 0
    assert same(run, peace)


@pytest.mark.parametrize("place", ["/proc/none/run", "/dev/null/run", "frail.py"])
def test_places_where_no_run_can_be(descant, place):
    result = descant(f"{SHORT} --run {place}")
    assert result.code == (2 if place == "frail.py" else 3)
    assert place in result.err.splitlines()[-1]
    assert json.loads(descant(f"{SHORT} --run {place} --json").out)["code"] == result.code


def test_folders_that_are_not_this_run(peace, halfway, home, copy, descant):
    """Nothing is overwritten, with --fresh or without."""
    foreign = home / "site"
    foreign.mkdir()
    (foreign / "config.toml").write_text('title = "my site"\n')
    for fresh in ("", "--fresh"):
        result = descant(f"{SHORT} --run site {fresh}")
        assert result.code == 2
        assert "site holds config.toml, and no run of descant wrote that." in result.err
    assert (foreign / "config.toml").read_text() == 'title = "my site"\n'

    run = copy(halfway)
    newest = checkpoint.load(checkpoints(run)[-1])
    checkpoint.save(run / "checkpoints", 99, newest.leaves, {}, keep=9)
    result = descant(f"{SHORT} --run {run.name}")
    assert result.code == 2
    assert "a checkpoint of iteration 99, beyond train.iterations = 12" in result.err

    text = (run / "config.toml").read_text()
    (run / "config.toml").write_text(text.replace("[settings.train]", "[settings.train"))
    result = descant(f"{SHORT} --run {run.name}")
    assert result.code == 2
    assert f"{run.name}/config.toml:" in result.err
    (run / "config.toml").unlink()
    result = descant(f"{SHORT} --run {run.name}")
    assert result.code == 2
    assert "no config.toml" in result.err


def test_a_terminal_gets_a_table_and_its_cursor_back(halfway, copy, begin):
    """Also with records damaged in the middle, which leaves a gap and nothing worse."""
    run = copy(halfway)
    lines = (run / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    (run / "metrics.jsonl").write_bytes(b"".join([lines[0], b"\x00rubbish\n", *lines[2:]]))
    ours, theirs = pty.openpty()
    process = begin(
        f"{SHORT} --run {run.name}",
        environment={"TERM": "xterm", "COLUMNS": "80", "LINES": "30"},
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    )
    os.close(theirs)
    seen = b""
    while piece := read(ours):
        seen += piece
        if b"ticks/s" in seen and process.poll() is None and seen.count(b"\x03") == 0:
            process.send_signal(signal.SIGINT)
            seen += b"\x03"
    assert process.wait(60) == 130
    text = seen.decode()
    assert "Traceback" not in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")
    assert "metrics.jsonl.damaged" in text
    assert "has no rows for 1 of" in " ".join(text.split())
    for heading in ("iteration", "done", "left", "return", "to ", "gradient", "skipped"):
        assert heading in text
    assert "Saved: iteration" in text


def read(file):
    try:
        return os.read(file, 65536)
    except OSError:
        return b""


def test_a_policy_from_the_run(peace):
    import jax

    from descant import load_policy

    policy = load_policy(peace.path)
    assert policy.iteration == TOTAL
    _, observation = policy.domain.env.reset(jax.random.key(3))
    action = policy(observation)
    assert action.shape == (2,)
    assert np.array_equal(action, policy(observation))
    assert policy(observation, greedy=True).shape == (2,)


@slow
def test_a_disk_that_is_really_full(tmp_path, peace, descant):
    """From no room to nearly enough; then, with room, the end is as if there always was."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=600k", "none", str(place)]
    if os.getuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root may mount")
    try:
        codes = []
        for free in (0, 20_000, 40_000, 60_000, 100_000, 500_000):
            filler = place / "filler"
            filler.write_bytes(b"")
            room = shutil.disk_usage(place).free
            filler.write_bytes(bytes(max(room - free, 0)))
            result = descant(f"{SHORT} --run {place}/run")
            codes.append(result.code)
            if result.code:
                assert "bytes" in result.err.splitlines()[-1], result.err
            if checkpoints(place / "run"):
                digest(place / "run")
        assert codes[0] == 3, codes
        assert codes[-1] == 0, codes
        assert set(codes) == {0, 3}, codes
        assert same(place / "run", peace)
    finally:
        subprocess.run(["umount", str(place)], check=True)


@slow
def test_a_damaged_compile_cache_changes_nothing(peace, home, descant):
    rng = np.random.default_rng(0)
    for number in range(6):
        for path in (home / "cache" / "descant" / "jax").glob("*-cache"):
            flip(path, int(rng.integers(path.stat().st_size)))
        result = descant(f"{SHORT} --run flipped --fresh")
        assert result.code == 0, (number, result.err)
        assert "A compiled program in the cache is damaged" in result.err
        assert same(home / "flipped", peace)
