"""The throughput tables of a report: frameworks side by side, with ratios of what is the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TypeAlias

from convbench.base.stats import Interval
from convbench.base.text_tables import ABSENT, escaped, table
from convbench.base.units import rate, seconds, significant
from convbench.checks.parity import SAME, Parity
from convbench.measure.estimates import BESIDE, Estimate, beside, estimates, times_as_fast
from convbench.measure.records import Entry, Environment, Measurement, Task
from convbench.networks.passes import PASSES, REPORTED
from convbench.report.plausibility import doubts

BUSY = 1.5
"""A load average of so many times the cores is more than the benchmark's own."""
UNSTABLE = 0.1
"""Half an interval, as a share of its figure, above which that is called unstable."""

UNSTABLE_RATIO = 2**0.5 * UNSTABLE
"""The same of a ratio, which has the intervals of two figures."""

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
    """The measurements, pass by pass, in the order in which frameworks were asked for.

    Several processes of a task run in an order by chance, which is not one to read in.
    """
    entries = [*entries]
    chosen = [v for e in entries if isinstance(e, Environment) for v in e.chosen]
    found = [entry for entry in entries if isinstance(entry, Measurement)]
    seen = [*dict.fromkeys(m.task.architecture for m in found)]

    def place(m: Measurement) -> tuple[int, int, int]:
        pass_ = REPORTED.index(m.task.pass_)
        variant = chosen.index(m.task.variant) if m.task.variant in chosen else len(chosen)
        return pass_, variant, seen.index(m.task.architecture) if chosen else 0

    return sorted(found, key=place)


def loads_of(measurements: Iterable[Measurement]) -> list[float]:
    """The machine's load before and after each task, as far as it was told."""
    found = (load for m in measurements for load in (m.load_before, m.load_after))
    return [load for load in found if load is not None]


def busy(cores: int, measurements: Iterable[Measurement]) -> str | None:
    """A warning if other work ran beside; None if none is needed."""
    measurements = list(measurements)
    worst = max(measurements, key=beside, default=None)
    if worst is None or beside(worst) <= BESIDE:
        return _loaded(cores, measurements)
    stolen = worst.stolen_cores or 0.0
    whose = "the host of this virtual machine took" if stolen > BESIDE else "other processes used"
    remedy = "ask for a machine of your own" if stolen > BESIDE else "stop them"
    disturbed = sum(beside(m) > BESIDE for m in measurements)
    return (
        f"**The machine was busy**: while {worst.task.label} was timed, {whose} "
        f"{beside(worst):.2f} of its {cores} cores; in {disturbed} of {len(measurements)} tasks "
        f"it was more than {BESIDE:g}. What runs beside makes figures too low, and not for all "
        f"rows alike: {remedy}, and measure again."
    )


def _loaded(cores: int, measurements: Sequence[Measurement]) -> str | None:
    """The warning for journals of old, which have the load average alone."""
    if any(m.others_cores is not None for m in measurements):
        return None
    highest = max(loads_of(measurements), default=0.0)
    if highest <= BUSY * cores:
        return None
    return (
        f"**The machine was busy**: a load average of {highest:.2f} on {cores} cores. "
        "What ran beside makes figures too low, and not for all rows alike."
    )


def throughput(entries: Sequence[Entry]) -> str:
    """Throughput tables, one per pass, frameworks side by side with their ratio."""
    found = estimates(measurements_of(entries))
    same, parts = proven(entries), []
    marks = {task: [doubt.mark for doubt in why] for task, why in doubts(entries).items()}
    for pass_ in dict.fromkeys(e.task.pass_ for e in found):
        own = [e for e in found if e.task.pass_ == pass_]
        parts.append(f"### {PASSES[pass_].title}")
        parts.append(
            f"Images per second: {_what(own)} A figure with more than {UNSTABLE:.0%} is marked "
            "unstable. First result: building the model, tracing, compiling and the first step."
            + (PARITY_NOTE if len({e.task.side for e in own}) > 1 else "")
        )
        parts.append(table(_throughput_rows(own, same, marks)))
        parts += _few_rounds(own) + _searches(own)
    return "\n\n".join(parts)


def _searches(own: Sequence[Estimate]) -> list[str]:
    """What ended the search for each batch that is the largest that fits, if any is."""
    ended = {
        f"- {e.task.architecture} {e.task.variant}: {m.batch_search}"
        for e in own
        for m in e.measurements
        if m.batch_search is not None
    }
    lines = "\n".join(map(escaped, sorted(ended)))
    return [f"The largest batches that fit:\n\n{lines}"] if ended else []


