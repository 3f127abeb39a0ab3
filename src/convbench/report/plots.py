"""Plots of a run; the only file that imports matplotlib. The same data give the same bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

import matplotlib as mpl
from attrs import frozen
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from convbench.base.stats import Interval
from convbench.base.units import Second, rate, seconds

COLOURS = {
    "pytorch": "#d1495b",
    "keras": "#00798c",
    "keras native_groups": "#66b2bf",
    "keras-jax": "#edae49",
    "keras-torch": "#8d5a97",
}
OTHER_COLOUR = "#66717e"
BOUND_COLOUR = "#222222"

KINDS = {
    "convolution": "#30638e",
    "1x1 convolution": "#6ea4cc",
    "depthwise convolution": "#00798c",
    "grouped convolution": "#8fc9c9",
    "dense": "#d1495b",
    "batch normalization": "#edae49",
    "activation": "#8a9a5b",
    "pooling": "#7b4b94",
    "local response normalization": "#c58b4e",
    "joining": "#b39ddb",
    "other": "#b8bfc6",
}
"""Colours of kinds of layers."""

Bar: TypeAlias = Sequence[tuple[str, str, Second]]
"""Nodes in the network's order: kind, address and seconds of each."""


@frozen
class Point:
    """Throughput of one architecture in one framework and mode, with its interval."""

    architecture: str
    framework: str
    images_per_s: Interval


def throughput(panels: Sequence[tuple[str, Sequence[Point]]], file: Path) -> None:
    """Points on a logarithmic axis, one panel per pass; a line joins the frameworks.

    Logarithmic, since LeNet-5 and VGG-16 are four orders of magnitude apart: equal distances are
    equal ratios. Each point has its number, since nobody reads numbers off such an axis.
    """
    names = list(dict.fromkeys(point.architecture for _, points in panels for point in points))
    with mpl.rc_context({"font.size": 9, "font.family": "DejaVu Sans"}):
        size = (5.4 * max(1, len(panels)), 1.2 + 0.3 * len(names))
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axis, (title, points) in zip(axes, panels, strict=True):
            _panel(axis, title, points, names)
        legend: dict[str, Artist] = {}
        for axis in axes:
            legend |= dict(zip(*reversed(axis.get_legend_handles_labels()), strict=True))
        shown = figure.legend(
            legend.values(), legend.keys(), loc="outside upper right", ncols=9, frameon=False
        )
        for text in shown.get_texts():
            text.set_parse_math(False)
        figure.savefig(file, format="png", dpi=130, metadata={"Software": None})


def _panel(axis: Axes, title: str, points: Sequence[Point], names: list[str]) -> None:
    for row, name in enumerate(names):
        own = sorted(
            (p for p in points if p.architecture == name), key=lambda p: p.images_per_s.median
        )
        axis.plot([p.images_per_s.median for p in own], [row] * len(own), color="#bbbbbb", zorder=1)
        for place, point in enumerate(own):
            last = place == len(own) - 1
            _number(axis, point, row, "after" if last else "above" if place else "before")
    for framework in dict.fromkeys(point.framework for point in points):
        own = [point for point in points if point.framework == framework]
        rates = [point.images_per_s for point in own]
        axis.errorbar(
            [r.median for r in rates],
            [names.index(point.architecture) for point in own],
            xerr=[[r.median - r.low for r in rates], [r.high - r.median for r in rates]],
            fmt="o",
            markersize=5,
            elinewidth=1.2,
            color=_colour(framework),
            label=framework,
        )
    axis.set_xscale("log")
    axis.set_yticks(range(len(names)), names, parse_math=False)
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.margins(x=0.2)
    axis.set_title(title, loc="left", fontsize=10, parse_math=False)
    axis.set_xlabel("images per second (logarithmic)")
    axis.grid(color="#e4e4e4", linewidth=0.6)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)


def _colour(variant: str) -> tuple[float, float, float]:
    """A framework's colour; each word that says how it was run makes it paler."""
    framework, *ways = variant.split(" ")
    known = to_rgb(COLOURS.get(variant, COLOURS.get(framework, OTHER_COLOUR)))
    paler = 0.0 if variant in COLOURS else 1 - 0.6 ** len(ways)
    red, green, blue = (part + (1 - part) * paler for part in known)
    return red, green, blue


