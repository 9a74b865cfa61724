import json

import pytest

from descant.train.settings import defaults, with_values
from descant.train.toml import to_toml

EVALUATION = {
    "format": 1,
    "kind": "evaluation",
    "domain": "dispatch",
    "scenarios": 8,
    "seeds": 1,
    "reference": "random",
    "policies": [
        {"name": "random", "kind": "rule", "mean": float("nan"), "std": 1.0, "difference": None}
    ],
}


@pytest.fixture
def calls(stand_in):
    calls = []

    def evaluate_run(run, **options):
        calls.append((str(run), options))
        return EVALUATION

    def evaluate_domain(name, config, **options):
        calls.append((name, config, options))
        return EVALUATION

    stand_in("descant.evaluate.session", evaluate_run=evaluate_run, evaluate_domain=evaluate_domain)
    return calls


@pytest.fixture
def run(place):
    settings = defaults(str(place / "dispatch.py"), str(place / "climb.py"))
    folder = place / "runs" / "one"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(to_toml(with_values(settings, {"domain.servers": 30})))
    return "runs/one"


def test_a_run(descant, calls, run):
    result = descant(f"evaluate {run} --scenarios 9 --seed 3 --mode greedy --domain.servers 50")
    assert result.code == 0
    assert calls == [
        (
            run,
            {"scenarios": 9, "overrides": {"domain.servers": 50}, "seed": 3, "bound": True}
            | {"replace": False, "rules": (), "mode": "greedy"},
        ),
    ]
    assert "random" in result.out
    doing, following = result.err.splitlines()
    assert doing.startswith(f"Playing {run} and every rule on 9 held-out scenarios ... ")
    assert following == f"Next: descant report {run}"


def test_where_it_is_kept_is_said_if_it_is_not_the_usual_place(descant, stand_in, run):
    def evaluate_run(run, *, replace, **options):
        return EVALUATION | {"kept": "evaluation.json" if replace else "evaluation-9-3-act.json"}

    stand_in("descant.evaluate.session", evaluate_run=evaluate_run)
    assert f"Kept as {run}/evaluation-9-3-act.json" in descant(f"evaluate {run} --seed 3").err
    assert "Kept" not in descant(f"evaluate {run} --seed 3 --replace").err


def test_tables_in_markdown_or_plain(descant, calls):
    assert "| policy | mean |" in descant("evaluate dispatch.py --md").out
    assert "policy  mean" in descant("evaluate dispatch.py --plain").out


def test_a_domain(descant, calls, place):
    assert descant("evaluate --domain.servers=5 dispatch.py").code == 0
    ((name, config, options),) = calls
    assert (name, config.servers) == (str(place / "dispatch.py"), 5)
    assert options == {
        "scenarios": 40,
        "seed": None,
        "bound": True,
        "rules": (),
        "discount": None,
    }


def test_some_of_the_rules(descant, calls, run):
    for word in (run, "dispatch.py"):
        result = descant(f"evaluate {word} --rules random,round-robin --rules jsq")
        assert result.code == 0
        assert calls[-1][-1]["rules"] == ("random", "round-robin", "jsq")
        assert f"Playing {word} and random, round-robin, jsq on 40 held-out" in result.err


def test_the_bound_can_be_left_out(descant, calls, run):
    assert descant(f"evaluate {run} --no-bound").code == 0
    assert descant("evaluate dispatch.py --no-bound").code == 0
    assert [call[-1]["bound"] for call in calls] == [False, False]


def test_json_is_the_evaluation_and_null_is_no_number(descant, calls):
    record = json.loads(descant("evaluate dispatch.py --json").out)
    assert record["policies"][0]["mean"] is None
    assert record["kind"] == "evaluation"


def test_what_a_run_does_not_take(descant, calls, run):
    result = descant(f"evaluate {run} --preset big --train.iterations 3 --domain.server 5")
    assert result.code == 2
    assert result.err.splitlines() == [
        "--train.iterations: settings of this command begin with domain.",
        "--preset: is for a domain; a run has its own settings.",
        "--domain.server: there is no such setting. Did you mean 'domain.servers'?",
    ]
    assert calls == []


def test_the_nearest_run_is_suggested(descant, run):
    assert "Did you mean 'runs/one'?" in descant("evaluate runs/on").err
    assert "Did you mean 'runs/one'?" in descant("report runs/on").err


def test_help_shows_the_values_of_the_run(descant, run):
    assert "[30]" in descant(f"evaluate {run} --help").out
