import json

import numpy as np
import pytest

from descant.evaluate.statistics import paired_difference
from descant.train.settings import defaults, with_values
from descant.train.toml import to_toml

RNG = np.random.default_rng(0)
SCENARIOS = RNG.normal(size=20)
RULE = SCENARIOS - 40


def policy(name, kind, values, learned):
    return {
        "name": name,
        "kind": kind,
        "mean": float(np.mean(values)),
        "std": float(np.std(values)),
        "values": list(values),
        "difference": None if name == "learned" else paired_difference(learned, values),
    }


@pytest.fixture
def runs(place):
    """Two runs: `good` is better than best-fit, `bad` is worse."""

    def write(name, gain, servers=20, **changes):
        folder = place / name
        folder.mkdir()
        settings = defaults(str(place / "dispatch.py"), str(place / "climb.py"))
        settings = with_values(settings, {"domain.servers": servers})
        (folder / "config.toml").write_text(to_toml(settings))
        learned = RULE + gain + 0.1 * RNG.normal(size=RULE.size)
        evaluation = {
            "format": 1,
            "kind": "evaluation",
            "domain": "dispatch",
            "scenarios": 20,
            "scenario_seed": 7,
            "mode": "greedy",
            "reference": "learned",
            "policies": [
                policy("learned", "learned", learned, learned),
                policy("best-fit", "rule", RULE, learned),
            ],
        }
        (folder / "evaluation.json").write_text(json.dumps(evaluation | changes))

    write("good", 3)
    write("bad", -3)
    return write


def test_two_runs_side_by_side(descant, runs):
    result = descant("compare good bad")
    assert result.code == 0
    good, bad = result.out.splitlines()[-2:]
    assert good.split()[0] == "good"
    assert bad.split()[0] == "bad"
    assert bad.split()[-1] == "better"
    record = json.loads(descant("compare good bad --json").out)
    assert record["kind"] == "comparison"
    assert record["reference"] == "good"
    assert record["policies"][1]["difference"]["mean"] == pytest.approx(6, abs=0.2)


@pytest.mark.parametrize(
    ("words", "code"), [("good", 0), ("bad", 1), ("good bad", 1), ("bad good", 1)]
)
def test_fail_if_worse(descant, runs, words, code):
    result = descant(f"compare {words} --fail-if-worse best-fit")
    assert result.code == code
    assert ("bad is worse than best-fit: learned minus best-fit is -" in result.err) == bool(code)
    record = json.loads(descant(f"compare {words} --fail-if-worse best-fit --json").out)
    assert record["check"]["passed"] == (code == 0)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("compare good", "expected at least two run folders, or --fail-if-worse RULE"),
        ("compare good good", "good: is given twice."),
        ("compare good bda", "bda: there is no such run folder. Did you mean 'bad'?"),
        ("compare good --fail-if-worse bestfit", "Did you mean 'best-fit'? Known: best-fit."),
        ("compare good larger", "domain.servers: good has 20, larger has 30."),
        ("compare good seeded", "scenario_seed: good has 7, seeded has 8."),
        ("compare good raw", "raw: has not been evaluated; first run `descant evaluate raw`."),
        ("compare good torn", "torn/evaluation.json: is not valid JSON"),
        ("compare good odd", "odd/evaluation.json: expected an evaluation"),
    ],
)
def test_what_cannot_be_compared(descant, runs, place, line, said):
    runs("larger", 0, servers=30)
    runs("seeded", 0, scenario_seed=8)
    for name, content in (("raw", None), ("torn", "{"), ("odd", "[]")):
        runs(name, 0)
        path = place / name / "evaluation.json"
        path.unlink() if content is None else path.write_text(content)
    result = descant(line)
    assert result.code == 2
    assert said in result.err