def _number(axis: Axes, point: Point, row: int, where: Literal["before", "above", "after"]) -> None:
    """Writes a point's throughput beside it, where no other point's stands."""
    rates = point.images_per_s
    x = {"before": rates.low, "above": rates.median, "after": rates.high}[where]
    axis.annotate(
        rate(rates.median),
        (x, row),
        xytext={"before": (-6, 0), "above": (0, 4), "after": (6, 0)}[where],
        textcoords="offset points",
        ha={"before": "right", "above": "center", "after": "left"}[where],
        va="bottom" if where == "above" else "center",
        fontsize=7.5,
        color=_colour(point.framework),
    )


def profile(
    title: str,
    bars: Mapping[str, Bar],
    whole_s: Mapping[str, Second],
    slowest: Sequence[str],
    file: Path,
) -> None:
    """Above, all nodes of each side one after the other; below, the slowest side by side.

    A mark on a bar is what the whole network takes; `roofline`, if it is there, is no side but the
    bound, which marks each of the slowest nodes.
    """
    sides = [name for name in bars if name in whole_s]
    with mpl.rc_context({"font.size": 9, "font.family": "DejaVu Sans"}):
        heights = (0.9 + 0.45 * len(bars), 0.8 + 0.16 * len(slowest) * (len(sides) + 0.6))
        figure = Figure(figsize=(9.6, sum(heights) + 0.4), layout="constrained")
        above, below = figure.subplots(2, 1, height_ratios=heights)
        _stack(above, bars, whole_s)
        above.set_title(title, loc="left", fontsize=10, parse_math=False)
        _slowest(below, bars, sides, slowest)
        figure.savefig(file, dpi=130, metadata={"Software": None} if file.suffix == ".png" else {})


def _stack(axis: Axes, bars: Mapping[str, Bar], whole_s: Mapping[str, Second]) -> None:
    total = max(sum(taken for _, _, taken in bar) for bar in bars.values())
    for row, bar in enumerate(bars.values()):
        left = 0.0
        for kind, address, taken in bar:
            colour = KINDS.get(kind, OTHER_COLOUR)
            axis.barh(row, taken, left=left, color=colour, edgecolor="white", linewidth=0.3)
            if taken > 0.01 * len(address) * total:
                x = left + taken / 2
                axis.text(x, row, address, ha="center", va="center", fontsize=6.5, color="white")
            left += taken
    for row, name in enumerate(bars):
        if name in whole_s:
            axis.plot([whole_s[name]] * 2, [row - 0.45, row + 0.45], color=BOUND_COLOUR)
    axis.plot([], [], color=BOUND_COLOUR, label="whole network")
    kinds = dict.fromkeys(kind for bar in bars.values() for kind, _, _ in bar)
    for kind in (kind for kind in KINDS if kind in kinds):
        axis.barh(0, 0, color=KINDS[kind], label=kind)
    axis.legend(loc="upper center", bbox_to_anchor=(0.45, -0.12), ncols=5, frameon=False)
    _dress(axis, list(bars))


def _slowest(
    axis: Axes, bars: Mapping[str, Bar], sides: Sequence[str], slowest: Sequence[str]
) -> None:
    height = 0.8 / len(sides)
    for number, name in enumerate(sides):
        taken = {address: seconds_ for _, address, seconds_ in bars[name]}
        rows = [row + (number - (len(sides) - 1) / 2) * height for row in range(len(slowest))]
        values = [taken[address] for address in slowest]
        axis.barh(rows, values, height, color=COLOURS.get(name, OTHER_COLOUR), label=name)
    if "roofline" in bars:
        bound = {address: seconds_ for _, address, seconds_ in bars["roofline"]}
        for row, address in enumerate(slowest):
            label = "roofline" if row == 0 else None
            x = [bound[address]] * 2
            axis.plot(x, [row - 0.42, row + 0.42], color=BOUND_COLOUR, label=label)
    axis.legend(loc="lower right", frameon=False)
    axis.set_title(f"The {len(slowest)} slowest nodes", loc="left", fontsize=10)
    _dress(axis, slowest)


def _dress(axis: Axes, names: Sequence[str]) -> None:
    axis.set_yticks(range(len(names)), names, parse_math=False)
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.xaxis.set_major_formatter(lambda value, _: seconds(value) if value else "0")
    axis.grid(axis="x", color="#e4e4e4", linewidth=0.6)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
