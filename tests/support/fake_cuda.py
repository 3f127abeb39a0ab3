"""Stands where `torch.cuda` stands on a machine without a GPU: events, a queue and a cache."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from attrs import define, field


class Pretended(str):
    """A device that says it is CUDA's, while tensors lie on the CPU."""

    __slots__ = ()
    type = "cuda"


@define
class FakeCuda:
    """Notes in what order it is asked; the time between two events is `elapsed_ms`."""

    elapsed_ms: float = 8.0
    l2_bytes: int = 0
    asked: list[str] = field(factory=list)

    def install(self, patch) -> FakeCuda:
        """Puts it in the place of the real one."""
        patch.setattr(torch.cuda, "Event", self._event)
        patch.setattr(torch.cuda, "synchronize", lambda: self.asked.append("synchronize"))
        properties = SimpleNamespace(L2_cache_size=self.l2_bytes)
        patch.setattr(torch.cuda, "get_device_properties", lambda: properties)
        return self

    def _event(self, *, enable_timing: bool = False) -> FakeEvent:
        assert enable_timing, "an event without it has no time"
        return FakeEvent(self)


@define
class FakeEvent:
    cuda: FakeCuda
    recorded: bool = False

    def record(self) -> None:
        self.recorded = True
        self.cuda.asked.append("record")

    def elapsed_time(self, end_event: FakeEvent) -> float:
        assert self.recorded, "the first event comes first"
        assert end_event.recorded
        assert self.cuda.asked[-1] == "synchronize", "nobody knows before the device has finished"
        return self.cuda.elapsed_ms
