"""Tables of the report: numbers to the right, with equal decimals in a column."""

import shlex
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

import numpy as np

from descant.evaluate.statistics import Interval, paired_difference, welch_difference
from descant.report.figures import MOST_ROWS
from descant.report.headline import BEST_FIT, bracket, relative, score, subject, title
from descant.report.markup import Html, escape, join, short, tag
from descant.report.numbers import NONE, count, digits, duration, number, percent, plural
from descant.report.records import NAME, Evaluation, Network, Objective, Policy, Record, numeric

VALUE = 200
"""Characters shown of one configuration value; a longer one ends in an ellipsis."""


def table(
    head: Sequence[object],
    rows: Iterable[Sequence[object]],
    caption: object = None,
    *,
    name: str,
    words: int = 1,
    marked: frozenset[int] = frozenset(),
) -> Html:
    """A table that scrolls inside its own box; its first `words` columns are text, not numbers."""
    kinds = [None if i < words else "n" for i in range(len(head))]
    heads = [tag("th", c, scope="col", class_=k) for c, k in zip(head, kinds, strict=True)]
    top = tag("thead", tag("tr", *heads)) if any(head) else None
    body = [
        tag(
            "tr",
            tag("th", row[0], scope="row"),
            *(tag("td", c, class_=k) for c, k in zip(row[1:], kinds[1:], strict=True)),
            class_="learned" if i in marked else None,
        )
        for i, row in enumerate(rows)
    ]
    inner = tag("table", top, tag("tbody", *body), aria_label=name)
    box = tag("div", inner, class_="scroll", role="region", tabindex=0, aria_label=name)
    return tag("figure", box, tag("figcaption", caption) if caption else None)


def against_rules(evaluation: Evaluation) -> Html:
    """Every policy: its score, its difference to the reference, and what it did to the system."""
    shown = evaluation.policies[:MOST_ROWS]
    reference = subject(evaluation.reference) or "the reference"
    ends = _endings(shown)
    names = [n for n in dict.fromkeys(n for p in shown for n in p.diagnostics) if n not in ends]
    places = {n: _places(p.diagnostics.get(n) for p in shown) for n in names}
    error = digits(_middle(p.standard_error for p in shown))
    gap = digits(_middle(_half(p.difference) for p in shown))
    bound = evaluation.bound
    bounded = [] if bound is None else ["gap to bound"]
    head = ["policy", *ends, "score", *bounded, "difference", "relative", "wins"]
    rows = [
        [
            title(p.name),
            *(_ending(p, end) for end in ends),
            _with_error(p, error),
            *(_to_bound(p, error) for _ in bounded),
            _difference(p.difference, gap),
            percent(share[0], sign=True) if (share := relative(p)) else NONE,
            percent(p.improvement, 0),
            *(number(p.diagnostics.get(name), places[name]) for name in names),
        ]
        for p in shown
    ]
    if bound is not None:
        before = ["bound", *[""] * len(ends), number(bound, error)]
        rows.append([*before, *[""] * (len(head) + len(names) - len(before))])
    left_out = len(evaluation.policies) - len(shown)
    caption = join(
        "Score: mean over scenarios ± standard error, higher is better. "
        f"Difference: {reference} minus policy, paired by scenario, with its 95\u00a0% bootstrap "
        f"interval; above 0, {reference} is better. Relative: as a share of the policy's own "
        f"score. Wins: scenarios on which {reference} scores higher, ties counting half.",
        f" {', '.join(ends)}: share of scenarios that ended so, with its 95\u00a0% interval."
        if ends
        else None,
        " Bound: no policy can score higher on these scenarios. Gap: what a policy could still "
        "gain at most, also as a share of its own score."
        if bounded
        else None,
        f" {plural(left_out, 'further policy row')} in evaluation.json." if left_out else None,
    )
    marked = frozenset(i for i, p in enumerate(shown) if p.learned)
    return table(head + names, rows, caption, name="Scores of all policies", marked=marked)


def _endings(policies: Iterable[Policy]) -> list[str]:
    """What becomes of episodes, such as battles won."""
    return list(dict.fromkeys(name for policy in policies for name in policy.outcomes))


def _ending(policy: Policy | None, name: str) -> Html:
    found = policy.outcomes.get(name) if policy else None
    if found is None:
        return escape(NONE)
    low, high = found["low"], found["high"]
    ends = "" if low is None or high is None else f"[{percent(low)}, {percent(high)}]"
    return _beside(percent(found["mean"]), ends)


