"""Per-agent gradient noise by number of agents, on the cloud and on a toy (Theorem 4.2)."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from descant.report.numbers import number, percent
from descant.reproduce._common.figures import Series, by_size
from descant.reproduce._common.jobs import Job, digest
from descant.reproduce._common.plan import Scale
from descant.reproduce._common.shown import Shown, told
from descant.reproduce._common.tables import Cell, Measured, Table
from descant.reproduce.dgpg import _paper as paper

if TYPE_CHECKING:
    from rich.console import Console

    from descant.reproduce._common.found import Found

SCALES = {
    "quick": Scale("quick", servers=(5, 20, 80), seeds=1, scenarios=0),
    "full": Scale("full", servers=(5, 10, 20, 50, 100, 200, 500, 1000), seeds=5, scenarios=0),
}
SIZE = {"cloud": "domain.servers", "balance": "domain.agents"}
"""The setting that is the number of agents, by domain."""
WARM = {"cloud": 100, "balance": 8}
"""Ticks that are played before gradients are looked at."""
SAMPLES = {"quick": 48, "full": 256}
"""Worlds."""
TRAINED = {"quick": 1, "full": 3}
"""Iterations that policy and critics learn before gradients are looked at."""
LABELS = {
    "ippo": "IPPO",
    "mappo": "MAPPO",
    "dgpg-sampled": "DG-PG sampled",
    "dgpg-expected": "DG-PG expected",
    "dgpg-exact": "DG-PG exact",
}
COLOURS = dict(zip(LABELS, ("run-3", "run-2", "run-1", "run-4", "accent"), strict=True))
ALPHA = 0.5
"""Guidance weight of the mixtures that are drawn."""
WIDE = 1.0
"""Width of an interval of a slope from which on it decides nothing: 0 and -1 both fit in."""


@dataclass(frozen=True)
class Probe(Job):
    """The noise of all estimators at one size, at one policy."""

    domain: str
    agents: int
    samples: int
    iterations: int
    seed: int
    values: tuple[tuple[str, Any], ...] = ()

    @property
    def name(self) -> str:
        told = repr((asdict(self), WARM[self.domain]))
        return f"variance-{self.domain}-{self.agents}-{digest(told)}"

    @property
    def title(self) -> str:
        return f"gradient noise, {self.domain} with {self.agents} agents, {self.samples} worlds"

    def seconds(self) -> float:
        return 25.0 + 0.02 * self.samples * self.agents**0.5 + self.agents * self.iterations / 4

    def do(self, place: Path, console: "Console") -> dict[str, Any]:
        import time

        from descant.evaluate import variance
        from descant.train.cache import enable_compile_cache
        from descant.train.progress import phase
        from descant.train.signals import graceful

        enable_compile_cache()
        start = time.perf_counter()
        with graceful(idle=True), phase(console, "Measuring"):
            domain, members = variance.estimators(
                self.domain,
                {**dict(self.values), SIZE[self.domain]: self.agents},
                iterations=self.iterations,
                critic=self.iterations,
                seed=self.seed,
            )
            record = variance.measure(
                domain,
                members,
                samples=self.samples,
                warm=WARM[self.domain],
                seed=self.seed,
            )
        seconds = time.perf_counter() - start
        return {"kind": "variance", "probe": asdict(self), "seconds": seconds, "record": record}


def jobs(scale: Scale) -> list[Job]:
    """A probe for each domain, size and seed."""
    return [
        _probe(domain, servers, seed, scale)
        for domain in SIZE
        for servers in scale.servers
        for seed in range(scale.seeds)
    ]


def show(scale: Scale, found: "Found") -> Shown:
    """Signal to noise by size and estimator, slopes, and the theorem's minimum."""
    records = {domain: _records(domain, scale, found) for domain in SIZE}
    slopes = {domain: _slopes(rows) for domain, rows in records.items()}
    return Shown(
        "Theorem 4.2: gradient noise by number of agents",
        "the variance of an agent's policy gradient grows as N, so that its signal to noise falls "
        "with a log-log slope of −1; guided gradients have O(1), a slope of 0.",
        tuple(_findings(slopes, records)),
        (_slope_table(slopes), _size_table(records), _theorem_table(records)),
        tuple(_figure(domain, rows) for domain, rows in records.items()),
        (
            f"Scale --{scale.name}: {scale.seeds} seeds, {SAMPLES[_size(scale)]} worlds each.",
            f"DG-PG's numbers are of the blend with alpha = {ALPHA}, unless a column says guidance "
            "alone.",
            "Signal to noise is |mean|² / variance: rewards are divided by N, so absolute "
            "variances across sizes say little.",
            "A size whose interval reaches down to 0 has no logarithm and is left out of a slope; "
            "leaving out small values makes slopes flatter than they are.",
        ),
    )


def _size(scale: Scale) -> str:
    return "full" if scale.name == "full" else "quick"


def _probe(domain: str, agents: int, seed: int, scale: Scale) -> Probe:
    values = tuple(scale.values.items()) if domain == "cloud" else ()
    size = _size(scale)
    samples = scale.scenarios or SAMPLES[size]
    iterations = scale.iterations.get("variance", TRAINED[size])
    return Probe(domain, agents, samples, iterations, seed, values)


def _records(domain: str, scale: Scale, found: "Found") -> list[Mapping[str, Any]]:
    probes = [_probe(domain, n, seed, scale) for n in scale.servers for seed in range(scale.seeds)]
    return [found.of(probe)["record"] for probe in probes]


