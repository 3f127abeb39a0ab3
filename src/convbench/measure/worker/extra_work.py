"""A known slowdown, made of real work: what the gate is to find when it tests itself."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from time import perf_counter

from convbench.base.units import Second

ADDED = 1000
"""Numbers that are added up to see how long adding takes."""
TRIES = 9


def slowed(step: Callable[[], None], share: float) -> Callable[[], None]:
    """The step, and after it additions that take `share` of the time that it takes."""
    count = round(share * _median_s(step) / (_median_s(lambda: _add(ADDED)) / ADDED))

    def slow() -> None:
        step()
        _add(count)

    return slow


def _add(count: int) -> int:
    return sum(range(count))


def _median_s(work: Callable[[], object]) -> Second:
    taken = []
    for _ in range(TRIES):
        began = perf_counter()
        work()
        taken.append(perf_counter() - began)
    return median(taken)
