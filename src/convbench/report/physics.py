"""The section of a report that holds figures against what the machine can do at all."""

from __future__ import annotations

from collections.abc import Sequence

from convbench.base.text_tables import escaped, table
from convbench.base.units import per_second, rate
from convbench.measure.estimates import BESIDE, beside
from convbench.measure.records import Attainable, Entry
from convbench.networks.passes import REPORTED
from convbench.report.plausibility import PEAK_NOISE, PROCESS_NOISE, Closeness, closeness, doubts

PEAKS_NOTE = (
    "What the frameworks' own operators attained, just before their first task: the best round of "
    "matrix products and of 3x3 convolutions of several sizes (a multiply-accumulate is two "
    "operations), and of a copy that no cache holds (bytes read and bytes written). The machine's "
    "peak is the best of all frameworks."
)

NOTE = (
    "Achieved: the operations of the pass, counted by hand and not by the framework, divided by "
    "the time of a step; then their share of the machine's peak. Bound: the roofline "
    "(Williams, Waterman and Patterson 2009): each node takes at least the time of its operations "
    "at the peak, or of its bytes at the rate of the copy, whichever is longer, and the network "
    "the sum of its nodes; then the share of it that was reached, and how much of the bound is "
    "memory's. Nodes that are fused, or whose values stay in a cache, can be faster than memory's "
    "part of the bound, as small networks are; nothing can be faster than the peak."
)

DOUBTS_NOTE = (
    f"Impossible: more than {PEAK_NOISE:.0%} faster than the machine's peak, which is what that "
    "peak may be too low by. Implausible: faster than a network of the same family that has less "
    f"of everything, beyond the spread of both and by more than {PROCESS_NOISE:.0%}, which is what "
    "processes differ by."
)


def section(entries: Sequence[Entry]) -> str:
    """The section; nothing for a run that measured no peak and has no figure in doubt."""
    peaks = [entry for entry in entries if isinstance(entry, Attainable)]
    close = sorted(closeness(entries), key=lambda c: REPORTED.index(c.task.pass_))
    several = len({one.task.batch for one in close}) > 1
    parts = [
        *((PEAKS_NOTE, table([_peak(peak) for peak in peaks])) if peaks else ()),
        _disturbed(peaks),
        *((NOTE, table([_row(one, several=several) for one in close])) if close else ()),
        _doubts(entries),
    ]
    text = "\n\n".join(part for part in parts if part)
    return f"## How close to the machine\n\n{text}" if text else ""


def _peak(peak: Attainable) -> dict[str, str]:
    return {
        "framework": peak.framework,
        "device": peak.device,
        "threads": str(peak.threads),
        "dtype": peak.dtype,
        "matrix product": per_second(peak.matmul_flops, "FLOP"),
        "convolution": per_second(peak.conv_flops, "FLOP"),
        "copy": per_second(peak.copy_bytes_s, "B"),
    }


def _disturbed(peaks: Sequence[Attainable]) -> str:
    """The warning where others used the machine while a peak was measured."""
    worst = max(map(beside, peaks), default=0.0)
    if worst <= BESIDE:
        return ""
    return (
        f"**A peak is too low**: while it was measured, others used {worst:.2f} cores of the "
        "machine. Shares of it are too high; where no peak was left alone, no figure is called "
        "impossible."
    )


def _row(close: Closeness, *, several: bool) -> dict[str, str]:
    task = close.task
    return {
        "architecture": task.architecture,
        "pass": task.pass_,
        **({"batch": str(task.batch)} if several else {}),
        "framework": task.variant,
        "achieved": per_second(close.flops, "FLOP"),
        "of the peak": f"{close.flops / close.machine.flops:.1%}",
        "bound, images/s": rate(task.batch / close.bound_s),
        "reached": f"{close.bound_s / close.step_s:.1%}",
        "memory's part": f"{close.memory_s / close.bound_s:.0%}",
    }


def _doubts(entries: Sequence[Entry]) -> str:
    lines = [
        f"- **{doubt.mark}:** {escaped(f'{task.label}: {doubt.why}')}"
        for task, found in doubts(entries).items()
        for doubt in found
    ]
    if not lines:
        return ""
    return "\n\n".join(("### Figures that cannot be right", DOUBTS_NOTE, "\n".join(lines)))