def utilities(objective: Objective) -> Html:
    """The learned policy's utility, in all and by groups, and what no policy exceeds."""
    groups = objective.groups if len(objective.groups) > 1 else {}
    rows = [("the team", objective.value), *groups.items()]
    if objective.most is not None:
        rows.append(("no policy exceeds", objective.most))
    gap = None if objective.most is None else objective.most - objective.value
    caption = join(
        "Exact" if objective.exact else "Estimated from held-out episodes",
        f", at discount {number(objective.discount)}. The team's is a function of all agents' ",
        "occupancies; of each group, the mean." if groups else "occupancies.",
        f" The gap to what no policy exceeds is {_share(gap, objective.most)}.",
    )
    cells = [(name, number(value, 5)) for name, value in rows]
    return table(["", "utility"], cells, caption, name="Utilities")


def by_utility(evaluation: Evaluation) -> Html:
    """Every policy's utility, in all and by groups, its difference to the reference, and what no
    policy exceeds."""
    wanted, objective = evaluation.by_utility, evaluation.objective
    shown = wanted.policies[:MOST_ROWS] if wanted else ()
    groups = list(dict.fromkeys(n for p in shown if p.utility for n in p.utility.groups))
    groups = groups if len(groups) > 1 else []
    exact = "utility" in evaluation.exact
    # What episodes that are cut off have may exceed what is true of ones without an end.
    most = objective.most if objective and exact else None
    bounded = [] if most is None else ["gap to bound"]
    gap = digits(_middle(_half(p.difference) or (p.difference or {}).get("mean") for p in shown))
    rows = [
        [
            title(p.name),
            number(p.mean, 4),
            *(number(most - p.mean, 4) for _ in bounded if most is not None),
            _sure(p.difference, 4) if exact else _difference(p.difference, gap),
            *(number(p.utility.groups.get(name) if p.utility else None, 4) for name in groups),
        ]
        for p in shown
    ]
    head = ["policy", "utility", *bounded, "difference", *groups]
    if most is not None:
        rows.append(["no policy exceeds", number(most, 4), *[""] * (len(head) - 2)])
    reference = subject(evaluation.reference) or "the reference"
    caption = join(
        f"Utility at discount {number(objective.discount)}" if objective else "Utility",
        ", known exactly of all policies"
        if exact
        else ", estimated from the same held-out episodes of each policy, less what a curved "
        "function of a noisy mean is off by",
        f"; higher is better. Difference: {reference} minus policy",
        "." if exact else ", paired by scenario, with its 95 % bootstrap interval.",
        " Further columns: the mean over each group of agents." if groups else None,
        " The bound holds for every policy." if bounded else None,
    )
    marked = frozenset(i for i, p in enumerate(shown) if p.learned)
    return table(head, rows, caption, name="Utilities of all policies", marked=marked)


def by_violation(evaluation: Evaluation) -> Html:
    """Every policy's violation of constraints, the least first."""
    found = [(p, p.violation) for p in evaluation.policies if p.violation is not None]
    found.sort(key=lambda pair: pair[1].mean)
    exact = "violation" in evaluation.exact
    gap = digits(_middle(_half(v.difference) for _, v in found))
    rows = [
        [
            title(p.name),
            number(v.mean, 4),
            _sure(v.difference, 4) if exact else _difference(v.difference, gap),
        ]
        for p, v in found[:MOST_ROWS]
    ]
    reference = subject(evaluation.reference) or "the reference"
    caption = join(
        "By how much constraints are violated, summed over agents; less is better. ",
        "Known exactly of all policies. "
        if exact
        else "Estimated from the same held-out episodes of each policy. ",
        f"Difference: {reference} minus policy; below 0, {reference} violates less.",
    )
    marked = frozenset(i for i, (p, _) in enumerate(found) if p.learned)
    head = ["policy", "violation", "difference"]
    return table(head, rows, caption, name="Violations of all policies", marked=marked)


def _sure(gap: Interval | None, places: int) -> str:
    return NONE if gap is None else number(gap["mean"], places, sign=True)


MEANS = {"policy": "states to act on", "critic": "states and actions", "credit": "returns"}
"""What agents hear of others, by what for."""


