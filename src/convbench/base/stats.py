"""Statistics of rounds and processes: pure functions of numbers, each with its source."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, hypot

import numpy as np
from attrs import frozen

CONFIDENCE = 0.95
FEW = 6
"""Fewer independent values have no interval of 95%: 1 - 2 / 2^5 is 93.75%."""
JUDGED = 40
"""Fewer rounds do not tell a transient from chance: the rule below errs in one case of ten."""
WANDER = 0.05
"""Rounds of a quarter that are so much slower than another's are not those of a steady state."""
WINSORIZED = (0.05, 0.90)
"""Quantiles beyond which a round counts as much as one there: a slow round by chance is common."""


@frozen
class Interval:
    """A value with its 95% interval, or with the extremes where too little is known for one."""

    low: float
    median: float
    high: float
    known: bool = True
    """Whether there was enough for an interval."""

    @property
    def relative(self) -> float:
        """Half the interval's width as a share of the value."""
        return (self.high - self.low) / 2 / self.median


def steady_from(rounds: Sequence[float]) -> int | None:
    """How many leading rounds are transient; None if no steady state was reached.

    The marginal standard error rule, MSER (White, Cobb and Spratt 2000, "A comparison of five
    steady-state truncation heuristics for simulation"): those rounds are left out without which the
    standard error of the mean of the rest is least, and where that wants to leave out more than
    half, there is no steady state (Hoad, Robinson and Davies 2008, "Automating warm-up length
    estimation", keep to the same half). Logarithms, since slowness multiplies; winsorized, since
    single slow rounds would otherwise decide. What drifts slowly escapes that rule, and so the
    quarters of what is left must agree: their intervals meet, or their medians are within WANDER.
    Of fewer than JUDGED rounds all are steady.
    """
    if len(rounds) < JUDGED:
        return 0
    values = np.log(rounds)
    values = np.clip(values, *np.quantile(values, WINSORIZED))
    values -= values[-1]  # keeps the squares small
    kept = np.arange(1, len(values) + 1)
    mean = np.cumsum(values[::-1]) / kept
    variance = np.maximum(np.cumsum(values[::-1] ** 2) / kept - mean**2, 0.0)
    errors = np.round(variance / kept, 15)[::-1]  # of what is kept from each round on
    found = int(np.argmin(errors[: len(values) - FEW]))
    return found if found <= len(values) // 2 and _agree(rounds[found:]) else None


def _agree(rounds: Sequence[float]) -> bool:
    """Whether no quarter of the rounds is slower than another beyond chance and WANDER."""
    quarters = [median_of(list(part)) for part in np.array_split(np.asarray(rounds), 4)]
    fastest = min(quarters, key=lambda quarter: quarter.high)
    slowest = max(quarters, key=lambda quarter: quarter.low)
    apart = slowest.low > fastest.high
    return not (apart and slowest.median > fastest.median * (1 + WANDER))


def median_of(rounds: Sequence[float]) -> Interval:
    """The median of the rounds of one process, with its 95% interval.

    Order statistics (Conover 1999, section 3.2), which assume no shape of the distribution. Rounds
    of a process follow each other, and so count as n (1 - r) / (1 + r) independent ones, r being
    the correlation of the ranks of neighbours (Bayley and Hammersley 1946, for a first-order
    process). Says nothing about another process.

    >>> median_of([1.0, 2.0, 4.0])
    Interval(low=1.0, median=2.0, high=4.0, known=False)
    """
    from scipy.stats import binom  # noqa: PLC0415  (takes a second, in everybody's pytest)

    middle = float(np.median(rounds))
    if len(rounds) < FEW:
        return Interval(min(rounds), middle, max(rounds), known=False)
    independent = max(FEW, int(len(rounds) * _independent(rounds)))
    # The k-th smallest and largest of n values hold the median between them unless fewer than k
    # of the n lie on one of its sides.
    tail = (1 - CONFIDENCE) / 2
    k = max(1, int(binom.ppf(tail, independent, 0.5)))
    share = (k - 1) / (independent - 1)
    low, high = np.quantile(rounds, (share, 1 - share))
    return Interval(float(low), middle, float(high))


def _independent(rounds: Sequence[float]) -> float:
    """The share of rounds that count as independent."""
    from scipy.stats import rankdata  # noqa: PLC0415  (as above)

    ranks = rankdata(rounds) - (len(rounds) + 1) / 2
    squares = float((ranks**2).sum())
    if not squares:
        return 1.0  # all alike
    r = max(0.0, float((ranks[1:] * ranks[:-1]).sum()) / squares)
    return (1 - r) / (1 + r)


def mean_of(processes: Sequence[float]) -> Interval:
    """The geometric mean of the processes' values, with its 95% interval.

    Student's t on logarithms, over processes: what varies between them is drawn anew only with a
    new one (Kalibera and Jones 2013, "Rigorous benchmarking in reasonable time"). Wants two or
    more.

    >>> mean_of([0.5, 0.5, 0.5])
    Interval(low=0.5, median=0.5, high=0.5, known=True)
    """
    from scipy.stats import t  # noqa: PLC0415  (as above)

    values = np.log(processes)
    middle, error = float(values.mean()), float(values.std(ddof=1)) / len(values) ** 0.5
    half = float(t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * error
    return Interval(exp(middle - half), exp(middle), exp(middle + half))


def ratio(one: Interval, other: Interval) -> tuple[float, float]:
    """The ratio of two values, and half the width of its interval as a share of it.

    That share is both sides' own, added in quadrature: propagation of independent errors to first
    order (Taylor 1997, section 3.4). Where a side is very uneven it says too little.

    >>> ratio(Interval(5.0, 6.0, 8.0), Interval(2.0, 2.0, 2.0))
    (3.0, 0.25)
    """
    return one.median / other.median, hypot(one.relative, other.relative)
