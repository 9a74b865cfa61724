"""The result in a sentence, said the same way whether it is good news or not."""

from descant.report.numbers import digits, number, percent, plural
from descant.report.records import Evaluation, Policy, same

BEST_FIT = "best-fit"


def title(name: str) -> str:
    """A rule's name as prose writes it."""
    return "Best-Fit" if same(name, BEST_FIT) else name


def is_learned(name: str) -> bool:
    """Whether a name that stands outside the list of policies means the learned one."""
    return same(name, "learned")


def subject(name: str) -> str:
    """A policy as the subject of a sentence."""
    return "the learned policy" if is_learned(name) else title(name)


def score(policy: Policy) -> str:
    """Mean and standard error, to the digits the error supports."""
    error = policy.standard_error
    places = digits(error) if error else None
    return number(policy.mean, places) + (f" ± {number(error, places)}" if error else "")


def headline(evaluation: Evaluation) -> str:
    """Where the learned policy stands against Best-Fit and the best rule."""
    learned, rules = evaluation.learned, evaluation.rules
    where = _where(evaluation)
    if learned is None:
        return f"{where}, no learned policy was evaluated. {_best_rule(rules)}"
    wanted = evaluation.by_utility
    if "utility" in evaluation.ranked_by and wanted is not None and wanted.learned is not None:
        return f"{_utility(wanted, where)} {_reward(learned, rules)}"
    said = f"{where}, the learned policy scores {score(learned)}{_outcomes(learned)}"
    if not rules:
        return f"{said}. No rule was evaluated beside it."
    return f"{said}: {_standing(evaluation, rules)}."


def _utility(wanted: Evaluation, where: str) -> str:
    """What a run that was after a utility has of it, beside the rule that has most."""
    learned, rules = wanted.learned, wanted.rules
    if learned is None:
        return ""
    exact = "utility" in wanted.exact
    said = "The learned policy" if exact else f"{where}, the learned policy"
    said += f" has a utility of {number(learned.mean, 4)}{' (exact)' if exact else ''}"
    counts = "violation" in wanted.ranked_by
    if counts:
        said += _violation(learned, " and violates constraints by {} in all", " and keeps")
    if not rules:
        return f"{said}. No rule was evaluated beside it."
    best = rules[0]
    name = f"{title(best.name)}, the best rule"
    if counts:
        keeps = _violation(best, " (by {})", " (which keeps")
        name = f"{title(best.name)}, the rule that violates least{keeps}"
    return f"{said}: {_against(best, name, shares=False, exact=exact)}."


def _violation(policy: Policy, violates: str, keeps: str) -> str:
    short = policy.violation
    if short is None:
        return ""
    if short.mean:
        return violates.format(number(short.mean))
    return f"{keeps} all constraints" + ")" * keeps.count("(")


def _reward(learned: Policy, rules: tuple[Policy, ...]) -> str:
    """What it was not after, in short."""
    said = f"Its reward is {score(learned)}"
    return (
        f"{said}; the rule with most, {title(rules[0].name)}, has {score(rules[0])}."
        if rules
        else f"{said}."
    )


def _outcomes(policy: Policy) -> str:
    """` (won in 62.5 % of them)`, or nothing."""
    said = [f"{name} in {percent(found['mean'])}" for name, found in policy.outcomes.items()]
    return f" ({', '.join(said)} of them)" if said else ""


def relative(policy: Policy) -> tuple[float, float | None, float | None] | None:
    """Difference to a policy as a share of its score; None where its score is 0."""
    gap = policy.difference
    if gap is None or policy.mean == 0:
        return None
    unit = abs(policy.mean)
    low, high = gap["low"], gap["high"]
    if low is None or high is None:
        return gap["mean"] / unit, None, None
    return gap["mean"] / unit, low / unit, high / unit


def decided(policy: Policy) -> bool:
    """Whether the interval of the difference leaves out 0."""
    gap = policy.difference
    if gap is None or gap["low"] is None or gap["high"] is None:
        return False
    return gap["low"] > 0 or gap["high"] < 0


def bracket(low: float | None, high: float | None, decimals: int, *, share: bool = False) -> str:
    """`[5.1 %, 12.0 %]`, or nothing where there is no interval."""
    if low is None or high is None:
        return ""
    write = percent if share else number
    return f"[{write(low, decimals, sign=True)}, {write(high, decimals, sign=True)}]"


def _where(evaluation: Evaluation) -> str:
    if not evaluation.scenarios:
        return "On held-out scenarios"
    return f"On {plural(evaluation.scenarios, 'held-out scenario')}"


def _best_rule(rules: tuple[Policy, ...]) -> str:
    if not rules:
        return "No rule was evaluated either."
    return (
        f"The best of {plural(len(rules), 'rule')} is {title(rules[0].name)} at {score(rules[0])}."
    )


def _standing(evaluation: Evaluation, rules: tuple[Policy, ...]) -> str:
    best = rules[0]
    fit = evaluation.find(BEST_FIT)
    if fit is None or fit is best:
        return _against(best, f"{title(best.name)}, the best rule")
    first = _against(fit, title(fit.name))
    return f"{first}, and {_against(best, f'{title(best.name)}, the best rule')}"


def _against(rule: Policy, name: str, *, shares: bool = True, exact: bool = False) -> str:
    """`8.6 % better than Best-Fit [5.1 %, 12.0 %]`; an interval around 0 is called undecided. Not
    in `shares` where nobody knows what 0 stands for; without an interval where it is `exact`."""
    if rule.difference is None:
        return f"its difference to {name} was not measured"
    gap = rule.difference
    share = relative(rule) if shares else None
    places = digits(gap["mean"])
    size = number(abs(gap["mean"]), places) if share is None else percent(abs(share[0]))
    low, high = (gap["low"], gap["high"]) if share is None else share[1:]
    interval = bracket(low, high, places if share is None else 1, share=share is not None)
    interval = "" if exact else interval
    if gap["mean"] == 0:
        return f"level with {name} {interval}".rstrip()
    side = "better" if gap["mean"] > 0 else "worse"
    said = f"{size} {side} than {name} {interval}".rstrip()
    if exact:
        return said
    if not interval:
        return f"{said} (no interval: too few scenarios)"
    return said if decided(rule) else f"{said}, which is no clear difference"