def heard(network: Network, said: str | None) -> Html:
    """What an agent hears from others for one update, by radius: numbers and bytes; and what
    training said of it."""
    rows = [
        [
            count(radius),
            _beside(number(mean), f"up to {count(most)}" if most != mean else ""),
            *(_numbers(network, name, radius, mean) for name in MEANS),
        ]
        for radius, (mean, most) in enumerate(network.within)
    ]
    mine = ", ".join(f"{name} {count(radius)}" for name, radius in network.radii.items())
    caption = join(
        said and f"{said} ",
        "By radius: numbers, and bytes of them, that an agent hears from others for one update of "
        f"{count(network.samples)} ticks, were the radius of policy, fitted critic or credit that "
        f"of the row: {plural(network.state_bytes, 'byte')} for a state, one for an action, four "
        "for a return; others in the mean. "
        f"Bold: the radii of this run ({mine}).",
    )
    head = ["radius", "others", *(f"{name}: {what}" for name, what in MEANS.items())]
    return table(head, rows, caption, name="What an agent hears")


def _numbers(network: Network, name: str, radius: int, others: float) -> Html:
    state = network.state_bytes
    told = {"policy": (1, state), "critic": (2, state + 1), "credit": (1, 4)}[name]
    values, size = (each * network.samples * others for each in told)
    said = _beside(count(values), f"{count(size)} B")
    return tag("strong", said) if network.radii.get(name) == radius else said


def _share(gap: float | None, most: float | None) -> str:
    if gap is None or most is None:
        return "not known"
    return number(gap, 5) + (f", {percent(gap / abs(most), 2)} of that" if most else "")


def learned_policies(records: Sequence[Record]) -> Html:
    """One row per run; runs on the same system are compared with the best of them."""
    best = best_of(records)
    ends = _endings(policy for record in records if (policy := _learned(record)))
    rows = [_learned_row(i, record, best, ends) for i, record in enumerate(records, start=1)]
    measures = [n for n in ("violation", "utility") if any(_has(r, n) for r in records)]
    rows = [
        [*row[:2], *(_has(r, n) or NONE for n in measures), *row[2:]]
        for r, row in zip(records, rows, strict=True)
    ]
    head = ["run", "trained", *measures, *ends, "score", "gap to bound"]
    head += ["to Best-Fit", "to best rule", "minus best run"]
    caption = (
        "Gap to bound: what the policy could still gain at most, also as a share of its score. "
        "To Best-Fit and to the best rule: difference as a share of the rule's "
        "score, above 0 where the learned policy is better. Minus best run: paired by scenario "
        "where both runs were evaluated on the same ones, otherwise by Welch's interval; empty "
        "where the systems differ and scores cannot be compared."
    )
    marked = frozenset(i for i, record in enumerate(records) if record is best)
    return table(head, rows, caption, name="Learned policies", words=2, marked=marked)


def _has(record: Record, measure: str) -> str | None:
    policy = _learned(record)
    found = getattr(policy, measure) if policy else None
    return None if found is None else number(found.mean, 4)


def evaluated(records: Sequence[Record]) -> list[Record]:
    """Runs whose learned policy has a score."""
    return [r for r in records if _learned(r) is not None]


def best_of(records: Sequence[Record]) -> Record | None:
    """The run whose learned policy scores highest, or is best by what all runs were after; None
    where scores cannot be compared."""
    scored = evaluated(records)
    if not scored or any(not comparable(scored[0], r) for r in scored):
        return None
    after = {r.evaluation.ranked_by for r in scored if r.evaluation}
    wanted = [w.learned for r in scored if r.evaluation and (w := r.evaluation.by_utility)]
    if len(after) == 1 and "utility" in after.pop() and len(wanted) == len(scored):
        return min(zip(scored, wanted, strict=True), key=lambda pair: _rank(*pair))[0]
    return max(scored, key=lambda r: _mean(_learned(r)))


def _rank(record: Record, policy: Policy | None) -> tuple[float, float]:
    """The less, the better."""
    after = record.evaluation.ranked_by if record.evaluation else ()
    short = policy.violation if policy and "violation" in after else None
    return (short.mean if short else 0.0), -_mean(policy)


def comparable(a: Record, b: Record) -> bool:
    """Whether two runs trained on the same system, so that their scores mean the same."""
    return _system(a) == _system(b)


