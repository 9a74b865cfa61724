"""One static page about one run or several: opens offline, asks the network for nothing."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from descant import __version__
from descant.core.errors import UserError
from descant.report import figures, tables
from descant.report.document import document, figure, missing, section, write
from descant.report.drawing import RUN_COLOURS
from descant.report.headline import BEST_FIT, headline, subject, title
from descant.report.markup import Html, join, short, tag
from descant.report.numbers import count, number, percent, plural
from descant.report.records import NAME, Evaluation, Network, Objective, Record, read

FOOTER = f"Written by descant {__version__} from the records in the run folders."


def write_report(runs: list[Path], out: Path) -> dict[str, Any]:
    """Write the report about some run folders to one HTML file, whole or not at all.

    Returns what a program wants to know: path, size, the headline of each run and what was missing.

    Raises:
        UserError: there are no runs, one is not a folder, or `out` is a folder.
        PlaceError: the file cannot be written.
    """
    if not runs:
        raise UserError("A report needs at least one run folder.")
    if out.is_dir():
        raise UserError(
            f"{out} is a folder; the report needs a file name, such as {out}/report.html."
        )
    records = [read(Path(run)) for run in runs]
    text = page(records)
    write(out, text)
    return {
        "format": 1,
        "kind": "report",
        "path": str(out),
        "bytes": len(text.encode()),
        "runs": [
            {
                "run": str(r.path),
                "headline": headline(r.evaluation) if r.evaluation else None,
                "problems": r.problems,
            }
            for r in records
        ],
    }


def page(records: Sequence[Record]) -> Html:
    """The whole page; equal records give equal text."""
    one = len(records) == 1
    name = tables.name(records[0]) if one else f"{len(records)} runs compared"
    content = _run(records[0], 1, alone=True) if one else _several(records)
    return document(name, join(tag("header", tag("h1", name), _subtitle(records)), content), FOOTER)


def _subtitle(records: Sequence[Record]) -> Html:
    if len(records) > 1:
        links = [
            tag("li", tag("a", tables.label(i, r), href=f"#run-{i}"))
            for i, r in enumerate(records, start=1)
        ]
        return tag("nav", tag("ul", *links), aria_label="Runs")
    about = f"run {short(records[0].name, NAME)}, {tables.facts(records[0])}"
    return tag("p", about, class_="facts")


def _several(records: Sequence[Record]) -> Html:
    return join(
        tag("p", _joint_headline(records), class_="lead"),
        section("Learned policies", tables.learned_policies(records)),
        section("Learning curves", _joint_learning(records)),
        section("Where the configurations differ", tables.configuration_differences(records)),
        *(_run(r, i, alone=False) for i, r in enumerate(records, start=1)),
    )


def _joint_headline(records: Sequence[Record]) -> str:
    scored, best = tables.evaluated(records), tables.best_of(records)
    if not scored:
        return "None of these learned policies has been evaluated; there is no score to compare."
    if best is None or best.evaluation is None:
        return (
            "These runs were not trained on the same system, so their scores are not ranked; "
            "each section says how its run stands against the rules."
        )
    said = f"Run {records.index(best) + 1}, {short(best.name, NAME)}, is the best of "
    said += f"{plural(len(scored), 'evaluated run')}. {headline(best.evaluation)}"
    rest = len(records) - len(scored)
    return f"{said} {plural(rest, 'run')} could not be compared." if rest else said


def _joint_learning(records: Sequence[Record]) -> Html:
    names = [f[0] for r in records if (f := r.metrics.first("return", "reward"))]
    if not names:
        return missing("None of these runs recorded a learning curve.")
    name = "return" if "return" in names else "reward"
    curves = [
        figures.Curve(
            tables.label(i, record),
            record.metrics.iteration,
            record.metrics.series[name],
            f"run-{(i - 1) % RUN_COLOURS}",
        )
        for i, record in enumerate(records, start=1)
        if record.metrics.first(name)
    ]
    best = tables.best_of(records)
    levels, _ = _levels(best.evaluation if best else None, curves)
    absent = len(records) - len(curves)
    caption = join(
        "Mean over seeds.",
        " Bands over seeds are in each run's own section."
        if len(curves) > 4
        else " Bands: smallest and largest seed, or from five seeds on the 95\u00a0% bootstrap "
        "interval of the mean.",
        _thinned(max(curve.iteration.size for curve in curves), "iterations"),
        f" {plural(absent, 'run')} recorded no {name}." if absent else None,
        None
        if all(tables.comparable(records[0], r) for r in records)
        else " The systems differ, so heights cannot be compared.",
    )
    return figure(figures.learning(curves, levels, name.capitalize(), "joint"), caption)


def _run(record: Record, position: int, *, alone: bool) -> Html:
    level = 2 if alone else 3
    key = f"r{position}"
    objective = record.evaluation.objective if record.evaluation else None
    network = record.evaluation.network if record.evaluation else None
    after = record.evaluation.ranked_by if record.evaluation else ()
    against = ("Against the rules", _rules(record, key))
    wanted = [
        *([("Utilities", _utilities(record, objective, key))] if objective else []),
        *([("Constraints", said)] if (said := _constraints(record, key)) else []),
    ]
    if "violation" in after:
        wanted.reverse()
    parts = [
        *([*wanted, against] if {"utility", "violation"} & {*after} else [against, *wanted]),
        *([("Network", _network(record, network, key))] if network else []),
        ("Learning", _learning(record, key)),
        *([("Alignment of the reference", said)] if (said := _aligned(record, key)) else []),
        ("One episode", _episode(record, key)),
        ("Configuration", _configuration(record, alone)),
        ("Environment", _environment(record)),
        ("Command", _command(record)),
    ]
    said = (
        tag("p", headline(record.evaluation), class_="lead")
        if record.evaluation
        else missing("This run has not been evaluated, so nothing can be said about its score.")
    )
    sections = join(said, *(section(name, content, level) for name, content in parts))
    if alone:
        return sections
    heading = tag("h2", tag("span", count(position), class_="number"), short(record.name, NAME))
    about = tag("p", f"{tables.name(record)}, {tables.facts(record)}", class_="facts")
    return tag("section", heading, about, sections, class_="run", id=f"run-{position}")


def _rules(record: Record, key: str) -> Html:
    note, found = _note(record, "evaluation.json"), record.evaluation
    if found is None:
        return note
    drawn = figures.differences(found, f"{key}-rules")
    caption = (
        f"Score of {subject(found.reference) or 'the reference'} minus that of each other policy, "
        "paired by scenario, with 95\u00a0% bootstrap intervals. Filled dots: the interval leaves "
        "out 0. Hollow dots: it does not. Arrows: beyond the edge."
    )
    shown = figure(drawn, caption) if drawn else missing("No differences were measured.")
    return join(note, shown, tables.against_rules(found))


def _utilities(record: Record, found: Objective, key: str) -> Html:
    """What the team has of its objective, and how that grew where training recorded it."""
    groups = [n for n in record.metrics.series if n.startswith("utility_")]
    names = ["objective", *(groups if len(groups) > 1 else [])]
    curves = [
        figures.Curve(
            name.removeprefix("utility_"),
            record.metrics.iteration,
            record.metrics.series[name],
            f"run-{i % RUN_COLOURS}",
        )
        for i, name in enumerate(n for n in names if record.metrics.first(n))
    ]
    shown, levels = _by_utility(record, key) or (tables.utilities(found), [])
    if not curves:
        return shown
    caption = join(
        "As estimated during training from the occupancies of its rollouts",
        "; objective is the team's, the others are means over groups of agents."
        if len(curves) > 1
        else ".",
        " Horizontal line: the team's under the best rule." if levels else None,
        _thinned(record.metrics.iteration.size, "iterations"),
    )
    drawn = figures.learning(curves, levels, "Utility", f"{key}-utility")
    return join(shown, figure(drawn, caption))


def _by_utility(record: Record, key: str) -> tuple[Html, list[figures.Level]] | None:
    """All policies by utility, and the best rule's; None where they were not measured."""
    wanted = record.evaluation.by_utility if record.evaluation else None
    if record.evaluation is None or wanted is None:
        return None
    caption = (
        f"Utility of {subject(wanted.reference) or 'the reference'} minus that of each other policy"
        + (", exact." if "utility" in wanted.exact else ", with 95\u00a0% bootstrap intervals.")
    )
    drawn = figures.differences(wanted, f"{key}-wanted")
    shown = join(figure(drawn, caption) if drawn else None, tables.by_utility(record.evaluation))
    levels = [figures.Level(title(p.name), p.mean, dashed=True) for p in wanted.rules[:1]]
    return shown, levels


