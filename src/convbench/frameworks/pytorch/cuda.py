"""What PyTorch has on CUDA beside the CPU: a queue to wait for, a clock of its own, and a cache."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle
from typing import Any

import torch
from attrs import define
from torch import Tensor

from convbench.base.units import Byte, Second

Step = Callable[[], None]

MOST_COPIES = 2**14
"""Of a batch: tiny ones fill no cache, however many steps there are."""


@define
class Queue:
    """Decides whether a step on CUDA waits for the device, or only puts its work in the queue."""

    _timing: bool = False

    def finish(self) -> None:
        """Waits for the device, but for a step whose round is timed: that waits once, at its end.

        A round without waiting is the device's own time; with it, it would be the host's too.
        """
        if not self._timing:
            torch.cuda.synchronize()

    def timed(self, step: Step, iterations: int) -> Second:
        """Seconds between two events around `iterations` steps, as the device has them."""
        event: Any = torch.cuda.Event  # which is not typed
        began, ended = event(enable_timing=True), event(enable_timing=True)
        self._timing = True
        try:
            began.record()
            for _ in range(iterations):
                step()
            ended.record()
        finally:
            self._timing = False
        torch.cuda.synchronize()
        return float(began.elapsed_time(ended)) / 1000  # it is in milliseconds


def in_turn(over: Callable[[Tensor], Step], batch: Tensor) -> Step:
    """A step over copies of a batch, one after the other: none finds its input in the L2 cache."""
    steps = [over(copy) for copy in copies(batch, l2_bytes())]
    if len(steps) == 1:
        return steps[0]
    turns = cycle(steps)

    def step() -> None:
        next(turns)()

    return step


def l2_bytes() -> Byte:
    """The size of the device's L2 cache; 0 where PyTorch is older than 2.5 and does not tell."""
    return int(getattr(torch.cuda.get_device_properties(), "L2_cache_size", 0))


def copies(batch: Tensor, cache_bytes: Byte) -> Sequence[Tensor]:
    """A batch and as many copies of it as are larger together than the cache, laid out alike."""
    number = min(cache_bytes // max(batch.nbytes, 1) + 1, MOST_COPIES)
    return [batch, *(batch.clone() for _ in range(number - 1))]
