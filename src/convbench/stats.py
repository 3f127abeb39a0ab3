"""Statistics of rounds: pure functions of sequences of numbers, each with its source."""

from __future__ import annotations

from collections.abc import Sequence
from math import hypot

import numpy as np
from attrs import frozen

FEW = 5
"""Fewer values than these have no quartiles to speak of."""


@frozen
class Spread:
    """A median with the quartiles around it, or the extremes where there are few values."""

    low: float
    median: float
    high: float

    @property
    def relative(self) -> float:
        """Half the range between `low` and `high` as a share of the median."""
        return (self.high - self.low) / 2 / self.median


def spread(values: Sequence[float]) -> Spread:
    """Median and quartiles (linear interpolation: type 7 of Hyndman and Fan 1996).

    Of fewer values than FEW the extremes stand where the quartiles would: interpolated quartiles
    of two values lie halfway to their median, and would make them look twice as close.

    Quartiles describe the rounds of one process; they are no interval of confidence, since
    rounds of a process are not independent.

    >>> spread([1.0, 2.0, 3.0, 4.0, 5.0])
    Spread(low=2.0, median=3.0, high=4.0)
    >>> spread([2.0, 4.0])
    Spread(low=2.0, median=3.0, high=4.0)
    """
    shares = (0.25, 0.5, 0.75) if len(values) >= FEW else (0.0, 0.5, 1.0)
    low, middle, high = np.quantile(values, shares)
    return Spread(float(low), float(middle), float(high))


def ratio(one: Spread, other: Spread) -> tuple[float, float]:
    """The ratio of two medians, and half its range as a share of it.

    That share is both sides' own, added in quadrature: propagation of independent errors to first
    order (Taylor 1997, section 3.4). Where a side is very uneven it says too little.

    >>> ratio(Spread(5.0, 6.0, 8.0), Spread(2.0, 2.0, 2.0))
    (3.0, 0.25)
    """
    return one.median / other.median, hypot(one.relative, other.relative)
