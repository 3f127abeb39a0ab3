"""What the GPUs do while rounds are timed, asked of NVML by a thread beside."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from statistics import median
from threading import Event, Thread
from time import monotonic, sleep
from typing import Any

from attrs import define, field, frozen

from convbench.base.units import Second
from convbench.measure.machine.nvml import devices, ready
from convbench.measure.records import GpuUse, Spread

PERIOD: Second = 0.1
"""Between two samples."""
SETTLING: Second = 1.5
"""For the utilization to fall to 0: NVML has it of the last second at the most."""
SHORTEST: Second = 0.5
"""For energy: nobody says how often the counter is renewed, and over less it may tell nothing."""
PATIENCE: Second = 5.0
"""For a driver that does not answer any more."""

LIMITS = {
    0x1: "gpu_idle",
    0x2: "applications_clocks_setting",
    0x4: "sw_power_cap",
    0x8: "hw_slowdown",
    0x10: "sync_boost",
    0x20: "sw_thermal_slowdown",
    0x40: "hw_thermal_slowdown",
    0x80: "hw_power_brake_slowdown",
    0x100: "display_clock_setting",
    0x200: "board_limit",
    0x400: "reliability",
}
"""NVML's bits for what holds clocks down (nvmlClocksEventReasons), and their names."""


@frozen(kw_only=True)
class Sample:
    """One reading of everything; None for what the GPU does not tell."""

    sm_hz: float | None
    memory_hz: float | None
    power_w: float | None
    temperature_c: float | None
    utilization: float | None
    limits: int | None
    pids: tuple[int, ...] | None


@define
class Gpu:
    """One GPU, as NVML has it."""

    nvml: Any
    handle: Any

    def sample(self) -> Sample:
        """How it is now."""
        nvml = self.nvml
        limits = self._told("nvmlDeviceGetCurrentClocksEventReasons")
        if limits is None:  # drivers of old have it under its old name
            limits = self._told("nvmlDeviceGetCurrentClocksThrottleReasons")
        rates = self._told("nvmlDeviceGetUtilizationRates")
        processes = self._told("nvmlDeviceGetComputeRunningProcesses")
        return Sample(
            sm_hz=_times(self._told("nvmlDeviceGetClockInfo", nvml.NVML_CLOCK_SM), 1e6),
            memory_hz=_times(self._told("nvmlDeviceGetClockInfo", nvml.NVML_CLOCK_MEM), 1e6),
            power_w=_times(self._told("nvmlDeviceGetPowerUsage"), 1e-3),
            temperature_c=self._told("nvmlDeviceGetTemperature", nvml.NVML_TEMPERATURE_GPU),
            utilization=None if rates is None else rates.gpu / 100,
            limits=limits,
            pids=None if processes is None else tuple(process.pid for process in processes),
        )

    def energy_j(self) -> float | None:
        """What its counter of energy says."""
        return _times(self._told("nvmlDeviceGetTotalEnergyConsumption"), 1e-3)

    def _told(self, name: str, *arguments: Any) -> Any:
        """The answer to one question; None if this GPU, driver or binding has none."""
        call = getattr(self.nvml, name, None)
        try:
            return None if call is None else call(self.handle, *arguments)
        except self.nvml.NVMLError:
            return None


