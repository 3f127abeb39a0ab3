"""Whether the error of a precision is as large as rounding makes it, and where it is not.

A framework computes in `float32` or `bfloat16` what it also computes in double precision. How far
the two are apart says little of itself: rounding grows through a network, by a factor that depends
on the network. That factor is measured: every weight and every pixel is moved by one unit roundoff
of the precision, up or down by chance, and the network computed again in double precision. Layers
that compute as they should give the exact answer for weights that are about one rounding off (the
backward error of Higham, Accuracy and Stability of Numerical Algorithms, 2nd edition, section 1.5),
so their error is a small multiple of what that did; a wrong layer's is not.

The multiple: a sum of n terms, rounded each time, is off by up to about sqrt(n) roundings (Higham
and Mary 2019, A New Approach to Probabilistic Rounding Error Analysis, SIAM J. Sci. Comput. 41(5)).
In `float32` every sum is rounded so, and n is the longest one of a step; in `bfloat16` sums are
kept in single precision and rounded once, at the end of each layer. docs/parity.md has what correct
networks came to.

Gradients jump: a unit near 0 that rounding turns on or off, or a maximum that moves, takes its
share of the gradient along, however small the rounding. Both runs tell which units did, and units
that are a share p of a layer are sqrt(p) of its gradient in the Euclidean norm.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import accumulate
from math import inf, prod, sqrt
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from attrs import frozen
from numpy.lib.stride_tricks import sliding_window_view

from convbench.base.units import Second
from convbench.checks.parity import FARTHEST, ORDER, errors_of, losses_of, require_same_arrays
from convbench.frameworks.arrays import Array, Found, Kind, reading
from convbench.networks.graph import Graph
from convbench.networks.layer_facts import facts
from convbench.networks.layer_row import Window

UNIT = {"float32": 2.0**-24, "bfloat16": 2.0**-8}
"""Unit roundoff, 2^-p with p significant bits: 24 in IEEE 754's binary32, 8 in bfloat16."""

ONCE = 4.0
"""Roundings of every weight that an error may be worth where sums are rounded at the end alone."""

NOTHING_LEFT = 1.0
"""The relative error at which nothing of an array is left."""

Verdict: TypeAlias = Literal["rounding", "cannot tell", "NOT ROUNDING"]


@frozen
class Worst:
    """The largest relative error of one kind."""

    error: float
    at: str


@frozen
class Place:
    """One place, its error, and what one rounding of every weight does there."""

    at: str
    kind: Kind
    error: float
    rounding: float
    allowed: float

    def __str__(self) -> str:
        return (
            f"{self.at}: {self.error:.1e} in its {self.kind}; one rounding explains "
            f"{self.rounding:.1e}, and {self.allowed:.1e} is allowed"
        )


@frozen
class Rounding:
    """How far one precision is from double precision on one network."""

    name: str
    side: str
    dtype: str
    worst: Mapping[Kind, Worst]
    """For each kind that the network has: only batch normalization has statistics."""
    losses: tuple[float, ...]
    roundings: float
    """The largest error in multiples of what one rounding of every weight does there."""
    allowed: float
    """The largest multiple that rounding explains."""
    switched: float
    """The largest share of a layer's units that rounding turned on or off, or moved maxima."""
    unexplained: Place | None
    """The first place, in the order of computation, whose error rounding does not explain."""
    untold: Place | None
    """The first place where what is allowed says nothing any more."""
    seconds: Second

    @property
    def verdict(self) -> Verdict:
        """Whether rounding explains all of the error."""
        if self.unexplained:
            return "NOT ROUNDING"
        return "cannot tell" if self.untold else "rounding"


def allowed(graph: Graph, batch: int, dtype: str) -> float:
    """Roundings of every weight that an error may be worth: the root of the longest sum.

    A sum makes an output of a layer, the gradient of a weight, or the mean of a channel.
    """
    if dtype != "float32":
        return ONCE
    layers = [node for node in graph if node.parameters]
    terms = [prod(tensor.shape[1:]) for node in layers for tensor in node.tensors]
    return sqrt(max(*terms, *(batch * prod(node.output[1:]) for node in layers)))


