"""The clock that pytest-benchmark reads: rounds that a worker has timed already."""

from __future__ import annotations

from collections import deque

from convbench.base.units import Second
from convbench.measure.records import Measurement

FILLED = 0.9
"""The share of the memory that is left which the largest batch may take."""


class ReplayClock:
    """pytest-benchmark's timer: seconds that a worker reported, played again step by step.

    The worker is the only one to read a clock, so that no message between processes is in a figure,
    and how many rounds it takes is known only when they are over.
    """

    def __init__(self) -> None:
        self._spent_s: Second = 0.0
        self._left: deque[Second] = deque()

    def load(self, measurement: Measurement) -> None:
        """Winds the clock up with the rounds of a measurement."""
        self._left.extend(s for s in measurement.rounds_s for _ in range(measurement.iterations))

    def step(self) -> None:
        """Lets the seconds of the next step pass.

        pytest-benchmark calls once more than there are steps, for a value that is not there.
        """
        if self._left:
            self._spent_s += self._left.popleft()

    def __call__(self) -> Second:
        """What has passed so far."""
        return self._spent_s