@define
class Watch:
    """What the GPUs did before a task's process was started, and what one did during its rounds."""

    gpus: Sequence[Gpu]
    before: Sequence[Sample]
    pid: int = 0
    samples: list[Sample] = field(factory=list)
    energy_j: float | None = None
    number: int | None = None
    """Which of the GPUs the task runs on; None if that is not known."""

    @classmethod
    def begin(cls, device: str) -> Watch | None:
        """A watch for a task whose process is not there yet; None if it needs no GPU."""
        if device == "cpu":
            return None
        gpus = _gpus()
        until = monotonic() + SETTLING
        while True:  # what ran just before, our own last task, counts until its second is over
            before = [gpu.sample() for gpu in gpus]
            if not any(sample.utilization for sample in before) or monotonic() >= until:
                return cls(gpus, before)
            sleep(PERIOD)

    @contextlib.contextmanager
    def watching(self, pid: int) -> Iterator[None]:
        """Asks the GPU that the process `pid` runs on every `PERIOD`, and its counter of energy."""
        self.pid, self.number = pid, self._number_of(pid)
        if self.number is None:
            yield
            return
        gpu, over = self.gpus[self.number], Event()
        thread = Thread(target=self._sample, args=(gpu, over), daemon=True)
        energy_j, began = gpu.energy_j(), monotonic()
        thread.start()
        try:
            yield
        finally:
            taken_s, now_j = monotonic() - began, gpu.energy_j()
            over.set()
            thread.join(PATIENCE)
        # A counter that goes backwards has begun anew, and one that stands still counts nothing.
        if energy_j is not None and now_j is not None and now_j > energy_j and taken_s >= SHORTEST:
            self.energy_j = now_j - energy_j

    def _sample(self, gpu: Gpu, over: Event) -> None:
        while True:
            self.samples.append(gpu.sample())
            if over.wait(PERIOD):
                return

    def _number_of(self, pid: int) -> int | None:
        """The GPU that names the process; where there is one alone, that, named or not."""
        named = [i for i, gpu in enumerate(self.gpus) if pid in (gpu.sample().pids or ())]
        if len(named) == 1:
            return named[0]
        return 0 if len(self.gpus) == 1 else None

    def use(self, images: int, host_s: Iterable[Second]) -> GpuUse:
        """What it came to, for rounds of so many images."""
        clocks = GpuUse(images=images, host_s=tuple(host_s))
        if self.number is None:
            return clocks
        samples, before = [*self.samples], self.before[self.number]
        beside = _most_beside(samples, self.pid)
        return GpuUse(
            samples=len(samples),
            sm_hz=_spread(sample.sm_hz for sample in samples),
            memory_hz=_spread(sample.memory_hz for sample in samples),
            power_w=_spread(sample.power_w for sample in samples),
            temperature_c=_spread(sample.temperature_c for sample in samples),
            utilization=_spread(sample.utilization for sample in samples),
            limits=_limits(sample.limits for sample in samples),
            energy_j=self.energy_j,
            images=images,
            utilization_before=before.utilization,
            processes_before=None if beside is None else _others(before),
            processes_beside=beside,
            host_s=clocks.host_s,
        )


def _gpus() -> list[Gpu]:
    """All GPUs; none where NVML is not there or does not know any."""
    nvml = ready()
    if nvml is None:
        return []
    try:
        return [Gpu(nvml, handle) for handle in devices(nvml)]
    except nvml.NVMLError:
        return []


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _spread(values: Iterable[float | None]) -> Spread | None:
    known = [float(value) for value in values if value is not None]
    if not known:
        return None
    return Spread(lowest=min(known), median=median(known), highest=max(known))


def _limits(values: Iterable[int | None]) -> tuple[tuple[str, int], ...] | None:
    """In how many samples each limit held; None if no sample told."""
    known = [value for value in values if value is not None]
    bits = [1 << place for place in range(64)]
    found = ((LIMITS.get(bit, f"{bit:#x}"), sum(bool(v & bit) for v in known)) for bit in bits)
    return tuple((name, number) for name, number in found if number) if known else None


def _others(sample: Sample, *own: int) -> int | None:
    """Processes with work on the GPU that are neither `own` nor this one."""
    if sample.pids is None:
        return None
    return len({*sample.pids} - {*own, os.getpid()})


def _most_beside(samples: Iterable[Sample], pid: int) -> int | None:
    """The most processes beside `pid` at one time; None if NVML does not show processes.

    It shows at least the one that is timed, or none at all. In a container it may give that
    another number than the container does: then one of those that look foreign is ours.
    """
    found = [
        (_others(sample, pid) or 0) - (pid not in sample.pids) for sample in samples if sample.pids
    ]
    return max(0, *found) if found else None
