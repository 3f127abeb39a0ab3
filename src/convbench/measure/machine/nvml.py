"""NVIDIA's management library: the only file that imports it."""

from __future__ import annotations

from typing import Any


def ready() -> Any:
    """The library, initialized; None on a machine without its driver."""
    try:
        import pynvml  # noqa: PLC0415  (only where it is asked for)
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    return pynvml


def devices(nvml: Any) -> list[Any]:
    """Handles of all GPUs; raises NVMLError."""
    return [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]
