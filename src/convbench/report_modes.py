"""The section of a report that sets the modes of a framework against its default."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve

from convbench.modes import DEFAULT, MODES
from convbench.record import Measurement
from convbench.report_throughput import Proven, parity_of
from convbench.stats import ratio, spread
from convbench.tables import ABSENT, table
from convbench.units import significant

NOTE = (
    "How many times as many images per second a framework gives in a mode as in its default mode, "
    "pass by pass; ± is what the spreads of both sides' rounds add up to. One process a side."
)


def section(measured: Sequence[Measurement], same: Proven) -> str:
    """The section; nothing where no task was timed both by default and in another mode.

    There is no ratio where the mode was not proven to compute the same.
    """
    pairs = _pairs(measured)
    if not pairs:
        return ""
    passes = dict.fromkeys(mode.task.pass_ for mode, _ in pairs)
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for mode, default in pairs:
        key = mode.task.architecture, mode.task.variant
        parity = parity_of(same, key[0], default.task.variant, mode.task.variant)
        blank = {"architecture": key[0], "mode": key[1], "parity": parity}
        row = rows.setdefault(key, blank | dict.fromkeys(passes, ABSENT))
        if parity != ABSENT:
            row[mode.task.pass_] = _times_as_fast(mode, default)
    meanings = [
        f"- `{name}`: {MODES[name].meaning}"
        for name in dict.fromkeys(mode.task.mode for mode, _ in pairs)
        if name in MODES
    ]
    parts = ["## Modes of one framework", NOTE, table([*rows.values()]), "\n".join(meanings)]
    return "\n\n".join(part for part in parts if part)


def _pairs(measured: Sequence[Measurement]) -> list[tuple[Measurement, Measurement]]:
    """Each task in a mode with the same task by default."""
    by_task = {m.task: m for m in measured}
    return [
        (m, by_task[default])
        for m in measured
        if (default := evolve(m.task, mode=DEFAULT)) in by_task and default != m.task
    ]


def _times_as_fast(mode: Measurement, default: Measurement) -> str:
    times, relative = ratio(spread(default.rounds_s), spread(mode.rounds_s))
    return f"{significant(times)} ± {relative:.1%}"
