"""What a GPU did while rounds were timed, as a journal keeps it: None for what nobody tells."""

from __future__ import annotations

from typing import Any

from attrs import Attribute, field, frozen
from attrs.validators import and_, deep_iterable, ge, gt, le, optional

from convbench.base.units import Second

READING = [ge(0.0), le(1e15)]
COUNT = [ge(0), le(2**63 - 1)]
SHARE = [ge(0.0), le(1.0)]
STEP = [ge(1e-18), le(1e9)]


@frozen(kw_only=True)
class Spread:
    """The readings of one quantity."""

    lowest: float = field(validator=READING)
    median: float = field(validator=READING)
    highest: float = field(validator=READING)

    @highest.validator
    def _in_order(self, _: Attribute[Any], highest: float) -> None:
        if not self.lowest <= self.median <= highest:
            raise ValueError("'lowest', 'median' and 'highest' must be in this order")


@frozen(kw_only=True)
class GpuUse:
    """What NVML said of the GPU that a task ran on, and what the host's clock said of the rounds.

    Each of its quantities is None where the machine or the GPU does not tell it, and never 0.
    """

    samples: int = field(default=0, validator=COUNT)
    """How often the GPU was asked while rounds were timed."""
    sm_hz: Spread | None = None
    memory_hz: Spread | None = None
    power_w: Spread | None = None
    temperature_c: Spread | None = None
    utilization: Spread | None = None
    """The share of the time in which some kernel ran."""
    limits: tuple[tuple[str, int], ...] | None = None
    """What held the clocks down, and in how many of the samples it did."""
    energy_j: float | None = field(default=None, validator=optional([gt(0.0), le(1e15)]))
    """By the GPU's own counter, over all rounds; never power times time."""
    images: int = field(default=0, validator=COUNT)
    """Of all rounds: what that energy was for."""
    utilization_before: float | None = field(default=None, validator=optional(SHARE))
    """Before the task's process was started."""
    processes_before: int | None = field(default=None, validator=optional(COUNT))
    """Others that had work on the GPU before the task's process was started."""
    processes_beside: int | None = field(default=None, validator=optional(COUNT))
    """Others that had work on the GPU while rounds were timed, the most at one time."""
    host_s: tuple[Second, ...] = field(default=(), validator=deep_iterable(and_(*STEP)))
    """The rounds by the host's clock, where those of the measurement are by the GPU's own."""

    @property
    def energy_per_image_j(self) -> float | None:
        """Joules an image; None if no counter told them."""
        return None if self.energy_j is None or not self.images else self.energy_j / self.images

    @property
    def shared(self) -> bool:
        """Whether somebody else is known to have used the GPU."""
        return any((self.utilization_before, self.processes_before, self.processes_beside))