def _constraints(record: Record, key: str) -> Html | None:
    """Violations along training and at the end; None where there are no constraints."""
    found = record.evaluation.constraint if record.evaluation else None
    values = record.metrics.first("violation")
    if found is None and values is None:
        return None
    said = (
        "Violations on held-out scenarios were not measured."
        if found is None
        else "On held-out scenarios all agents keep their constraints."
        if not found.total
        else f"On held-out scenarios constraints are violated by {number(found.total)} in all, "
        f"{number(found.worst)} at most, by {percent(found.share, 0)} of the agents."
    )
    measured = record.evaluation and any(p.violation for p in record.evaluation.policies)
    listed = tables.by_violation(record.evaluation) if record.evaluation and measured else None
    if values is None or not np.nanmax(values[1]) > 0:
        never = " Along training nobody was seen to violate theirs." if values else None
        return join(tag("p", said, never), listed)
    curve = figures.Curve("violation", record.metrics.iteration, values[1])
    drawn = figures.learning([curve], [], "Violation, summed over agents", f"{key}-violation")
    caption = join(
        "As estimated during training from the occupancies of its rollouts.",
        *_lastly(record),
        _thinned(record.metrics.iteration.size, "iterations"),
    )
    return join(tag("p", said), listed, figure(drawn, caption))