def configuration(record: Record) -> Html:
    """Every setting by its dotted name, in a table for each part of the configuration."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for name, value in record.config.items():
        group = name.split(".")[0] if "." in name else "run"
        groups.setdefault(group, []).append((short(name, NAME), short(value, VALUE)))
    parts = (
        table([g, "value"], rows, name=f"Settings: {g}", words=2) for g, rows in groups.items()
    )
    return tag("div", *parts, class_="settings")


def configuration_differences(records: Sequence[Record]) -> Html:
    """Settings in which runs differ, a column for each run; a sentence if there are none.

    What an algorithm takes over from the one it builds on (`algorithm.base.clip`) is the same
    setting as there (`algorithm.clip`).
    """
    configs = [{n.replace(".base.", "."): v for n, v in r.config.items()} for r in records]
    names = dict.fromkeys(name for config in configs for name in config)
    differing = [n for n in names if len({config.get(n) for config in configs}) > 1]
    if not differing:
        return tag("p", "All runs have the same configuration.")
    head = ["setting", *(label(i, r) for i, r in enumerate(records, start=1))]
    rows = [
        [short(n, NAME), *(short(config.get(n, NONE), VALUE) for config in configs)]
        for n in differing
    ]
    same = len(names) - len(differing)
    caption = f"Settings that differ. {plural(same, 'other setting')} agree in all runs."
    return table(head, rows, caption, name="Settings that differ", words=len(head))


def environment(record: Record) -> Html:
    """What it ran on, for how long, and what is left of it."""
    facts = record.facts
    versions = facts.get("versions")
    listed = versions.items() if isinstance(versions, dict) else ()
    rows = [
        ("device", facts.get("device")),
        ("instruction set", facts.get("isa")),
        ("threads", _threads(facts)),
        ("versions", ", ".join(f"{name} {version}" for name, version in listed)),
        ("parameters", count(numeric(facts.get("parameters")))),
        ("started", _starts(facts)),
        ("training time", duration(_total(record, "seconds"))),
        ("speed", _speed(record)),
        ("checkpoints", _checkpoints(record)),
    ]
    cells = [(name, short(value, 400) if value else NONE) for name, value in rows]
    return table(["", ""], cells, name="Environment", words=2)


def command(record: Record) -> str | None:
    """The command line that made the run, quoted for a shell."""
    words = record.facts.get("command")
    if not isinstance(words, list) or not words or not all(isinstance(w, str) for w in words):
        return None
    return short(shlex.join(words), 4000)


def label(position: int, record: Record) -> str:
    """A run's number and name."""
    return f"{position} {short(record.name, 40)}"


def name(record: Record) -> str:
    """What was trained on what."""
    return f"{algorithm(record)} on {domain(record)}"


def facts(record: Record) -> str:
    """How long and how wide it was trained, as far as is recorded."""
    last = record.metrics.iteration[-1:]
    parts = [plural(int(last[0]), "iteration")] if last.size else ["no iterations recorded"]
    return ", ".join(parts + ([plural(n, "seed")] if (n := seeds(record)) else []))


def algorithm(record: Record) -> str:
    """The algorithm as configured, or as evaluated where the configuration is missing."""
    found = record.evaluation
    return short(record.config.get("algorithm") or (found and found.algorithm) or NONE, NAME)


def domain(record: Record) -> str:
    """The domain as configured, or as evaluated where the configuration is missing."""
    found = record.evaluation
    return short(record.config.get("domain") or (found and found.domain) or NONE, NAME)


def seeds(record: Record) -> int:
    """Seeds that were trained side by side, as recorded."""
    return max((x.shape[1] for n, x in record.metrics.series.items() if n != "progress"), default=0)


def _learned(record: Record) -> Policy | None:
    return record.evaluation.learned if record.evaluation else None


def _mean(policy: Policy | None) -> float:
    return policy.mean if policy else -np.inf


def _system(record: Record) -> tuple[object, ...]:
    settings = {n: v for n, v in record.config.items() if n.startswith("domain.")}
    return domain(record), tuple(sorted(settings.items()))


