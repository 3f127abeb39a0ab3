"""The plot of operating curves; it alone of this package imports matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from attrs import frozen
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from convbench.base.units import Second
from convbench.gate.self_check.tallies import Rate

OURS = "gate"
OUR_COLOUR = "#d1495b"
COLOURS = ("#30638e", "#00798c", "#edae49", "#7b4b94", "#8a9a5b", "#c58b4e", "#66717e", "#6ea4cc")
TOLERATED = "#999999"
MARKS = ("o", "s", "D", "x")


@frozen
class Needed:
    """Pairs until a subject is decided, for one spread of log ratios, against the slowdown."""

    spread: float
    slowdowns: Sequence[float]
    usual: Sequence[float]
    """The median."""
    most: Sequence[float]
    """What 95% of subjects do not need more than."""


def operating_curves(
    alarms: Mapping[str, Mapping[str, Rate]],
    found: Mapping[str, Mapping[float, Rate]],
    needed: Sequence[Needed],
    *,
    tolerance: float,
    longest: int,
    pair_s: Second,
    file: Path,
) -> None:
    """Left, false alarms by data and rule; middle, what is found; right, what it takes.

    `longest` are the pairs after which nothing more was tried.
    """
    with mpl.rc_context({"font.size": 9, "font.family": "DejaVu Sans"}):
        figure = Figure(figsize=(14.0, 4.6), layout="constrained")
        left, middle, right = figure.subplots(1, 3, width_ratios=(1.2, 1, 1))
        _alarms(left, alarms)
        _found(middle, found)
        _needed(right, needed, pair_s)
        right.text(15, longest, f"undecided after {longest}", ha="right", va="center", fontsize=8)
        for axis in (middle, right):
            axis.axvline(100 * tolerance, color=TOLERATED, linewidth=1, linestyle="--")
            axis.set_xticks((0, 3, 5, 10, 15))
            axis.set_xlabel("slowdown of the head, in percent (dashed: the tolerance)")
        for axis in (left, middle, right):
            axis.grid(color="#e4e4e4", linewidth=0.6)
            axis.set_axisbelow(True)
            axis.spines[["top", "right"]].set_visible(False)
        figure.savefig(file, format="png", dpi=130, metadata={"Software": None})


def _alarms(axis: Axes, alarms: Mapping[str, Mapping[str, Rate]]) -> None:
    names = list(dict.fromkeys(name for rates in alarms.values() for name in rates))
    for place, (data, rates) in enumerate(alarms.items()):
        for name, rate in rates.items():
            row = names.index(name) + 0.22 * (place - (len(alarms) - 1) / 2)
            low, high = rate.interval
            axis.errorbar(
                100 * rate.share,
                row,
                xerr=[[100 * (rate.share - low)], [100 * (high - rate.share)]],
                fmt=MARKS[place],
                markersize=4,
                elinewidth=1,
                color=COLOURS[place],
                label=data if name == names[-1] else None,
            )
    axis.set_yticks(range(len(names)), names)
    axis.get_yticklabels()[names.index(OURS)].set_color(OUR_COLOUR)
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.set_xlim(-2, 102)
    axis.set_xlabel("runs of six tasks that fail, in percent")
    axis.set_title("False alarms: nothing has changed", loc="left", fontsize=10)
    _legend(axis, 2)


def _found(axis: Axes, found: Mapping[str, Mapping[float, Rate]]) -> None:
    others = [name for name in found if not name.startswith(OURS)]
    for name, rates in found.items():
        ours = name not in others
        axis.plot(
            [100 * slowdown for slowdown in rates],
            [100 * rate.share for rate in rates.values()],
            color=OUR_COLOUR if ours else COLOURS[others.index(name)],
            linewidth=2.2 if ours else 1.0,
            linestyle="--" if ours and name != OURS else "-",
            zorder=3 if ours else 2,
            label=name,
        )
    axis.set_ylabel("tasks that are called slower, in percent")
    axis.set_ylim(-2, 102)
    axis.set_title("Detection: one task, simulated", loc="left", fontsize=10)
    _legend(axis, 2)


def _needed(axis: Axes, needed: Sequence[Needed], pair_s: Second) -> None:
    for place, curve in enumerate(needed):
        slowdowns = [100 * slowdown for slowdown in curve.slowdowns]
        colour = COLOURS[place]
        axis.plot(slowdowns, curve.usual, color=colour, label=f"spread {curve.spread:.0%}")
        axis.plot(slowdowns, curve.most, color=colour, linestyle=":", linewidth=1.2)
    axis.set_ylabel("pairs until the task is decided (dotted: 95% of tasks)")
    axis.set_ylim(0, None)
    axis.set_title("What a decision takes", loc="left", fontsize=10)
    _legend(axis, 2)
    seconds = axis.secondary_yaxis(
        "right",
        functions=(lambda pairs: np.multiply(pairs, pair_s), lambda s: np.divide(s, pair_s)),
    )
    seconds.set_ylabel(f"seconds, at {pair_s:g} s a pair")


def _legend(axis: Axes, columns: int) -> None:
    """Below the axis, where it hides nothing."""
    axis.legend(
        loc="upper center", bbox_to_anchor=(0.45, -0.13), ncols=columns, frameon=False, fontsize=8
    )
