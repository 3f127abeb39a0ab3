"""The section of a report that sets the modes of a framework against its default."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve

from convbench.base.text_tables import ABSENT, table
from convbench.frameworks.modes import DEFAULT, MODES, SINGLE, parts
from convbench.measure.estimates import Estimate, times_as_fast
from convbench.report.throughput import Proven, parity_of, times

NOTE = (
    "How many times as many images per second a framework gives in a mode as in its default mode, "
    "pass by pass; ± is half of the ratio's 95% interval: over pairs of processes where there are "
    "several, else what the intervals of both sides add up to."
)

PRECISION = (
    "- Half precisions are mixed: weights, updates and sums in float32, convolutions and matrix "
    "products in halves. They compute the same function but for rounding, which "
    "`convbench parity --dtype` judges."
)


def section(measured: Sequence[Estimate], same: Proven) -> str:
    """The section; nothing where no task was timed both by default and in another mode.

    There is no ratio where the mode was not proven to compute the same.
    """
    pairs = _pairs(measured)
    if not pairs:
        return ""
    passes = dict.fromkeys(mode.task.pass_ for mode, _ in pairs)
    several = len({mode.task.batch for mode, _ in pairs}) > 1
    rows: dict[tuple[str, str, int], dict[str, str]] = {}
    for mode, default in pairs:
        key = mode.task.architecture, mode.task.variant, mode.task.batch
        parity = parity_of(same, key[0], default.task.side, mode.task.side)
        if default.task.side == mode.task.side:
            parity = "rounding"
        blank = {"architecture": key[0], "mode": key[1], "parity": parity}
        blank |= {"batch": str(key[2])} if several else {}
        row = rows.setdefault(key, blank | dict.fromkeys(passes, ABSENT))
        if parity != ABSENT:
            row[mode.task.pass_] = times(times_as_fast(mode, default))
    meanings = [
        f"- `{name}`: {MODES[name].meaning}"
        for name in dict.fromkeys(part for mode, _ in pairs for part in parts(mode.task.mode))
        if name in MODES and name != DEFAULT
    ]
    if any(mode.task.dtype != SINGLE for mode, _ in pairs):
        meanings.append(PRECISION)
    found = ["## Modes of one framework", NOTE, table([*rows.values()]), "\n".join(meanings)]
    return "\n\n".join(part for part in found if part)


def _pairs(measured: Sequence[Estimate]) -> list[tuple[Estimate, Estimate]]:
    """Each task in a mode or a half precision with the same task by default in single."""
    by_task = {m.task: m for m in measured}
    return [
        (m, by_task[default])
        for m in measured
        if (default := evolve(m.task, mode=DEFAULT, dtype=SINGLE)) in by_task and default != m.task
    ]