def _slopes(records: list[Mapping[str, Any]]) -> Mapping[str, Any]:
    from descant.evaluate import variance

    return variance.slopes(records, alphas=(ALPHA,))


def _figure(domain: str, records: list[Mapping[str, Any]]):
    series = []
    for name, label in LABELS.items():
        points = [
            (float(record["agents"]), snr)
            for record in records
            if (snr := _measured(_whole(record, name).get("snr"))) is not None and snr.mean > 0
        ]
        series.append(Series(label, tuple(points), COLOURS[name]))
    return by_size(
        "figure" if domain == "cloud" else domain,
        series,
        f"Signal to noise of one agent's gradient, {domain}",
        f"|mean|² / variance, {domain}; bars: 95 % interval over blocks of worlds. Several marks "
        "at a size are seeds. Estimates at or below 0 are not drawn.",
        across="agents",
        logarithmic=True,
    )


def _slope_table(slopes: Mapping[str, Mapping[str, Any]]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for domain, by in slopes.items():
        for name, label in LABELS.items():
            if name not in by:
                continue
            part = by[name].get(str(ALPHA)) or by[name]["learning"]
            alone = by[name].get("guidance")
            claimed = paper.VARIANCE_SLOPES.get(name)
            rows.append(
                (
                    *(domain, label, None if claimed is None else -claimed),
                    _slope(part["snr"]),
                    _slope(part["others"]),
                    _slope(alone["snr"]) if alone else None,
                    ", ".join(map(str, sorted({*part["snr"]["unresolved"]}))) or "none",
                )
            )
    return Table(
        "table",
        "Log-log slopes over the number of agents",
        (
            *("domain", "estimator", "claimed slope of signal to noise", "ours"),
            *("slope of the others' share", "guidance alone", "sizes left out"),
        ),
        tuple(rows),
        "With 95 % intervals.",
        decimals=2,
        words=2,
    )


def _size_table(records: Mapping[str, list[Mapping[str, Any]]]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for domain, known in records.items():
        for record in known:
            for name, label in LABELS.items():
                whole = _whole(record, name)
                guidance = record["estimators"][name]["guidance"]
                rows.append(
                    (
                        *(domain, str(record["agents"]), label),
                        _measured(whole.get("snr")),
                        _measured(whole["shares"]["others"]),
                        _measured(guidance["snr"]) if guidance else None,
                        _measured(record["estimators"][name]["correlation"]),
                    )
                )
    return Table(
        "by-size",
        "Noise by size",
        (
            *("domain", "agents", "estimator", "signal to noise", "others' share of variance"),
            *("guidance alone", "correlation of the two gradients"),
        ),
        tuple(rows),
        "With 95 % intervals over blocks of worlds.",
        decimals=4,
        words=3,
    )


def _theorem_table(records: Mapping[str, list[Mapping[str, Any]]]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for domain, known in records.items():
        for record in known:
            for name, label in LABELS.items():
                if (said := record["estimators"][name]["theorem"]) is not None:
                    rows.append(
                        (
                            *(domain, str(record["agents"]), label),
                            *(said["best_predicted"], said["best_measured"], _excess(said)),
                        )
                    )
    return Table(
        "theorem",
        "The guidance weight with the least variance",
        (
            *("domain", "agents", "estimator", "predicted", "measured"),
            "variance there over the measured minimum",
        ),
        tuple(rows),
        "Predicted by Theorem 4.2's formula from one half of the worlds, measured on the other.",
        decimals=2,
        words=3,
    )


def _excess(said: Mapping[str, Any]) -> float | None:
    least = said["minimum_measured"]
    return said["measured_at_best_predicted"] / least if least else None


def _findings(
    slopes: Mapping[str, Mapping[str, Any]], records: Mapping[str, list[Mapping[str, Any]]]
) -> Iterator[str]:
    for domain, by in slopes.items():
        parts = []
        for name, label in LABELS.items():
            if name in by:
                found = _slope((by[name].get(str(ALPHA)) or by[name]["learning"])["snr"])
                parts.append(f"{label} {told(found, 2) if found else 'not resolved'}")
        yield f"Slopes of signal to noise over N, {domain}: {'; '.join(parts)}."
        for name, claimed in paper.VARIANCE_SLOPES.items():
            found = _slope((by[name].get(str(ALPHA)) or by[name]["learning"])["snr"])
            if found is None:
                continue
            low, high = found.ends
            slope = number(-claimed, 0)
            if high - low > WIDE:
                yield f"{LABELS[name]} on {domain}: too wide an interval to hold against {slope}."
                continue
            word = "is consistent with" if low <= -claimed <= high else "contradicts"
            yield f"{LABELS[name]} on {domain}: this {word} the claimed slope of {slope}."
        last = max(records[domain], key=lambda record: record["agents"])
        share = _measured(_whole(last, "mappo")["shares"]["others"])
        if share is not None:
            yield (
                f"At {last['agents']} agents of {domain}, {percent(share.mean, 0)} of the variance "
                "of MAPPO's gradient comes from the other agents' actions."
            )


def _whole(record: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The blend of an estimator, or what it learns from alone."""
    one = record["estimators"][name]
    blends = (m for m in one["mixtures"] if abs(m["alpha"] - ALPHA) < 1e-9)
    return next(blends, one["learning"])


def _measured(found: Mapping[str, Any] | None) -> Measured | None:
    if found is None or found["value"] is None:
        return None
    return Measured(found["value"], found["low"], found["high"])


def _slope(found: Mapping[str, Any]) -> Measured | None:
    if found["slope"] is None:
        return None
    return Measured(found["slope"], found["low"], found["high"])