def _learned_row(
    position: int, record: Record, best: Record | None, ends: Sequence[str]
) -> list[object]:
    evaluation, policy = record.evaluation, _learned(record)
    row: list[object] = [tag("a", label(position, record), href=f"#run-{position}")]
    row.append(f"{name(record)}, {facts(record)}")
    row += [_ending(policy, end) for end in ends]
    if evaluation is None or policy is None:
        return [*row, *[NONE] * 5]
    rules = evaluation.rules
    gap = None if best is None or best is record else _between(record, best)
    shares = (relative(rule) if rule else None for rule in (evaluation.find(BEST_FIT), *rules[:1]))
    cells = [percent(share[0], sign=True) if share else NONE for share in shares]
    cells += [NONE] * (2 - len(cells))
    row += [score(policy), _to_bound(policy, digits(policy.standard_error))]
    return [*row, *cells, _difference(gap, digits(_half(gap)))]


def _between(record: Record, best: Record) -> Interval | None:
    """Learned policy of a run minus that of the best run."""
    a, b = _learned(record), _learned(best)
    if a is None or b is None or not a.values or not b.values:
        return None
    same = _scenarios(record) == _scenarios(best) and len(a.values) == len(b.values)
    return (paired_difference if same else welch_difference)(a.values, b.values)


def _scenarios(record: Record) -> object:
    """What tells one set of scenarios from another; unlike any other where it was not recorded."""
    found = record.evaluation
    known = found is not None and found.scenario_seed is not None
    return (found.scenario_seed, found.scenarios) if found and known else object()


def _difference(gap: Interval | None, places: int) -> Html:
    if gap is None:
        return escape(NONE)
    return _beside(number(gap["mean"], places, sign=True), bracket(gap["low"], gap["high"], places))


def _with_error(policy: Policy, places: int) -> Html:
    error = policy.standard_error
    aside = "" if error is None else f"± {number(error, places)}"
    return _beside(number(policy.mean, places), aside)


def _to_bound(policy: Policy, places: int) -> Html:
    if policy.gap is None:
        return escape(NONE)
    share = percent(policy.gap / abs(policy.mean)) if policy.mean else ""
    return _beside(number(policy.gap, places), share)


def _beside(text: str, aside: str) -> Html:
    return join(text, " ", tag("span", aside, class_="aside")) if aside else escape(text)


def _half(gap: Interval | None) -> float | None:
    if gap is None or gap["low"] is None or gap["high"] is None:
        return None
    return (gap["high"] - gap["low"]) / 2


def _middle(values: Iterable[float | None]) -> float | None:
    known = [v for v in values if v]
    return float(np.median(known)) if known else None


def _places(values: Iterable[float | None]) -> int:
    return digits(max((abs(v) for v in values if v is not None), default=None), 3)


def _total(record: Record, name: str) -> float | None:
    found = record.timing.first(name)
    return float(np.nansum(found[1])) if found else None


def _speed(record: Record) -> str | None:
    found = record.timing.first("steps_per_second")
    return f"{number(float(np.nanmedian(found[1])))} steps per second (median)" if found else None


def _threads(facts: dict[str, Any]) -> str | None:
    if "threads" not in facts:
        return None
    fixed = numeric(facts["threads"])
    return count(fixed) if fixed else "not fixed: another machine may round differently"


def _starts(facts: dict[str, Any]) -> str:
    starts = facts.get("started")
    starts = starts if isinstance(starts, list) else []
    first = facts.get("created") or (starts[0] if starts else None)
    again = len(starts) - 1
    return _moment(first) + (f"; resumed {plural(again, 'time')}" if again > 0 else "")


def _moment(stamp: object) -> str:
    """An ISO time as people write it; anything else as it is."""
    try:
        return datetime.fromisoformat(str(stamp)).strftime("%Y-%m-%d %H:%M %Z").strip()
    except ValueError:
        return str(stamp or "")


def _checkpoints(record: Record) -> str:
    kept = ", ".join(_ranges(record.checkpoints)) or "none"
    moved = (
        f"; {plural(record.quarantined, 'damaged one')} moved aside" if record.quarantined else ""
    )
    return f"iteration {kept}{moved}" if record.checkpoints else f"none{moved}"


def _ranges(steps: Sequence[int]) -> list[str]:
    """Steps as they are, or the ends of a long unbroken row."""
    runs = [list(g) for _, g in groupby(enumerate(steps), key=lambda pair: pair[1] - pair[0])]
    ends = [(run[0][1], run[-1][1]) for run in runs]
    return [count(a) if a == b else f"{count(a)}–{count(b)}" for a, b in ends]
