"""The plot of the gate: each question's ratio of head over base with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import groupby
from pathlib import Path

import matplotlib as mpl
from attrs import frozen
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from convbench.base.errors import Unsupported
from convbench.base.files import replace
from convbench.gate.outputs.words import change, plain, short
from convbench.gate.values import GateResult, Verdict

WIDE = 1.5
"""From this ratio on the axis is logarithmic."""
NARROW = 1.02
"""The axis shows at least ratios up to this one, and down to its inverse."""
FAR = 1.25
"""How far beyond its ratio the interval of what is open widens the axis, at most."""
MOST_SIGNS = 44
"""Of a subject's name that are shown."""
ROUND_RATIOS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10, 20, 50, 100, 1000)
"""Where a logarithmic axis may have its marks."""
INK, FAINT = "#222222", "#697077"


@frozen
class Mark:
    """How a verdict looks: readable by its form alone, too."""

    sign: str
    colour: str
    full: bool = True


MARKS = {
    "worse": Mark(">", "#c1121f"),
    "cannot tell": Mark("o", FAINT, full=False),
    "not worse": Mark("o", "#00798c"),
    "better": Mark("<", "#30638e"),
}


METADATA = {".png": {"Software": None}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
"""The files that it can be, and what they may not say, so that the same data give the same."""


def ratios(result: GateResult, file: Path) -> None:
    """Draws a row for each question, in their order; the same result gives the same bytes."""
    if file.suffix not in METADATA:
        kinds = " or ".join(METADATA)
        raise Unsupported(str(file), "it cannot be a plot", f"name a file that ends in {kinds}")
    verdicts = result.verdicts
    height = 0.24 * len(verdicts) + 1.3
    with mpl.rc_context({"font.size": 9, "font.family": "DejaVu Sans", "svg.hashsalt": "gate"}):
        figure = Figure(figsize=(9.6, height), layout="constrained")
        axis = figure.subplots()
        _frame(axis, verdicts)
        for row, verdict in enumerate(verdicts):
            _row(axis, row, verdict)
        _name(axis, verdicts)
        if verdicts:
            _legend(figure, verdicts)
        save = partial(
            figure.savefig, format=file.suffix[1:], dpi=130, metadata=METADATA[file.suffix]
        )
        replace(file, save)


def _frame(axis: Axes, verdicts: Sequence[Verdict]) -> None:
    """The axis: equal distances are equal ratios as soon as that makes a difference."""
    known = [end for v in verdicts for end in _ends(v)]
    most = max([NARROW, *(v.question.tolerance + 1 for v in verdicts), *known])
    least = min([1 / NARROW, *known])
    if most > WIDE or least < 1 / WIDE:
        axis.set_xscale("log")
        axis.set_xlim(least / (most / least) ** 0.06, most * (most / least) ** 0.06)
        inside = [r for r in ROUND_RATIOS if least * 0.98 <= r <= most * 1.02]
        axis.xaxis.set_major_locator(FixedLocator(inside))
        axis.xaxis.set_minor_locator(NullLocator())
    else:
        room = 0.06 * (most - least)
        axis.set_xlim(least - room, most + room)
        axis.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 2.5, 5, 10]))
    axis.xaxis.set_major_formatter(lambda ratio, _: _tick(ratio))
    axis.set_ylim(len(verdicts) - 0.4, -0.6)
    axis.axvline(1.0, color=INK, linewidth=0.9, zorder=1)
    axis.grid(axis="x", color="#e4e4e4", linewidth=0.6)
    axis.set_axisbelow(True)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.tick_params(left=False)
    axis.set_xlabel("head over base: to the right the head is slower or larger")


def _ends(verdict: Verdict) -> list[float]:
    """What the axis must reach; an interval that decides nothing yet may run out of it."""
    if verdict.ratio is None:
        return []
    ends = [end for end in (verdict.low, verdict.high) if end is not None]
    if verdict.outcome == "cannot tell":
        ends = [min(max(end, verdict.ratio / FAR), verdict.ratio * FAR) for end in ends]
    return [verdict.ratio, *ends]


def _tick(ratio: float) -> str:
    """A ratio as a change, without digits that say nothing."""
    return f"{100 * (ratio - 1):+.3g}%" if abs(ratio - 1) > 1e-9 else "0"


def _row(axis: Axes, row: int, verdict: Verdict) -> None:
    bound = 1 + verdict.question.tolerance
    label = "tolerance" if row == 0 else None
    axis.plot([bound] * 2, [row - 0.5, row + 0.5], color=INK, linewidth=1.1, ls=":", label=label)
    mark = MARKS[_kind(verdict)]
    left, right = axis.get_xlim()
    beside = axis.get_yaxis_transform()
    if verdict.ratio is None:
        said = "not measured"
    else:
        low, high = verdict.low or left, verdict.high or right
        # An end that nobody knows runs to the border, dotted.
        for here, there, open_ in (
            (low, verdict.ratio, verdict.low is None),
            (verdict.ratio, high, verdict.high is None),
        ):
            style = (0, (1, 2)) if open_ else "-"
            axis.plot([here, there], [row] * 2, color=mark.colour, linewidth=1.6, ls=style)
        face = mark.colour if mark.full else "white"
        axis.plot(
            verdict.ratio, row, mark.sign, color=mark.colour, markerfacecolor=face, markersize=6
        )
        said = f"{change(verdict.ratio)}  {short(verdict)}"
    axis.text(1.01, row, said, transform=beside, va="center", fontsize=8, color=mark.colour)


def _kind(verdict: Verdict) -> str:
    return "better" if verdict.outcome == "not worse" and verdict.better else verdict.outcome


def _name(axis: Axes, verdicts: Sequence[Verdict]) -> None:
    """Names the rows: each subject once where its questions follow each other."""
    several = len({v.question.quantity for v in verdicts}) > 1
    names, row = [], 0
    for subject, group in groupby(verdicts, key=lambda v: v.question.subject):
        quantities = [v.question.quantity for v in group]
        if row and several:
            axis.axhline(row - 0.5, color="#d5d5d5", linewidth=0.6, zorder=0)
        for number, quantity in enumerate(quantities):
            name = _drawable(plain(subject)) if number == 0 else ""
            names.append(f"{name}  {quantity}" if several else name)
        row += len(quantities)
    axis.set_yticks(range(len(names)), names, parse_math=False, fontsize=8)


def _drawable(name: str) -> str:
    """A name without halves of characters, which no font has, and without its middle if long."""
    whole = name.encode(errors="backslashreplace").decode()
    if len(whole) <= MOST_SIGNS:
        return whole
    half = (MOST_SIGNS - 1) // 2
    return f"{whole[:half]}…{whole[-half:]}"


def _legend(figure: Figure, verdicts: Sequence[Verdict]) -> None:
    axis = figure.axes[0]
    found = {_kind(verdict) for verdict in verdicts}
    for kind, mark in MARKS.items():
        if kind in found:
            face = mark.colour if mark.full else "white"
            axis.plot([], [], mark.sign, color=mark.colour, markerfacecolor=face, label=kind)
    figure.legend(loc="outside upper left", ncols=6, frameon=False)
