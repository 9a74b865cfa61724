"""What the jobs of the comparison have found, method by method."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from descant.reproduce._common.plan import Scale
from descant.reproduce._common.shown import verdict
from descant.reproduce._common.tables import Measured
from descant.reproduce._compare import plan
from descant.reproduce._compare.jobs import Learn
from descant.reproduce._compare.plan import Method
from descant.reproduce.dgpg._paper import TABLE2

if TYPE_CHECKING:
    from descant.reproduce._common.found import Found

RESAMPLES = 400


@dataclass(frozen=True)
class Compared:
    """All results of a scale."""

    scale: Scale
    found: "Found"

    @cached_property
    def refused(self) -> dict[str, str]:
        """Why algorithms that the domain has nothing for are not compared, by label."""
        least = min(self.scale.servers)
        told = {row.label: self.of(row, least) for row in plan.methods()}
        return {label: said["why"] for label, said in told.items() if said["kind"] == "refused"}

    @cached_property
    def rows(self) -> list[Method]:
        """The methods that are compared."""
        return [row for row in plan.methods() if row.label not in self.refused]

    def at(self, servers: int) -> list[Method]:
        """Those that are run at a size."""
        return [row for row in self.rows if servers in self.sizes(row)]

    def sizes(self, row: Method) -> tuple[int, ...]:
        """At which a method is run."""
        return self.scale.sizes(row.key)

    def of(self, row: Method, servers: int) -> Mapping[str, Any]:
        """What was learnt at a size."""
        return self.found.of(plan.learn(row, servers, self.scale))

    def reward(self, row: Method, servers: int) -> Measured:
        """Mean on held-out scenarios."""
        return self._rewards[row.key, servers]

    def gap(self, row: Method, servers: int) -> Measured | None:
        """A method minus DG-PG, scenario by scenario; None for itself, and where it is not run."""
        return self._gaps.get((row.key, servers))

    def over_rule(self, row: Method, servers: int) -> Measured:
        """A method minus the best rule."""
        return self._over_rules[row.key, servers]

    @cached_property
    def best_rules(self) -> dict[int, tuple[str, Measured]]:
        """Name and reward of the rule with the best mean, by size."""
        every = {n: plan.rules(n, self.scale) for n in self.scale.servers}
        names = {n: self.found.best_rule(job) for n, job in every.items()}
        return {n: (name, self.found.rule(every[n], name)) for n, name in names.items()}

    @cached_property
    def _rewards(self) -> dict[tuple[str, int], Measured]:
        return {key: self.found.held_out(job) for key, job in self._learnt.items()}

    @cached_property
    def _gaps(self) -> dict[tuple[str, int], Measured]:
        learnt, beyond = self._learnt, self.found.beyond
        others = ((key, n, job) for (key, n), job in learnt.items() if key != "dgpg")
        return {(key, n): beyond(job, learnt["dgpg", n]) for key, n, job in others}

    @cached_property
    def _over_rules(self) -> dict[tuple[str, int], Measured]:
        found = {}
        for (key, n), job in self._learnt.items():
            best, _ = self.best_rules[n]
            found[key, n] = self.found.beyond(job, plan.rules(n, self.scale), best)
        return found

    @cached_property
    def _learnt(self) -> dict[tuple[str, int], Learn]:
        every = ((row, n) for row in self.rows for n in self.sizes(row))
        return {(row.key, n): plan.learn(row, n, self.scale) for row, n in every}

    def standing(self, row: Method, servers: int) -> str:
        """A method against DG-PG, in words; not for itself."""
        learners = self._learners(plan.method("dgpg"), servers)
        return _word(self._gaps[row.key, servers], self._learners(row, servers), learners)

    def standing_to_rule(self, row: Method, servers: int) -> str:
        """A method against the best rule, in words."""
        gap, rule = self.over_rule(row, servers), self.best_rules[servers][1].mean
        return _word(gap, self._learners(row, servers), [rule])

    @cached_property
    def least(self) -> dict[int, Measured]:
        """Reward of the rule that anybody should beat, by size."""
        every = {n: plan.rules(n, self.scale) for n in self.scale.servers}
        return {n: self.found.rule(job, plan.LEAST) for n, job in every.items()}

    def standing_to_least(self, row: Method, servers: int) -> str:
        """A method against that rule, in words."""
        job = plan.rules(servers, self.scale)
        gap = self.found.beyond(self._learnt[row.key, servers], job, plan.LEAST)
        return _word(gap, self._learners(row, servers), [self.least[servers].mean])

    def _learners(self, row: Method, servers: int) -> list[float]:
        """Mean reward of each."""
        return [sum(x) / len(x) for x in self.of(row, servers)["values"]]

    def claimed(self, row: Method) -> float | None:
        """The slope of signal to noise that the paper's order of variance comes to."""
        order = TABLE2[row.algorithm][0] if row.algorithm in TABLE2 else None
        return None if order is None else 0.0 - order

    @cached_property
    def noise(self) -> list[Mapping[str, Any]]:
        """Records of the gradients, by size and seed."""
        return [self.found.of(job)["record"] for job in plan.noises(self.scale)]

    @cached_property
    def silent(self) -> dict[str, str]:
        """Why methods have no gradient that could be looked at, by label."""
        said = self.found.of(plan.noises(self.scale)[0])["silent"]
        return {row.label: said[row.key] for row in self.rows if row.key in said}

    def level(self, row: Method, agents: int, quantity: str) -> Measured | None:
        """A quantity of a gradient among so many agents, of the first seed."""
        record = next(record for record in self.noise if record["agents"] == agents)
        one = record["estimators"].get(row.key)
        if one is None:
            return None
        weight = plan.weight(row)
        blends = (m for m in one["mixtures"] if weight is not None and m["alpha"] == weight)
        told = next(blends, one["learning"])
        return _known(told["shares"][quantity] if quantity == "others" else told[quantity])

    @cached_property
    def _slopes(self) -> Mapping[str, Any]:
        from descant.evaluate.noise import slopes

        weights = {w for row in self.rows if (w := plan.weight(row)) is not None}
        return slopes(self.noise, alphas=sorted(weights))

    def slope(self, row: Method, quantity: str) -> Measured | None:
        """Log-log slope over the number of agents; None where it is not resolved, or there is no
        gradient."""
        by = self._slopes.get(row.key)
        if by is None:
            return None
        return _slope((by.get(str(plan.weight(row))) or by["learning"])[quantity])

    def time_slope(self, row: Method) -> Measured | None:
        """Log-log slope of the seconds of an iteration."""
        from descant.evaluate.noise import slope_of

        rows = [(n, _clock(self.of(row, n)["iterating"])) for n in self.sizes(row)]
        return _slope(slope_of(rows, "seconds"))

    def seconds(self, row: Method, servers: int) -> float:
        """Of an iteration of all seeds."""
        return _clock(self.of(row, servers)["iterating"])["seconds"]["value"]


def _word(gap: Measured, ours: list[float], theirs: list[float]) -> str:
    """Better or worse only if the interval says so and every learner is on that side of all others:
    scenarios are drawn anew in an interval, learners are not."""
    word = verdict(gap)
    apart = {"better": min(ours) > max(theirs), "worse": max(ours) < min(theirs)}
    return word if apart.get(word, True) else "no clear difference"


def _clock(seconds: list[float]) -> dict[str, Any]:
    """The median of some times, and medians of times drawn anew."""
    import numpy as np

    times = np.array(seconds)
    drawn = np.random.default_rng(0).choice(times, (RESAMPLES, times.size))
    told = {"value": float(np.median(times)), "low": times.min()}
    return {"seconds": told, "resamples": {"seconds": np.median(drawn, axis=1)}}


def _known(told: Mapping[str, Any]) -> Measured | None:
    if told["value"] is None:
        return None
    return Measured(told["value"], told["low"], told["high"])


def _slope(told: Mapping[str, Any]) -> Measured | None:
    if told["slope"] is None:
        return None
    return Measured(told["slope"], told["low"], told["high"])
