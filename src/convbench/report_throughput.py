"""The throughput tables of a report: frameworks side by side, with ratios of what is the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TypeAlias

from convbench.parity import SAME, Parity
from convbench.record import Entry, Measurement
from convbench.stats import FEW, spread
from convbench.tables import ABSENT, table
from convbench.units import rate, seconds, significant

BUSY = 1.5
"""A load average of so many times the cores is more than the benchmark's own."""
UNSTABLE = 0.1
"""A relative spread of rounds above which a figure is called unstable."""

PASS_TITLES = {  # in the order in which a report shows them
    "forward": "Forward (inference)",
    "backward": "Forward and backward",
    "train_step": "Training step",
}

PARITY_NOTE = (
    " Parity: the largest relative difference between the two in outputs, gradients and batch-norm "
    "statistics of one training step in double precision, or in single precision where a mode has "
    f"no other; up to {SAME['float64']:.0e} and {SAME['float32']:.0e} they are the same function. "
    "Where that is not proven there is no ratio."
)

Proven: TypeAlias = Mapping[tuple[str, frozenset[str]], Parity]
"""The parity of two sides on a network, by its name and theirs."""


def proven(entries: Iterable[Entry]) -> Proven:
    """What was found to compute the same function."""
    found = (entry for entry in entries if isinstance(entry, Parity))
    return {(parity.name, frozenset(parity.sides)): parity for parity in found if parity.same}


def measurements_of(entries: Iterable[Entry]) -> list[Measurement]:
    """The measurements, pass by pass."""
    order = [*PASS_TITLES]
    found = [entry for entry in entries if isinstance(entry, Measurement)]
    return sorted(found, key=lambda m: order.index(m.task.pass_) if m.task.pass_ in order else 9)


def loads_of(measurements: Iterable[Measurement]) -> list[float]:
    """The machine's load before and after each task, as far as it was told."""
    found = (load for m in measurements for load in (m.load_before, m.load_after))
    return [load for load in found if load is not None]


def busy(cores: int, measurements: Iterable[Measurement]) -> str | None:
    """A warning if other work ran beside; None if none is needed."""
    highest = max(loads_of(measurements), default=0.0)
    if highest <= BUSY * cores:
        return None
    return (
        f"**The machine was busy**: a load average of {highest:.2f} on {cores} cores. "
        "What ran beside makes figures too low, and not for all rows alike."
    )


def throughput(entries: Sequence[Entry]) -> str:
    """Throughput tables, one per pass, frameworks side by side with their ratio."""
    measurements = [m for m in measurements_of(entries) if m.rounds_s]
    same, parts = proven(entries), []
    for pass_ in dict.fromkeys(m.task.pass_ for m in measurements):
        own = [m for m in measurements if m.task.pass_ == pass_]
        parts.append(f"### {PASS_TITLES.get(pass_, pass_)}")
        parts.append(
            "Images per second: the median of the rounds, ± half their interquartile range; a "
            f"figure with more than {UNSTABLE:.0%} is marked unstable. "
            "First step: what tracing, compiling and first allocations add up to."
            + (PARITY_NOTE if len({m.task.variant for m in own}) > 1 else "")
        )
        parts.append(table(_throughput_rows(own, same)))
        parts += _few_rounds(own)
    return "\n\n".join(parts)


def _throughput_rows(measurements: Sequence[Measurement], same: Proven) -> list[dict[str, str]]:
    modes = dict.fromkeys((m.task.variant, m.task.mode) for m in measurements)
    pairs = [
        (first, second)
        for mode in dict.fromkeys(mode for _, mode in modes)  # modes have a section of their own
        for first, second in pairwise(variant for variant, its in modes if its == mode)
    ]
    rows = []
    for name in dict.fromkeys(m.task.architecture for m in measurements):
        own = {m.task.variant: m for m in measurements if m.task.architecture == name}
        row = {"architecture": name}
        for variant, _ in modes:
            row[variant] = figure(own[variant]) if variant in own else ABSENT
        for first, second in pairs:
            row[f"{first} / {second}"] = _ratio(own, first, second, same)
            row["parity" if len(pairs) == 1 else f"parity, {first} / {second}"] = parity_of(
                same, name, first, second
            )
        for variant, _ in modes:
            first_s = own[variant].first_s if variant in own else None
            row[f"first step, {variant}"] = ABSENT if first_s is None else seconds(first_s)
        rows.append(row)
    return rows


def figure(measurement: Measurement) -> str:
    """Images per second with their spread, and with marks where they are doubtful."""
    steps = spread(measurement.rounds_s)
    rounds = len(measurement.rounds_s)
    marks = [f"{rounds} rounds"] if rounds < FEW else []
    marks += ["unstable"] if round(steps.relative, 3) > UNSTABLE else []
    marked = f" ({', '.join(marks)})" if marks else ""
    return f"{rate(measurement.throughput(steps.median))} ± {steps.relative:.1%}{marked}"


def _few_rounds(measurements: Sequence[Measurement]) -> list[str]:
    """The footnote on figures that stand on fewer rounds than others, if there are any."""
    few = [m for m in measurements if len(m.rounds_s) < FEW]
    if not few:
        return []
    numbers = " or ".join(sorted({f"{len(m.rounds_s)} rounds" for m in few}))
    budget = max(m.budget_s or 0 for m in few)
    return [
        f"{numbers}: one step is longer than the {budget:g} s that all rounds were to take, so "
        "there are no more. Their ± is half of what lies between the slowest and the fastest."
    ]


def parity_of(same: Proven, name: str, *sides: str) -> str:
    """How far two sides are apart on a network, where they were found to be the same."""
    found = same.get((name, frozenset(sides)))
    return f"{found.error:.0e}" if found else ABSENT


def _ratio(own: dict[str, Measurement], first: str, second: str, same: Proven) -> str:
    if first not in own or second not in own:
        return ABSENT
    if (own[first].task.architecture, frozenset((first, second))) not in same:
        return ABSENT
    rates = [m.throughput(spread(m.rounds_s).median) for m in (own[first], own[second])]
    return significant(rates[0] / rates[1])