def _lastly(record: Record) -> list[str]:
    """Shares and prices of the last iteration, where they were recorded."""
    share, price = (record.metrics.first(name) for name in ("violated", "price"))
    said = []
    if share:
        mean = float(np.nanmean(share[1][-1:]))
        said.append(f" In the last iteration {percent(mean, 0)} of the agents violate theirs")
    if share and price:
        said[0] += f", at a mean price of {number(float(np.nanmean(price[1][-1:])))}"
    return [f"{one}." for one in said]


SHARES = {"actions": "Actions other than 0", "utility": "Utility"}
"""What is drawn of each agent, beside what the network names."""


def _network(record: Record, found: Network, key: str) -> Html:
    """What agents hear by radius, and where they spend their time."""
    heard = tables.heard(found, _heard(record)) if found.radii and found.within else None
    picture = found.picture
    if picture is None:
        return join(missing("There is no drawing of this graph."), heard)
    panels = [
        panel
        for name, title in {"quantity": picture.quantity, **SHARES}.items()
        for panel in figures.occupancies(picture, name, title, f"{key}-{name}")
    ]
    caption = join(
        "Discounted means over time of each agent under the policy of the first seed, ",
        "exact" if picture.exact else "estimated from held-out episodes",
        ": the fuller a dot, the larger. Both drawings of a row have the same scale.",
        " Edges that lead around are left out." if len(picture.edges) < found.edges else None,
    )
    return join(figure(tag("div", *panels, class_="panels"), caption), heard)


def _heard(record: Record) -> str | None:
    """What agents hear from one another, where training recorded it."""
    found = [record.metrics.first(name) for name in ("messages", "bytes")]
    if None in found:
        return None
    messages, size = (count(float(np.nanmean(x[1]))) for x in found if x is not None)
    return f"For one update an agent hears {messages} numbers of others, {size} bytes."


def _learning(record: Record, key: str) -> Html:
    note = _note(record, "metrics.jsonl")
    found = record.metrics.first("return", "reward")
    if found is None:
        return join(note or missing("metrics.jsonl holds neither return nor reward."))
    name, values = found
    curve = figures.Curve("learned", record.metrics.iteration, values)
    levels, beyond = _levels(record.evaluation, [curve])
    drawn = figures.learning([curve], levels, name.capitalize(), f"{key}-learn")
    caption = join(
        f"{name.capitalize()} during training, where actions are still sampled. {_band(values)}",
        _gaps(values),
        _thinned(len(values), "iterations"),
        " Horizontal lines: held-out scores of rules." if levels else None,
        f" Beyond the scale: {', '.join(beyond)}." if beyond else None,
    )
    return join(note, figure(drawn, caption), _outcomes(record, key), _gradient(record, key))


def _outcomes(record: Record, key: str) -> Html | None:
    """How episodes of training ended, where the evaluation names outcomes."""
    learned = record.evaluation.learned if record.evaluation else None
    names = [n for n in (learned.outcomes if learned else ()) if record.metrics.first(n)]
    if not names:
        return None
    curves = [
        figures.Curve(name, record.metrics.iteration, record.metrics.series[name], f"run-{i}")
        for i, name in enumerate(names[:RUN_COLOURS])
    ]
    caption = join(
        f"Share of the episodes that ended in an iteration of training ({', '.join(names)}), "
        "where actions are still sampled.",
        _thinned(record.metrics.iteration.size, "iterations"),
    )
    drawn = figures.learning(curves, [], "Share of episodes", f"{key}-ends")
    return figure(drawn, caption)


def _band(values: np.ndarray) -> str:
    n = values.shape[1]
    if n == 1:
        return "One seed, so there is no band."
    if n < 5:
        return f"Line: mean of {n} seeds; band: smallest and largest seed."
    return f"Line: mean of {n} seeds; band: 95\u00a0% bootstrap interval of that mean."


def _gaps(values: np.ndarray) -> str | None:
    missing = int((~np.isfinite(values)).sum())
    if not missing:
        return None
    lost = f" {plural(missing, 'value')} of {count(values.size)}"
    return f"{lost} not finite and left out; there is no band there."


def _thinned(longest: int, noun: str) -> str:
    averaged = f" Of more {noun} than can be told apart, neighbours are averaged."
    return averaged if longest > min(figures.POINTS) else ""


