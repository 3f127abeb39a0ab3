"""What a task came to over all of its processes: the value that tables, ratios and plots show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from statistics import median

from attrs import evolve, frozen

from convbench.base.stats import Interval, mean_of, median_of, ratio
from convbench.base.units import Byte, Second
from convbench.measure.records import Attainable, Measurement, Memory, Task


@frozen(slots=False)
class Estimate:
    """One task, and its measurement in each process that timed it."""

    task: Task
    """The task as its first process had it."""
    measurements: tuple[Measurement, ...]

    @cached_property
    def step_s(self) -> Interval:
        """Seconds of a step: over the processes if there are several, else over the rounds."""
        if len(self.measurements) == 1:
            return median_of(self.measurements[0].rounds_s)
        return mean_of([median(m.rounds_s) for m in self.measurements])

    @cached_property
    def images_per_s(self) -> Interval:
        """Throughput."""
        step, batch = self.step_s, self.task.batch
        return Interval(batch / step.high, batch / step.median, batch / step.low, step.known)

    @cached_property
    def rounds(self) -> int:
        """The fewest rounds of a process."""
        return min(len(m.rounds_s) for m in self.measurements)

    @cached_property
    def steady(self) -> bool:
        """Whether no process ended without a steady state."""
        return all(m.steady is not False for m in self.measurements)

    @cached_property
    def first_result_s(self) -> Second | None:
        """Building, tracing, compiling and the first step: the median of the processes."""
        pairs = [(m.build_s, m.first_s) for m in self.measurements]
        known = [build + first for build, first in pairs if build is not None and first is not None]
        return median(known) if known else None

    @cached_property
    def memory(self) -> Memory:
        """The highest peaks of any process."""
        return Memory(
            host_bytes=self._highest("host_bytes"),
            device_allocated_bytes=self._highest("device_allocated_bytes"),
            device_reserved_bytes=self._highest("device_reserved_bytes"),
            device_process_bytes=self._highest("device_process_bytes"),
        )

    def _highest(self, peak: str) -> Byte | None:
        found = (getattr(m.memory, peak) for m in self.measurements)
        return max((value for value in found if value is not None), default=None)


def estimates(measurements: Iterable[Measurement]) -> list[Estimate]:
    """The estimates of all that was measured, in the order in which tasks first come."""
    found: dict[Task, list[Measurement]] = {}
    for m in measurements:
        if m.rounds_s:
            found.setdefault(evolve(m.task, process=1), []).append(m)
    return [Estimate(task, tuple(own)) for task, own in found.items()]


def times_as_fast(one: Estimate, other: Estimate) -> Interval:
    """How many times as many images per second `one` gives as `other`.

    Processes of the same number ran one after the other: then each pair has a ratio of its own, in
    which what the machine did to both cancels, and the interval is over the pairs. Otherwise the
    intervals of both sides are added in quadrature.
    """
    if len(one.measurements) > 1:
        mine, others = _by_process(one.measurements), _by_process(other.measurements)
        if mine.keys() == others.keys():
            return mean_of([others[p] / mine[p] for p in mine])
    times, relative = ratio(other.step_s, one.step_s)
    known = one.step_s.known and other.step_s.known
    return Interval(times * (1 - relative), times, times * (1 + relative), known)


def _by_process(measurements: Sequence[Measurement]) -> dict[int, Second]:
    """The median of each process's rounds, by its number."""
    return {m.task.process: median(m.rounds_s) for m in measurements}


BESIDE = 0.2
"""Cores that others may use while something is timed before the reader is warned."""


def beside(entry: Measurement | Attainable) -> float:
    """Cores that the machine gave to others meanwhile, or lost; 0 if nobody counted."""
    return (entry.others_cores or 0.0) + (entry.stolen_cores or 0.0)
