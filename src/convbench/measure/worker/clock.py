"""The worker's clocks: the host's, and beside it the device's own where a framework has that."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterator
from time import get_clock_info, perf_counter

from attrs import define, field, frozen

from convbench.base.errors import ConvbenchError
from convbench.base.units import Second, seconds
from convbench.frameworks.protocol import DeviceClock

RESOLUTION: Second = get_clock_info("perf_counter").resolution
"""What a coarse clock calls no time at all may have been so long."""
MOST_OVER = 0.03
"""By what share of the host's time the device's may be above it: clocks differ by less."""
EVENT: Second = 1e-6
"""What the device's clock may be wrong by: CUDA says that its events resolve half of it."""


@frozen(str=False, eq=False)
class ClocksDisagree(ConvbenchError):
    """The device says that a round took longer than the host waited for it."""

    device_s: Second
    host_s: Second

    def __str__(self) -> str:
        return (
            f"the device's clock says {seconds(self.device_s)} for a round that took "
            f"{seconds(self.host_s)} by the host's; one of them is wrong, so there is no figure"
        )


@define
class Clock:
    """Times rounds of steps, by the device's own clock if it has one."""

    device: DeviceClock | None = None
    host_s: list[Second] = field(factory=list)
    """By the host's clock, seconds of one step in each round that the device's own has timed."""

    def round(self, step: Callable[[], None], iterations: int) -> Second:
        """Seconds of one step, the mean over a round; raises ClocksDisagree."""
        if self.device is not None:
            return self._device_round(self.device, step, iterations)
        steps = range(iterations)
        began = perf_counter()
        for _ in steps:
            step()
        return max(perf_counter() - began, RESOLUTION) / iterations

    def _device_round(
        self, device: DeviceClock, step: Callable[[], None], iterations: int
    ) -> Second:
        began = perf_counter()
        device_s = max(device(step, iterations), EVENT)
        host_s = max(perf_counter() - began, RESOLUTION)
        if device_s > host_s * (1 + MOST_OVER) + EVENT:
            raise ClocksDisagree(device_s, host_s)
        self.host_s.append(host_s / iterations)
        return device_s / iterations


@contextlib.contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Python's collector, whose pauses belong to no network, is off while rounds are timed."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
