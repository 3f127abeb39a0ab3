"""What the machine's processors do while rounds are timed, and for whom."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from time import perf_counter, process_time

import psutil
from attrs import define

from convbench.base.units import Second


@define
class CpuUse:
    """CPU seconds over the blocks of rounds that were watched.

    The counts are the operating system's of the whole machine: in a container they hold what its
    neighbours on the same machine do, too. It counts in hundredths of a second.
    """

    watched_s: Second = 0.0
    others_s: Second = 0.0
    """Of processes that are neither the one that is timed nor this one."""
    stolen_s: Second = 0.0
    """What the host of a virtual machine gave to others while this machine wanted to run."""

    @contextlib.contextmanager
    def watched(self) -> Iterator[Callable[[Second], None]]:
        """Adds what happens meanwhile; gives a call that tells what the timed process used."""
        known: list[Second] = []
        began, busy, stolen, own = perf_counter(), *_machine(), process_time()
        yield known.append
        busy_now, stolen_now = _machine()
        self.watched_s += perf_counter() - began
        self.others_s += busy_now - busy - sum(known) - (process_time() - own)
        self.stolen_s += stolen_now - stolen

    @property
    def others_cores(self) -> float | None:
        """Processors that others kept busy on average; None if nothing was watched."""
        return max(0.0, self.others_s) / self.watched_s if self.watched_s else None

    @property
    def stolen_cores(self) -> float | None:
        """Processors that the host kept away on average; None if nothing was watched."""
        return self.stolen_s / self.watched_s if self.watched_s else None


def _machine() -> tuple[Second, Second]:
    """Seconds that all processors were busy since the start, and that were stolen."""
    times = psutil.cpu_times()._asdict()
    busy = ("user", "nice", "system", "irq", "softirq", "interrupt", "dpc")
    return sum(times.get(name, 0.0) for name in busy), times.get("steal", 0.0)