def judge(
    graph: Graph,
    side: str,
    dtype: str,
    batch: int,
    files: tuple[Path, Path, Path],
    seconds: Second,
) -> Rounding:
    """Judges what was kept in `dtype`, given the same in double precision.

    `files`: in double precision, in `dtype`, and in double precision with every weight and pixel
    moved by a rounding. Only the first loss is judged: later ones depend on weights that `dtype`
    may be too coarse to move. Raises BadRecord if the files do not hold the same arrays.
    """
    with reading(files[0]) as exact, reading(files[1]) as found, reading(files[2]) as moved:
        sides = (f"{side} float64", f"{side} {dtype}")
        require_same_arrays(graph.name, sides, exact, found)
        switched = dict(_switched(graph, exact, found))
        most = allowed(graph, batch, dtype)
        places = [*_places(graph, (exact, found, moved), switched, UNIT[dtype], most)]
        losses = losses_of(exact, found)
    bad = (p for p in places if p.error > p.allowed or p.error >= FARTHEST)
    return Rounding(
        graph.name,
        side,
        dtype,
        {place.kind: Worst(place.error, place.at) for place in sorted(places, key=_error)},
        losses=tuple(losses),
        roundings=max(p.error / p.rounding for p in places),
        allowed=most,
        switched=max(switched.values(), default=0.0),
        unexplained=next(bad, None),
        untold=next((p for p in places if p.allowed >= NOTHING_LEFT), None),
        seconds=seconds,
    )


def _places(
    graph: Graph,
    runs: tuple[Found, Found, Found],
    switched: Mapping[str, float],
    unit: float,
    most: float,
) -> Iterator[Place]:
    """Every place in the order of computation, the loss last."""
    exact, found, moved = runs
    largest, jumps = 0.0, _jumps(graph, switched)
    for kind in ORDER:
        errors, by_moving = (errors_of(graph, exact, run, kind) for run in (found, moved))
        for at, error in errors.items():
            rounding = max(by_moving[at], unit)
            jump = jumps[at] if kind == "gradient" else 0.0
            largest = max(largest, rounding) if kind == "output" else largest
            # What switched is seen, not reckoned: it is off by no sum.
            explained = max(most * rounding, ONCE * jump)
            yield Place(at, kind, error, max(rounding, jump), explained)
    # One number may stay where it is by chance, whatever is moved.
    rounding = max(losses_of(exact, moved)[0], largest)
    error = losses_of(exact, found)[0]
    yield Place("network", "loss", error, rounding, most * rounding)


def _jumps(graph: Graph, switched: Mapping[str, float]) -> Mapping[str, float]:
    """The share of each node's gradient that jumps with what switched between it and the loss."""
    nodes = graph.nodes[::-1]
    shares = accumulate((switched.get(node.address, 0.0) for node in nodes), max)
    return {node.address: sqrt(share) for node, share in zip(nodes, shares, strict=True)}


def _error(place: Place) -> float:
    return place.error


def _switched(graph: Graph, exact: Found, found: Found) -> Iterator[tuple[str, float]]:
    """For each layer with a kink, the share of its units that are on one side of it in one run."""
    for node in graph:
        known = facts(node.op)
        if known.passes_between:
            one, other = (run["output", node.address]() for run in (exact, found))
            low, high = known.passes_between
            moved = (one > low) != (other > low)
            if high < inf:
                moved |= (one < high) != (other < high)
        elif known.selects and known.window and graph[node.inputs[0]].inputs:
            one, other = (run["output", node.inputs[0]]() for run in (exact, found))
            window = known.window(node.op)
            moved = _winners(window, one) != _winners(window, other)
        else:
            continue
        yield node.address, float(np.mean(moved))


def _winners(window: Window, values: Array) -> Array:
    """Which value of each window is its maximum."""
    top, bottom, left, right = window.padding
    sides = ((0, 0), (0, 0), (top, bottom), (left, right))
    padded = np.pad(values, sides, constant_values=-np.inf)
    windows = sliding_window_view(padded, window.kernel, axis=(2, 3))
    (down, across) = window.stride
    windows = windows[:, :, ::down, ::across]
    winners: Array = windows.reshape(*windows.shape[:4], -1).argmax(-1)
    return winners
