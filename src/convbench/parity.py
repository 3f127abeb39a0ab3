"""Whether two frameworks compute the same function: outputs, gradients, statistics and losses.

Both train the same network from the same weights on the same batch in double precision, where a
difference in structure cannot hide behind rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np
from attrs import frozen

from convbench.evidence import Array, Kind, reading
from convbench.graph import Graph
from convbench.units import Second

SAME = 1e-9
"""Relative error, in the Euclidean norm, up to which arrays are the same."""
SAME_LOSSES = 1e-6
"""The same for the losses of steps that build on each other, where rounding accumulates."""

Found: TypeAlias = Mapping[tuple[Kind, str], Callable[[], Array]]


@frozen
class Disagreement:
    """The first place, in the order of computation, where two frameworks part."""

    at: str
    kind: Kind
    error: float
    before: float
    """The largest error of an output before it."""
    values: tuple[float, float]
    """The two frameworks' values where they are farthest apart."""


@frozen
class Parity:
    """How far two frameworks are apart on one network: the largest relative errors."""

    name: str
    frameworks: tuple[str, str]
    outputs: float
    gradients: float
    statistics: float
    losses: float
    steps: int
    worst_node: str
    disagreement: Disagreement | None
    seconds: Second

    @property
    def same(self) -> bool:
        """Whether it is the same function."""
        return (
            max(self.outputs, self.gradients, self.statistics) <= SAME
            and self.losses <= SAME_LOSSES
        )


def compare(
    graph: Graph, frameworks: tuple[str, str], files: tuple[Path, Path], seconds: Second
) -> Parity:
    """Holds what two frameworks kept of one network against each other.

    Gradients and statistics are compared node by node, all arrays of one together: what is zero
    but for rounding, such as the gradient of a bias before batch normalization, has no error of
    its own.
    """
    with reading(files[0]) as one, reading(files[1]) as other:
        if one.keys() != other.keys():
            raise AssertionError(f"{graph.name}: {sorted(one.keys() ^ other.keys())[:3]}")
        errors = {
            kind: {
                at: _error(one, other, keys) for at, keys in _by_node(graph, one, kind).items()
            }
            for kind in ("output", "gradient", "statistic")
        }
        losses = [key for kind, key in one if kind == "loss"]
        apart = max(_relative(one["loss", key](), other["loss", key]()) for key in losses)
        return Parity(
            graph.name,
            frameworks,
            *(max(found.values(), default=0.0) for found in errors.values()),
            losses=apart,
            steps=len(losses),
            worst_node=_worst(errors.values()),
            disagreement=_first(errors, one, other),
            seconds=seconds,
        )
