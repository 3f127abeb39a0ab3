"""From the processes of two runs, of which no two make a pair, to a verdict: a test of ranks.

Each process of the head is held against each of the base, and what counts is in how many of these
comparisons the head is above the bound (Mann and Whitney 1947). If all processes are exchangeable,
but for the head's being slower by a factor, then every order of them is equally likely, and so that
number has a distribution that is known to the last digit, whatever that of times looks like. The
comparisons in order are then limits of the factor (Hodges and Lehmann 1963), and ties can only
make `cannot tell` of a verdict. What changes between the runs is in no process's spread: such a
change is taken for the head's.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import comb, exp, floor, log1p, pi, sqrt
from typing import Any, TypeAlias

import numpy as np

from convbench.gate.statistics.judging import BETA
from convbench.gate.values import Outcome, Question, Verdict

Array: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]

FEWEST = 2
"""Fewer processes of a run have no spread."""
EXACT = 10_000
"""Up to so many comparisons the distribution is counted out; beyond, it is normal enough."""
SEEN = 0.9
"""How often a slowdown must be found for it to count as one that can be seen."""
MOST = 1000
"""Processes beyond which nobody looks for how many it would take."""


def can_tell(base: int, head: int, alpha: float) -> bool:
    """Whether so many processes of each run can come out so that `worse` is said at all."""
    return min(base, head) >= FEWEST and comb(base + head, base) >= 1 / alpha


def judge(
    question: Question,
    base: Sequence[float],
    head: Sequence[float],
    alpha: float,
    beta: float = BETA,
) -> Verdict:
    """The verdict from the logarithms of one value of each process.

    `pairs` counts the processes of the run that has fewer; none where they are too few for `worse`.
    """
    if not can_tell(len(base), len(head), alpha):
        return Verdict(question=question, outcome="cannot tell", pairs=0, alpha=alpha, beta=beta)
    apart = np.sort(np.subtract.outer(np.asarray(head), np.asarray(base)).ravel())
    bound = log1p(question.tolerance)
    low, high = limit(apart, base, head, alpha), -limit(-apart[::-1], base, head, beta)
    outcome: Outcome = "cannot tell"
    if low > bound:
        outcome = "worse"
    elif high < bound:
        outcome = "not worse"
    return Verdict(
        question=question,
        outcome=outcome,
        pairs=min(len(base), len(head)),
        ratio=exp(float(np.median(apart))),
        low=exp(low),
        high=exp(high),
        alpha=alpha,
        beta=beta,
        better=-limit(-apart[::-1], base, head, alpha) < 0,
    )


def limit(apart: Array, base: Sequence[float], head: Sequence[float], error: float) -> float:
    """The log ratio that the truth is above, but for an error, from all comparisons in order."""
    below = most_below(len(base), len(head), error)
    return float("-inf") if below < 0 else float(apart[below])


def most_below(base: int, head: int, error: float) -> int:
    """How many comparisons may lie below the truth, or on it, before that is likely enough.

    The largest number that comes, or a smaller one, with a chance of `error` at most; -1 if even
    0 is likelier.
    """
    from scipy.stats import norm  # noqa: PLC0415  (takes a second)

    if base * head <= EXACT:
        return int(np.searchsorted(np.cumsum(chances(base, head)), error, side="right")) - 1
    middle, spread = base * head / 2, sqrt(base * head * (base + head + 1) / 12)
    return floor(norm.ppf(error, middle, spread) - 0.5)


@cache
def chances(base: int, head: int) -> Array:
    """The chance of each number of comparisons below the truth, from 0 on, if orders are alike.

    By whose process is the fastest of all: the base's, which is below nobody, or the head's, which
    is below all of the base's (Mann and Whitney 1947, their recurrence).
    """
    row = [np.ones(1)] * (head + 1)
    for i in range(1, base + 1):
        new = [np.ones(1)]
        for j in range(1, head + 1):
            found = np.zeros(i * j + 1)
            found[: (i - 1) * j + 1] += i / (i + j) * row[j]
            found[i:] += j / (i + j) * new[j - 1]
            new.append(found)
        row = new
    return row[head]


def spread_of(logs: Sequence[float]) -> float | None:
    """The standard deviation of logarithms, which is a share; None of too few."""
    return float(np.std(logs, ddof=1)) if len(logs) >= FEWEST else None


def visible(spread: float, processes: int, alpha: float, tolerance: float) -> float | None:
    """About the slowdown that two runs of so many processes each would find, 9 times in 10.

    For logarithms that are normal, where ranks want pi/3 as many values as means do (Lehmann 1975).
    None where no slowdown would be found.
    """
    from scipy.stats import t  # noqa: PLC0415  (takes a second)

    if not can_tell(processes, processes, alpha):
        return None
    freedom = 2 * (processes - 1)
    errors = float(t.ppf(1 - alpha, freedom) + t.ppf(SEEN, freedom))
    return (1 + tolerance) * exp(errors * spread * sqrt(pi / 3 * 2 / processes)) - 1


def needed(spread: float, slowdown: float, alpha: float, tolerance: float) -> int | None:
    """How many processes of each run would find a slowdown; None where MOST are too few."""
    for processes in range(FEWEST, MOST + 1):
        found = visible(spread, processes, alpha, tolerance)
        if found is not None and found <= slowdown:
            return processes
    return None
