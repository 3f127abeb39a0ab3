"""The worker's way to what the machine attains: a framework's own operators at their best."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from time import get_clock_info, perf_counter, process_time
from typing import TypeAlias

from convbench.base.errors import Unsupported
from convbench.base.units import Byte, Second
from convbench.frameworks.protocol import Framework, HasPeaks, Peaks
from convbench.measure.machine import environment
from convbench.measure.worker.messages import Attain, Attained
from convbench.networks.roofline import VALUE_BYTES

BUDGET: Second = 0.45
"""For each of the three; it is exceeded by what has begun, on a slow machine."""
LEAST = 2
"""Rounds of a size that has begun, after one that is not counted."""
CLOCK: Second = get_clock_info("perf_counter").resolution
MIB = 2**20

PRODUCTS = {"cpu": (512, 1024, 2048), "cuda": (2048, 4096, 8192)}
"""Square matrices: on a CPU the first fit its cache, and the last do not."""
CONVOLUTIONS = {
    "cpu": ((128, 28, 4), (256, 28, 4), (512, 14, 4)),
    "cuda": ((256, 28, 32), (256, 28, 128), (512, 14, 256)),
}
"""Channels in and out, rows and columns, images; kernels of 3x3 with padding, as in VGG."""
COPIES = {"cpu": 128 * MIB, "cuda": 1024 * MIB}
CACHES, LARGEST_COPY = 4, 1024 * MIB
"""A copy is of so many times the last-level cache, but no larger than that."""

Kernel: TypeAlias = tuple[Callable[[], None], float]
"""A step, and what it does: operations, or bytes that it moves."""


def attain(framework: Framework, request: Attain) -> Attained:
    """The best rates of products, convolutions and copies; raises Unsupported."""
    if not isinstance(framework, HasPeaks):
        why = f"{framework.name} has no peaks"
        remedy = "frameworks/__init__.py says what they are"
        raise Unsupported("what the machine attains", why, remedy)
    began, device, width = process_time(), request.device, VALUE_BYTES[request.dtype]
    framework.prepare(device, request.threads)
    peaks = framework.peaks(request.dtype)
    values = copied_bytes(device) // width
    return Attained(
        matmul_flops=best_rate([partial(_product, peaks, size) for size in PRODUCTS[device]]),
        conv_flops=best_rate([partial(_conv, peaks, *sizes) for sizes in CONVOLUTIONS[device]]),
        copy_bytes_s=best_rate([lambda: (peaks.copy(values), 2.0 * values * width)]),
        cpu_s=process_time() - began,
    )


def best_rate(kernels: Sequence[Callable[[], Kernel]]) -> float:
    """The highest rate of any round of any kernel; each has its share of BUDGET."""
    best, began = 0.0, perf_counter()
    for number, make in enumerate(kernels, start=1):
        step, done = make()
        step()
        rounds = 0
        while rounds < LEAST or perf_counter() < began + BUDGET * number / len(kernels):
            start = perf_counter()
            step()
            best = max(best, done / max(perf_counter() - start, CLOCK))
            rounds += 1
        if perf_counter() > began + BUDGET:
            break
    return best


def copied_bytes(device: str) -> Byte:
    """The size of the array that is copied, which no cache holds."""
    cache = environment.last_level_cache_bytes() if device == "cpu" else 0
    return min(max(COPIES[device], CACHES * (cache or 0)), LARGEST_COPY)


def _product(peaks: Peaks, size: int) -> Kernel:
    return peaks.product(size), 2.0 * size**3


def _conv(peaks: Peaks, channels: int, size: int, batch: int) -> Kernel:
    return peaks.convolution(channels, size, batch), 2.0 * batch * (channels * size * 3) ** 2
