"""Plots of a run; the only file that imports matplotlib. The same data give the same bytes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import matplotlib as mpl
from attrs import frozen
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from convbench.stats import Interval
from convbench.units import rate

COLOURS = {
    "pytorch": "#d1495b",
    "keras": "#00798c",
    "keras native_groups": "#66b2bf",
    "keras-jax": "#edae49",
    "keras-torch": "#8d5a97",
}
OTHER_COLOUR = "#66717e"


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
        figure.savefig(file, dpi=130, metadata={"Software": None})


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
            color=COLOURS.get(framework, OTHER_COLOUR),
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
        color=COLOURS.get(point.framework, OTHER_COLOUR),
    )
