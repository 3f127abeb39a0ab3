"""Stands where pynvml stands: GPUs whose every answer a test chooses, or that refuse."""

from __future__ import annotations

from types import SimpleNamespace

from attrs import define, field


class NVMLError(Exception):
    """What NVML raises."""


class NotSupported(NVMLError):
    """What a GPU raises that cannot tell."""


@define
class FakeGpu:
    """One GPU; `refused` are the calls that it does not support."""

    mhz: dict[int, int] = field(factory=lambda: {1: 1980, 2: 3201})
    milliwatts: int = 700_000
    celsius: int = 60
    utilizations: list[int] = field(factory=lambda: [0])
    """One for each time that it is asked; the last one stays."""
    reasons: int = 0
    millijoules: list[int] = field(factory=lambda: [1_000_000, 1_500_000])
    pids: list[int] = field(factory=list)
    refused: set[str] = field(factory=set)


@define
class FakeNvml:
    """The library with these GPUs."""

    gpus: list[FakeGpu]
    NVMLError: type[Exception] = NVMLError
    NVML_CLOCK_SM: int = 1
    NVML_CLOCK_MEM: int = 2
    NVML_TEMPERATURE_GPU: int = 0

    def nvmlInit(self) -> None:  # noqa: N802  (here and below: NVML's names)
        pass

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return len(self.gpus)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> FakeGpu:  # noqa: N802
        return self.gpus[index]

    def nvmlDeviceGetClockInfo(self, gpu: FakeGpu, kind: int) -> int:  # noqa: N802
        return self._unless_refused(gpu, "nvmlDeviceGetClockInfo", gpu.mhz[kind])

    def nvmlDeviceGetPowerUsage(self, gpu: FakeGpu) -> int:  # noqa: N802
        return self._unless_refused(gpu, "nvmlDeviceGetPowerUsage", gpu.milliwatts)

    def nvmlDeviceGetTemperature(self, gpu: FakeGpu, sensor: int) -> int:  # noqa: N802
        assert sensor == self.NVML_TEMPERATURE_GPU
        return self._unless_refused(gpu, "nvmlDeviceGetTemperature", gpu.celsius)

    def nvmlDeviceGetUtilizationRates(self, gpu: FakeGpu) -> SimpleNamespace:  # noqa: N802
        now = gpu.utilizations.pop(0) if len(gpu.utilizations) > 1 else gpu.utilizations[0]
        rates = SimpleNamespace(gpu=now, memory=0)
        return self._unless_refused(gpu, "nvmlDeviceGetUtilizationRates", rates)

    def nvmlDeviceGetCurrentClocksEventReasons(self, gpu: FakeGpu) -> int:  # noqa: N802
        return self._unless_refused(gpu, "nvmlDeviceGetCurrentClocksEventReasons", gpu.reasons)

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, gpu: FakeGpu) -> int:  # noqa: N802
        return self._unless_refused(gpu, "nvmlDeviceGetCurrentClocksThrottleReasons", gpu.reasons)

    def nvmlDeviceGetTotalEnergyConsumption(self, gpu: FakeGpu) -> int:  # noqa: N802
        now = gpu.millijoules.pop(0) if len(gpu.millijoules) > 1 else gpu.millijoules[0]
        return self._unless_refused(gpu, "nvmlDeviceGetTotalEnergyConsumption", now)

    def nvmlDeviceGetComputeRunningProcesses(self, gpu: FakeGpu) -> list:  # noqa: N802
        found = [SimpleNamespace(pid=pid, usedGpuMemory=1) for pid in gpu.pids]
        return self._unless_refused(gpu, "nvmlDeviceGetComputeRunningProcesses", found)

    @staticmethod
    def _unless_refused(gpu: FakeGpu, name: str, answer):
        if name in gpu.refused:
            raise NotSupported(name)
        return answer
