"""The gate's test: betting on the signs of log ratios, whose odds are even if nothing changed.

The roles of the two processes of a pair are drawn by chance at every level, so if the head is as
fast as the base times a factor, the logarithm of a pair's ratio less that of the factor is as often
above 0 as below, whatever the machine does, how large it is and what came before. Somebody who bets
a share of his wealth on the next sign, a share that may depend on all that has been seen, plays a
fair game then: his wealth is a nonnegative martingale, and the chance that it ever reaches 1/alpha
is at most alpha (Ville 1939; Shafer 2021, "Testing by betting"). So the wealth may be looked at
after every pair. For Gaussian ratios of mean m and variance v the best share is tanh(m |x| / v),
from the odds of a sign given its size (de la Pena 1999 and Ramdas, Ruf, Larsson and Koolen 2020
have the process for symmetric variables); m/v is not known, and so the wealth is spread over
several of them in units of the median size, to which the sizes are cut (Huber 1964).
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator, Sequence
from math import ceil, log2
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]

STRENGTHS = np.array([0.3, 0.8, 2.0])
"""How strongly to bet on a ratio of median size: the wealth is spread over all of these."""
CUT = 2.0
"""A ratio of more than so many median sizes counts as one of that size."""


def log_wealth(log_ratios: Sequence[float] | Array, null: float, direction: int = 1) -> Array:
    """The logarithm of the wealth after each pair, having begun with 1.

    Bets that log ratios are above `null` (`direction` 1) or below it (-1). Under the null
    hypothesis that they are at `null`, or beyond it on the other side, it is log(1/a) or more at
    any time with a chance of a at most: on the other side, too, since what is staked never falls
    as the ratio grows, and so a shift against the bet can only lose.
    """
    values = direction * (np.asarray(log_ratios, dtype=float) - null)
    sizes = np.abs(values)
    scale = np.fromiter(_medians(sizes), dtype=float, count=len(sizes))
    relative = np.divide(sizes, scale, out=np.zeros_like(sizes), where=scale > 0)
    shares = np.tanh(np.outer(STRENGTHS, np.minimum(relative, CUT)))
    growth = np.log1p(np.sign(values) * shares)
    wealth: Array = np.logaddexp.reduce(np.cumsum(growth, axis=1), axis=0) - np.log(len(STRENGTHS))
    return wealth


def _medians(sizes: Array) -> Iterator[float]:
    """The median of the first, of the first two, and so on."""
    ordered: list[float] = []
    for size in sizes.tolist():
        insort(ordered, size)
        middle = len(ordered) // 2
        yield (ordered[middle] + ordered[~middle]) / 2


def reached(log_ratios: Sequence[float], null: float, direction: int = 1) -> float:
    """The logarithm of the highest wealth so far: what was once shown stays shown."""
    if not len(log_ratios):
        return 0.0
    return float(max(0.0, log_wealth(log_ratios, null, direction).max()))


def fewest(error: float) -> int:
    """How many pairs a clear difference takes to be shown at an error.

    A pair no more than doubles the wealth, and a third of that bets strongly enough.
    """
    return ceil(log2(1 / error) + 2)