def _what(own: Sequence[Estimate]) -> str:
    """What the figures of a table are, and what their intervals are over."""
    processes = {len(e.measurements) for e in own}
    if processes == {1}:
        return (
            "the median of the rounds, ± half of its 95% interval. One process a figure: how far "
            "processes are apart is not known."
        )
    fewest, most = min(processes), max(processes)
    number = f"{fewest}" if fewest == most else f"{fewest} to {most}"
    return (
        f"the geometric mean of {number} processes' medians, ± half of its 95% interval over the "
        "processes; so is a ratio, over pairs of processes that ran one after the other."
    )


def _throughput_rows(
    own: Sequence[Estimate], same: Proven, marks: Mapping[Task, Sequence[str]]
) -> list[dict[str, str]]:
    modes = dict.fromkeys((e.task.variant, (e.task.mode, e.task.dtype)) for e in own)
    pairs = [
        (first, second)
        for mode in dict.fromkeys(mode for _, mode in modes)  # modes have a section of their own
        for first, second in pairwise(variant for variant, its in modes if its == mode)
    ]
    several = len({e.task.batch for e in own}) > 1
    rows = []
    for name, batch in dict.fromkeys((e.task.architecture, e.task.batch) for e in own):
        its = {
            e.task.variant: e for e in own if (e.task.architecture, e.task.batch) == (name, batch)
        }
        row = {"architecture": name} | ({"batch": str(batch)} if several else {})
        for variant, _ in modes:
            e = its.get(variant)
            row[variant] = figure(e, marks.get(e.task, ())) if e else ABSENT
        for first, second in pairs:
            row[f"{first} / {second}"] = _ratio(its, first, second, same)
            sides = (its[side].task.side for side in (first, second) if side in its)
            row["parity" if len(pairs) == 1 else f"parity, {first} / {second}"] = parity_of(
                same, name, *sides
            )
        for variant, _ in modes:
            first_s = its[variant].first_result_s if variant in its else None
            row[f"first result, {variant}"] = ABSENT if first_s is None else seconds(first_s)
        rows.append(row)
    return rows


def figure(estimate: Estimate, doubted: Sequence[str] = ()) -> str:
    """Images per second with their interval, and with marks where they are doubtful.

    What is `doubted` besides stands behind them.
    """
    rates = estimate.images_per_s
    marks = [f"{estimate.rounds} rounds"] if not rates.known else []
    marks += ["unstable"] if round(estimate.step_s.relative, 3) > UNSTABLE else []
    marks += [] if estimate.steady else ["no steady state"]
    marks += dict.fromkeys(doubted)
    marked = f" ({', '.join(marks)})" if marks else ""
    return f"{rate(rates.median)} ± {_share(estimate.step_s.relative)}{marked}"


def _share(relative: float) -> str:
    """Half of an interval as a share; of more than all of the figure nothing more can be said."""
    return f"{relative:.1%}" if relative <= 1 else "more than 100%"


def _few_rounds(own: Sequence[Estimate]) -> list[str]:
    """The footnotes on figures that stand on less than others, if there are any."""
    few = [e for e in own if not e.step_s.known]
    notes = []
    if few:
        numbers = " or ".join(sorted({f"{e.rounds} rounds" for e in few}))
        notes.append(
            f"{numbers}: too few for an interval, because the steps are long beside the seconds "
            "that rounds were to take. Their ± is half of what lies between the slowest and the "
            "fastest."
        )
    if not all(e.steady for e in own):
        notes.append(
            "No steady state: the rounds still became faster or slower when the time for them was "
            "over. More --bench-seconds may reach it; a machine that throttles never does."
        )
    return notes


def parity_of(same: Proven, name: str, *sides: str) -> str:
    """How far two sides are apart on a network, where they were found to be the same."""
    found = same.get((name, frozenset(sides)))
    return f"{found.error:.0e}" if found else ABSENT


def _ratio(own: dict[str, Estimate], first: str, second: str, same: Proven) -> str:
    if first not in own or second not in own:
        return ABSENT
    task, sides = own[first].task, frozenset((own[first].task.side, own[second].task.side))
    if (task.architecture, sides) not in same:
        return ABSENT
    return times(times_as_fast(own[first], own[second]))


def times(ratio: Interval) -> str:
    """A ratio with half of its interval, and a mark where that is wide."""
    marked = " (unstable)" if round(ratio.relative, 3) > UNSTABLE_RATIO else ""
    return f"{significant(ratio.median)} ± {_share(ratio.relative)}{marked}"
