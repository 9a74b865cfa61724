import json
import random
import subprocess
import sys

import pytest

from descant.cli.main import COMMANDS
from descant.presets import PRESETS
from descant.train.settings import defaults
from descant.train.toml import to_toml

TOYS = "dispatch.py climb.py"


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("alone", ""),
        ("help", "--help"),
        ("train", f"train {TOYS} --help"),
        ("evaluate", "evaluate dispatch.py -h"),
        *((name, f"{name} --help") for name in COMMANDS if name not in ("train", "evaluate")),
    ],
)
def test_help(descant, snapshot, name, line):
    result = descant(line)
    assert result.code == 0
    assert result.err == ""
    snapshot(f"help-{name}", result.out)


ERRORS = {
    "command": "trian",
    "no-command": "--jsno",
    "flags": f"train {TOYS} --fersh --domain.servers many --domain.lod slots --algorithm.clip 0",
    "switch": f"train {TOYS} --domain.bursts maybe",
    "ambiguous": f"train {TOYS} --algorithm.rate 1",
    "twice": f"train {TOYS} --seed 1 --seed 2",
    "combination": f"train {TOYS} --domain.groups 3",
    "domain": "train clod climb.py",
    "preset": f"train {TOYS} --preset papr",
    "file": f"train {TOYS} --config none.toml",
    "evaluate": "evaluate",
    "evaluate-word": "evaluate clod",
    "evaluate-roots": "evaluate dispatch.py --train.iterations 3 --scenarios 0",
    "run": "report runs/none",
    "compare": "compare",
    "import": "import",
    "import-domain": "import clod --format x --nodes a --jobs b --out c",
    "words": "list all",
}


@pytest.mark.parametrize("name", ERRORS)
def test_error_texts(descant, snapshot, name, monkeypatch):
    for preset in list(PRESETS):
        monkeypatch.delitem(PRESETS, preset)
    result = descant(ERRORS[name])
    assert result.code == 2
    assert result.out == ""
    snapshot(f"error-{name}", result.err)


@pytest.mark.parametrize("name", ERRORS)
def test_error_objects(descant, name):
    result = descant(f"{ERRORS[name]} --json")
    assert (result.code, result.err) == (2, "")
    record = json.loads(result.out)
    assert list(record) == ["format", "kind", "code", "message", "problems"]
    assert (record["format"], record["kind"], record["code"]) == (1, "error", 2)
    assert record["message"] == "\n".join(record["problems"])
    if name != "no-command":
        assert result.out.count("\n") == 1
        assert record["problems"] == descant(ERRORS[name]).err.splitlines()


@pytest.mark.parametrize(
    "line",
    [
        "",
        "--help",
        "--version",
        "list",
        "reproduce list",
        "doctor --help",
        f"train {TOYS} --help",
        f"train {TOYS} --dry-run",
        f"train {TOYS} --domain.servers x",
        "train cloud climb.py --dry-run",
    ],
)
def test_light_commands_never_import_jax(line):
    program = (
        "import sys; from descant.cli.main import run; run(sys.argv[1:]); "
        "heavy = {'jax', 'scipy', 'numpy', 'polars', 'matplotlib'} & set(sys.modules); "
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program, *line.split()], capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


def test_import_prints_nothing():
    program = "import sys, descant; sys.exit('jax' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_version(descant):
    assert descant("--version").out.startswith("descant ")
    assert json.loads(descant("--version --json").out)["kind"] == "version"


def crashing(*_, **__):
    raise RuntimeError("a wire came loose")


def test_an_error_of_our_own_leaves_a_crash_file(descant, stand_in, place, monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    stand_in("descant.session", train=crashing)
    (place / "here").mkdir()
    result = descant(f"train {TOYS} --run here")
    assert result.code == 5
    (crash,) = (place / "here").glob("crash-*.txt")
    last = result.err.splitlines()[-1]
    assert last == (
        "descant met an error of its own (RuntimeError: a wire came loose); "
        f"details: {crash.relative_to(place)}"
    )
    text = crash.read_text()
    assert "command: descant train dispatch.py climb.py --run here" in text
    assert "Traceback" in text
    assert "hunter2" not in text


def test_debug_shows_the_traceback(stand_in, capsys):
    from descant.cli.main import run

    stand_in("descant.session", train=crashing)
    assert run(f"train {TOYS} --debug".split()) == 5
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (PermissionError(13, "Permission denied", "runs/x"), 3, "runs/x: Permission denied."),
        (MemoryError(), 3, "not enough memory"),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating"), 3, "not enough memory"),
        (KeyboardInterrupt(), 130, "Interrupted."),
    ],
)
def test_errors_of_the_place(descant, stand_in, error, code, said):
    def train(*_, **__):
        raise error

    stand_in("descant.session", train=train)
    result = descant(f"train {TOYS}")
    assert result.code == code
    assert said in result.err.splitlines()[-1]


WRONG = ["true", "'text'", "1.5", "-7", "[]", "[1, 'a']", "{ a = 1 }", "1979-05-27", "nan", "1e400"]
FITTING = {
    "limit": {"-7"},
    "trace": {"'text'"},
    "bursts": {"true"},
    "bound": {"true"},
    "rules": {"[]"},
    "normalise": {"true"},
    "width": {"[]"},
    "rate": {"1.5", "-7", "1e400"},
    "clip": {"1.5", "1e400"},
    "weight": {"1.5", "1e400"},
}


def mutated(lines, rng):
    """One configuration file, broken in one place, and what the message has to hold."""
    i = rng.choice([i for i, line in enumerate(lines) if " = " in line])
    key, _, value = lines[i].partition(" = ")
    headers = [line[1:-1] for line in lines[:i] if line.startswith("[")]
    table = f"{headers[-1].removeprefix('settings.')}." if headers else ""
    at = rng.randrange(len(key))
    typo = key[:at] + rng.choice("qzx") + key[at:]
    other = rng.choice([wrong for wrong in WRONG if wrong not in FITTING.get(key, ())])
    text, said = rng.choice(
        [
            (f"{typo} = {value}", f":{i + 1}: {table}{typo}: "),
            (f"{key} = {other}", f":{i + 1}: {table}{key}"),
            (f"{key} = {{ inner = {value} }}", f":{i + 1}: {table}{key}"),
            (f"{key} = = {value}", f":{i + 1}: this is not valid TOML"),
            (f"{lines[i]}\n{lines[i]}", f":{i + 2}: this is not valid TOML"),
        ]
    )
    return [*lines[:i], text, *lines[i + 1 :]], said


def test_broken_files_are_told_by_name_and_line(descant, place):
    """200 configuration files, each broken in one place (R12)."""
    lines = to_toml(defaults(str(place / "dispatch.py"), str(place / "climb.py"))).splitlines()
    for seed in range(200):
        broken, said = mutated(lines, random.Random(seed))
        (place / "run.toml").write_text("\n".join(broken))
        result = descant("train --config run.toml --dry-run")
        about = f"seed {seed}: expected {said!r} from {broken!r}, got {result.err!r}"
        assert result.code == 2, about
        assert f"run.toml{said}" in result.err, about
        assert result.out == "", about


def test_the_package_is_a_command():
    """Where scripts are not on the path."""
    done = subprocess.run(
        [sys.executable, "-m", "descant", "nonsense"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "nonsense" in done.stderr
