"""Whether two sides compute the same function: outputs, gradients, statistics and losses.

A side is a framework in one of its modes. Both train the same network from the same weights on
the same batch in double precision, where a difference in structure cannot hide behind rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import TypeAlias

import numpy as np
from attrs import field, frozen
from attrs.validators import in_

from convbench.base.errors import BadRecord
from convbench.base.units import Second
from convbench.frameworks.arrays import Array, Found, Kind, reading
from convbench.networks.graph import Graph

SAME = {"float64": 1e-9, "float32": 1e-4}
"""Relative error in the Euclidean norm up to which arrays are the same, by precision.

Rounding grows through a deep network: at 50 layers, some ten thousand times.
"""
SAME_LOSSES = {"float64": 1e-6, "float32": 1e-4}
"""The same for the losses of steps that build on each other, where rounding accumulates."""

FARTHEST = 2.0
"""The largest relative distance that two arrays can have; what is no number is not nearer."""

Errors: TypeAlias = Mapping[str, float]
"""The relative error at each address, in the order of computation."""


@frozen
class Disagreement:
    """The first place, in the order of computation, where two sides part."""

    at: str
    kind: Kind
    error: float
    before: float
    """The largest error of what was computed before it."""
    values: tuple[str, str]
    """Both sides' values where they are farthest apart."""

    def __str__(self) -> str:
        one, other = self.values
        return (
            f"{self.at}: {self.error:.1e} in its {self.kind} (nodes before it: {self.before:.0e}), "
            f"for example {one} and {other}"
        )


@frozen
class Parity:
    """How far two sides are apart on one network: the largest relative error of each kind."""

    name: str
    sides: tuple[str, str]
    outputs: float
    gradients: float
    statistics: float
    losses: float
    steps: int
    worst_node: str
    """Where outputs, gradients or statistics are farthest apart, in agreement or not."""
    disagreement: Disagreement | None
    seconds: Second
    dtype: str = field(default="float64", validator=in_(SAME))
    """The precision of the comparison: single where one side has no other."""

    @property
    def error(self) -> float:
        """The largest relative error of outputs, gradients and statistics."""
        return max(self.outputs, self.gradients, self.statistics)

    @property
    def same(self) -> bool:
        """Whether both sides compute the same function."""
        return self.disagreement is None and self.losses <= SAME_LOSSES[self.dtype]


def compare(
    graph: Graph, sides: tuple[str, str], files: tuple[Path, Path], dtype: str, seconds: Second
) -> Parity:
    """Holds what two sides kept of one network against each other.

    Gradients and statistics are compared node by node, all arrays of one together: what is zero
    but for rounding, such as the gradient of a bias before batch normalization, has no error of
    its own. Raises BadRecord if the two did not keep the same arrays.
    """
    with reading(files[0]) as one, reading(files[1]) as other:
        require_same_arrays(graph.name, sides, one, other)
        errors = {kind: errors_of(graph, one, other, kind) for kind in ORDER}
        losses = losses_of(one, other)
        at = {(kind, at): error for kind, found in errors.items() for at, error in found.items()}
        return Parity(
            graph.name,
            sides,
            **{f"{kind}s": max(errors[kind].values(), default=0.0) for kind in ORDER},
            losses=max(losses),
            steps=len(losses),
            worst_node=max(at, key=lambda place: at[place])[1],
            disagreement=_first(errors, one, other, SAME[dtype]),
            seconds=seconds,
            dtype=dtype,
        )


ORDER: tuple[Kind, ...] = ("output", "gradient", "statistic")


def require_same_arrays(name: str, sides: tuple[str, str], one: Found, other: Found) -> None:
    """Raises BadRecord if one side kept an array that the other did not."""
    for key in (*one, *other):
        if key not in one or key not in other:
            side = sides[key in one]
            raise BadRecord(name, f"{' '.join(key)} from {side}", "none")


def losses_of(one: Found, other: Found) -> list[float]:
    """The relative error of each step's loss."""
    return [_error([(one[key](), other[key]())]) for key in one if key[0] == "loss"]


def errors_of(graph: Graph, one: Found, other: Found, kind: Kind) -> Errors:
    """Errors in the order in which a step computes: gradients from the end to the beginning."""
    nodes = reversed(graph.nodes) if kind == "gradient" else graph.nodes
    found = {}
    for node in nodes:
        keys = _keys(one, kind, node.address)
        if keys:
            found[node.address] = _error([(one[key](), other[key]()) for key in keys])
    return found


def _keys(found: Found, kind: Kind, address: str) -> list[tuple[Kind, str]]:
    if kind == "output":
        return [(kind, address)] if (kind, address) in found else []
    names = ("weight", "bias", "running_mean", "running_var")
    keys: Iterator[tuple[Kind, str]] = ((kind, f"{address}/{name}") for name in names)
    return [key for key in keys if key in found]


def _error(pairs: Sequence[tuple[Array, Array]]) -> float:
    """Distance of all arrays together, relative to the longer of the two; 0 where both are 0."""
    apart = sum(float(np.sum((a - b) ** 2)) for a, b in pairs)
    longest = max(sum(float(np.sum(pair[i] ** 2)) for pair in pairs) for i in (0, 1))
    if not np.isfinite(apart):
        return FARTHEST
    return float(np.sqrt(apart / longest)) if longest else 0.0


def _first(
    errors: Mapping[Kind, Errors], one: Found, other: Found, same: float
) -> Disagreement | None:
    for kind, found in errors.items():
        agreeing = dict(takewhile(lambda item: item[1] <= same, found.items()))
        rest = [at for at in found if at not in agreeing]
        if rest:
            before = max(agreeing.values(), default=0.0)
            values = _farthest(one, other, _keys(one, kind, rest[0]))
            return Disagreement(rest[0], kind, found[rest[0]], before, values)
    return None


def _farthest(one: Found, other: Found, keys: Sequence[tuple[Kind, str]]) -> tuple[str, str]:
    pairs = [(one[key]().ravel(), other[key]().ravel()) for key in keys]
    a, b = (np.concatenate(side) for side in zip(*pairs, strict=True))
    i = int(np.argmax(np.nan_to_num(np.abs(a - b), nan=np.inf)))
    return f"{a[i]:.12g}", f"{b[i]:.12g}"
