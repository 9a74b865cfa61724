import io

from rich.console import Console

from descant.cli.render import ordered, shown


def comparison(evaluation):
    return shown(evaluation, "plain")


def coloured(evaluation):
    return shown(evaluation, "terminal")


def policy(name, mean, difference=None, kind="rule"):
    bounds = dict(zip(("mean", "low", "high"), difference, strict=True)) if difference else None
    return {"name": name, "kind": kind, "mean": mean, "std": 4.125, "difference": bounds}


EVALUATION = {
    "domain": "cloud",
    "scenarios": 40,
    "seeds": 1,
    "reference": "learned",
    "policies": [
        policy("random", -80.0, (41.8, 39.0, 44.0)),
        policy("best-fit", -38.0, (-0.2, -1.0, 0.5)),
        policy("oracle", -30.0, (-8.2, -9.0, -7.0)),
        policy("learned", -38.2, kind="learned"),
    ],
}

TEXT = """\
cloud: reward on 40 held-out scenarios, higher is better

policy      mean   std  learned minus it  95 % interval     learned is
learned   -38.20  4.12
oracle    -30.00  4.12             -8.20  [-9.00, -7.00]    worse
best-fit  -38.00  4.12             -0.20  [-1.00, +0.50]    even
random    -80.00  4.12            +41.80  [+39.00, +44.00]  better"""


BOUNDED = {
    **EVALUATION,
    "bound": {"mean": -28.5, "values": [], "seconds": 1.0},
    "policies": [
        {**policy("learned", -38.0, kind="learned"), "gap": {"mean": 9.5, "relative": 0.25}},
        {**policy("a", 0.0, (-38.0, -40.0, -36.0)), "gap": {"mean": 28.5, "relative": None}},
        policy("b", -40.0, (2.0, -1.0, 5.0)),
    ],
}

BOUNDED_TEXT = """\
cloud: reward on 40 held-out scenarios, higher is better

policy     mean   std   gap to bound  learned minus it  95 % interval     learned is
learned  -38.00  4.12  9.50 (25.0 %)
a          0.00  4.12          28.50            -38.00  [-40.00, -36.00]  worse
b        -40.00  4.12              -             +2.00  [-1.00, +5.00]    even
bound    -28.50"""


def judged(found, value, difference=None, violation=None, more=None):
    """A policy with a utility and a violation, as evaluations have them."""

    def measure(mean, ends):
        gap = dict(zip(("mean", "low", "high"), ends, strict=True)) if ends else None
        return {"mean": mean, "difference": gap}

    told = {**found, "utility": measure(value, difference)}
    return told if violation is None else told | {"violation": measure(violation, more)}


OBJECTIVE = {"groups": {"kl": -0.0123, "linear": 0.5}, "optimum": {"value": 0.413, "bound": 0.4131}}
EXACT = {
    **EVALUATION,
    "ranked_by": ["utility"],
    "measures": {"utility": {"exact": True, "discount": 0.9, "reference": "learned"}},
    "objective": OBJECTIVE,
    "policies": [
        judged(policy("random", -80.0, (41.8, 39.0, 44.0)), 0.41, (-0.0119, -0.0119, -0.0119)),
        judged(policy("learned", -38.2, kind="learned"), 0.3981),
        judged(policy("best-fit", -38.0, (-0.2, -1.0, 0.5)), 0.0, (0.3981, 0.3981, 0.3981)),
    ],
}
EXACT_TEXT = """\
cloud: utility, exact, at discount 0.9, higher is better

policy    utility  gap to bound  learned minus it  learned is
learned    0.3981        0.0150
random     0.4100        0.0031           -0.0119  worse
best-fit   0.0000        0.4131           +0.3981  better
bound      0.4131

cloud: reward on 40 held-out scenarios, higher is better

policy      mean   std  learned minus it  95 % interval     learned is
learned   -38.20  4.12
best-fit  -38.00  4.12             -0.20  [-1.00, +0.50]    even
random    -80.00  4.12            +41.80  [+39.00, +44.00]  better

Utility of the learned policy by group of agents: kl -0.0123, linear 0.5."""
CONSTRAINT = {"total": 0.25, "worst": 0.125, "share": 0.4, "exact": True}
SHORT = "Under the learned policy 40 % of the agents violate their constraints, by 0.12 at most."
SURE = {"exact": False, "discount": 0.9, "reference": "learned"}
KEPT = {
    **EVALUATION,
    "ranked_by": ["violation", "utility"],
    "measures": {"utility": SURE, "violation": SURE},
    "constraint": CONSTRAINT,
    "policies": [
        judged(policy("a", 1.0, (0.0, None, None)), 0.5, (-0.1, -0.2, 0.1), 3.0, (-2.8, -3.0, -2)),
        judged(policy("learned", 1.0, kind="learned"), 0.4, None, 0.25),
        judged(policy("b", 1.0, (0.0, None, None)), 0.3, (0.1, 0.05, 0.2), 0.0, (0.25, 0.1, 0.4)),
    ],
}
KEPT_TEXT = """\
cloud: violation of constraints, summed over agents, on 40 held-out scenarios, at discount 0.9, \
lower is better

policy   violation  learned minus it  95 % interval     learned is
learned      0.250
b            0.000            +0.250  [+0.100, +0.400]  worse
a            3.000            -2.800  [-3.000, -2.000]  better

cloud: utility on 40 held-out scenarios, at discount 0.9, higher is better

policy   utility  learned minus it  95 % interval       learned is
learned   0.4000
a         0.5000           -0.1000  [-0.2000, +0.1000]  even
b         0.3000           +0.1000  [+0.0500, +0.2000]  better

cloud: reward on 40 held-out scenarios, higher is better
"""


