"""Statistics of rounds: pure functions of sequences of numbers, each with its source."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import frozen


@frozen
class Spread:
    """A median with the quartiles around it."""

    low: float
    median: float
    high: float

    @property
    def relative(self) -> float:
        """Half the interquartile range as a share of the median."""
        return (self.high - self.low) / 2 / self.median


def spread(values: Sequence[float]) -> Spread:
    """Median and quartiles (linear interpolation: type 7 of Hyndman and Fan 1996).

    Quartiles describe the rounds of one process; they are no interval of confidence, since
    rounds of a process are not independent.

    >>> spread([1.0, 2.0, 3.0, 4.0, 5.0])
    Spread(low=2.0, median=3.0, high=4.0)
    """
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
    return Spread(float(low), float(middle), float(high))
