import json
import subprocess

import pytest

from descant.cli.main import COMMANDS


@pytest.fixture
def complete(descant, tmp_path):
    """What bash offers for the last of some words."""
    script = tmp_path / "script"
    script.write_text(descant("completion").out)

    def complete(*words):
        line = " ".join(f"'{word}'" for word in words)
        ask = f"COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _descant; echo ${{COMPREPLY[@]}}"
        done = subprocess.run(
            ["bash", "-c", f"source {script}; {ask}"], capture_output=True, text=True
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.split()

    return complete


def test_commands_options_and_settings_are_offered(complete):
    assert complete("descant", "") == [*COMMANDS, "--help", "--version"]
    assert complete("descant", "tr") == ["train"]
    assert "cloud" in complete("descant", "train", "cl")
    assert complete("descant", "train", "--domain.serv") == ["--domain.servers"]
    assert complete("descant", "train", "cloud", "--dry") == ["--dry-run"]
    assert complete("descant", "train", "--train.no-b") == ["--train.no-bound"]
    assert complete("descant", "compare", "--fail") == ["--fail-if-worse"]
    assert complete("descant", "compare", "runs/x") == []


def test_json(descant):
    record = json.loads(descant("completion --json").out)
    assert record["kind"] == "completion"
    assert record["words"].keys() == COMMANDS.keys()
    assert "--no-color" in record["words"]["train"]