def test_what_a_run_is_after_stands_first_and_tables_say_what_they_compare():
    assert comparison(EXACT) == EXACT_TEXT
    told = comparison(KEPT)
    assert told.startswith(KEPT_TEXT) and told.endswith(f"\n\n{SHORT}")
    after_reward = comparison({**KEPT, "ranked_by": ["reward"]})
    assert [line.split()[1] for line in after_reward.splitlines() if line.startswith("cloud:")] == [
        *("reward", "utility", "violation")
    ]
    assert "| best-fit | 0.0000 | 0.4131 | +0.3981 | better |" in shown(EXACT, "md")
    console = Console(file=io.StringIO(), width=200)
    console.print(shown(KEPT, "terminal"))
    assert "violation of constraints" in console.file.getvalue()
    assert SHORT in console.file.getvalue()
    kept = comparison({**EVALUATION, "constraint": CONSTRAINT | {"total": 0.0}})
    assert kept == f"{TEXT}\n\nUnder the learned policy all agents keep their constraints."


WON_TEXT = """\
jaxmarl: reward on 40 held-out scenarios, higher is better

policy                   won   mean    std  learned minus it  95 % interval     learned is
learned  62.5 % [47.5, 77.5]  2.000  4.125
random                 0.0 %  0.000  4.125            +2.000  [+1.000, +3.000]  better
old                        -  0.000  4.125            +2.000  [+1.000, +3.000]  better"""


def test_what_becomes_of_episodes_stands_first():
    ends = {"won": {"mean": 0.625, "low": 0.475, "high": 0.775}}
    never = {"won": {"mean": 0.0, "low": None, "high": None}}
    told = {
        **EVALUATION,
        "domain": "jaxmarl",
        "policies": [
            {**policy("learned", 2.0, kind="learned"), "outcomes": ends},
            {**policy("random", 0.0, (2.0, 1.0, 3.0)), "outcomes": never},
            policy("old", 0.0, (2.0, 1.0, 3.0)),
        ],
    }
    assert "62.5 % [47.5, 77.5]" in shown(told, "md")
    assert comparison(told) == WON_TEXT


def test_learned_first_then_rules_from_best_to_worst():
    assert [p["name"] for p in ordered(EVALUATION)] == ["learned", "oracle", "best-fit", "random"]


def test_aligned_text():
    assert comparison(EVALUATION) == TEXT


def test_the_bound_is_the_last_row_and_every_policy_says_what_it_lacks():
    assert comparison(BOUNDED) == BOUNDED_TEXT
    assert comparison({**EVALUATION, "bound": None}) == TEXT


def test_a_terminal_gets_the_gap_too():
    console = Console(file=io.StringIO(), width=120, force_terminal=True)
    console.print(coloured(BOUNDED))
    text = console.file.getvalue()
    assert "gap to bound" in text and "9.50 (25.0 %)" in text and "-28.50" in text


def test_off_a_terminal_the_text_is_plain():
    assert shown(EVALUATION, "plain") == TEXT


def test_markdown():
    assert shown(EVALUATION, "md").splitlines()[:5] == [
        "cloud: reward on 40 held-out scenarios, higher is better",
        "",
        "| policy | mean | std | learned minus it | 95 % interval | learned is |",
        "| :-- | --: | --: | --: | :-- | :-- |",
        "| learned | -38.20 | 4.12 |  |  |  |",
    ]
    assert "a\\|b" in shown({**EVALUATION, "policies": [policy("a|b", -1.0)]}, "md")


def test_a_terminal_gets_the_same_cells(monkeypatch):
    monkeypatch.delenv("NO_COLOR")
    console = Console(file=io.StringIO(), width=100, force_terminal=True, color_system="standard")
    console.print(coloured(EVALUATION))
    text = console.file.getvalue()
    for cell in (
        "learned",
        "oracle",
        "-8.20",
        "[+39.00, +44.00]",
        "\x1b[32mbetter",
        "\x1b[31mworse",
    ):
        assert cell in text


def test_missing_numbers_are_left_out():
    one = {**EVALUATION, "policies": [policy("a", None, (None, None, None))]}
    assert comparison(one).splitlines()[-1].split() == ["a", "-", "4.125"]
    sole = {**EVALUATION, "policies": [policy("a", 1.0, (2.0, None, None))]}
    assert comparison(sole).splitlines()[-1].split() == ["a", "1.000", "4.125", "+2.000"]


def test_several_learners_are_said():
    assert "40 held-out scenarios, 3 learners," in comparison({**EVALUATION, "seeds": 3})