def _levels(
    evaluation: Evaluation | None, curves: Sequence[figures.Curve]
) -> tuple[list[figures.Level], list[str]]:
    """Best rule and Best-Fit near enough to the curves to be drawn, and the names of the others."""
    if evaluation is None or not evaluation.rules:
        return [], []
    best, fit = evaluation.rules[0], evaluation.find(BEST_FIT)
    chosen = [best] if fit is None or fit is best else [best, fit]
    values = np.concatenate([c.values[np.isfinite(c.values)] for c in curves])
    low, high = values.min(), values.max()
    room = 3 * ((high - low) or abs(high) or 1.0)
    near = [p for p in chosen if low - room <= p.mean <= high + room]
    levels = [figures.Level(title(p.name), p.mean, dashed=p is not fit) for p in near]
    return levels, [f"{title(p.name)} at {number(p.mean)}" for p in chosen if p not in near]


def _gradient(record: Record, key: str) -> Html | None:
    drawn = figures.gradient(record.metrics, f"{key}-grad")
    if drawn is None:
        return None
    missed = figures.skipped(record.metrics)
    total = missed.sum()
    said = (
        f"{plural(int(total), 'update')} of {count(missed.size)} skipped because not finite."
        if total
        else "No update was skipped."
        if missed.size
        else "Skipped updates were not recorded."
    )
    return figure(drawn, f"Norm of the gradient, line and band as above. {said}")


def _aligned(record: Record, key: str) -> Html | None:
    """Where the model's word and the reward agree; nothing for a domain without a model."""
    found, guided = record.evaluation, _guided(record, key)
    if found is None:
        return join(
            missing("The alignment of the reference was not measured for this run."), guided
        )
    drawn = figures.alignment(found, f"{key}-align")
    if drawn is None:
        return guided
    first, shares = next(iter(found.alignment.items()))
    said = ", ".join(f"{term} in {percent(share, 0)}" for term, share in shares.items())
    caption = (
        f"Share of visited states in which moving from the policy's actions to the reference "
        f"({found.model or 'analytic model'}) improves a term of the reward; 0.5 is a coin toss, "
        f"and below it guidance pulls the wrong way. At states visited by {subject(first)}: {said}."
    )
    return join(figure(drawn, caption), guided)


def _guided(record: Record, key: str) -> Html | None:
    """Alignment on the rollouts of training and the guidance weight, where they were recorded."""
    found = {name: record.metrics.first(name) for name in record.metrics.series}
    names = [name for name in found if found[name] and name.startswith("alignment_")]
    if not names:
        return None
    names += ["alpha"] if found.get("alpha") else []
    curves = [
        figures.Curve(
            name.removeprefix("alignment_"),
            record.metrics.iteration,
            record.metrics.series[name],
            f"run-{i % RUN_COLOURS}",
        )
        for i, name in enumerate(names)
    ]
    caption = join(
        "The same share over training, on states that the learning policy visits",
        "; alpha is the weight that guidance had." if "alpha" in names else ".",
        _thinned(record.metrics.iteration.size, "iterations"),
    )
    drawn = figures.learning(curves, [], "Share of states", f"{key}-guided")
    return figure(drawn, caption)


def _episode(record: Record, key: str) -> Html:
    note = _note(record, "episode.json")
    names = dict.fromkeys(name for series in record.episode.values() for name in series)
    panels = []
    for i, name in enumerate(names):
        series = {p: s[name] for p, s in record.episode.items() if name in s}
        finite = {p: x for p, x in series.items() if np.isfinite(x).any()}
        if finite:
            panels.append(figures.episode(name, finite, f"{key}-ep{i}"))
    if not panels:
        return note or missing("episode.json holds no finite values.")
    longest = max(x.size for series in record.episode.values() for x in series.values())
    caption = f"The same held-out scenario, played by each policy.{_thinned(longest, 'ticks')}"
    return join(note, figure(tag("div", *panels, class_="panels"), caption))


def _configuration(record: Record, alone: bool) -> Html:
    note = _note(record, "config.toml")
    if not record.config:
        return note
    shown = tables.configuration(record)
    if alone:
        return join(note, shown)
    settings = plural(len(record.config), "setting")
    return join(note, tag("details", tag("summary", f"All {settings}"), shown))


def _environment(record: Record) -> Html:
    notes = (_note(record, file) for file in ("run.json", "timing.jsonl", "checkpoints"))
    return join(*notes, tables.environment(record))


def _command(record: Record) -> Html:
    line = tables.command(record)
    if line is None:
        return missing("The command that made this run is not in run.json.")
    return tag("pre", tag("code", line), tabindex=0)


def _note(record: Record, file: str) -> Html:
    """What is wrong with a file, where its content would stand."""
    return missing(record.problems[file]) if file in record.problems else Html()
