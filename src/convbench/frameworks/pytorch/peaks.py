"""What PyTorch's own operators attain at their best: steps whose operations are known."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn


class PyTorchPeaks:
    """Operators on a device in one precision; each step waits for the device by `finish`."""

    def __init__(
        self, device: torch.device, dtype: torch.dtype, finish: Callable[[], None]
    ) -> None:
        self._device, self._dtype, self._finish = device, dtype, finish

    def product(self, size: int) -> Callable[[], None]:
        one, other = (self._random(size, size) for _ in range(2))
        found = torch.empty_like(one)

        def step() -> None:
            torch.mm(one, other, out=found)
            self._finish()

        return step

    def convolution(self, channels: int, size: int, batch: int) -> Callable[[], None]:
        # With the channels innermost, which here is never the slower layout.
        layer = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        layer = layer.to(self._device, self._dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
        images = self._random(batch, channels, size, size)
        images = images.contiguous(memory_format=torch.channels_last)

        def step() -> None:
            with torch.inference_mode():
                layer(images)
            self._finish()

        return step

    def copy(self, values: int) -> Callable[[], None]:
        source = torch.ones(values, device=self._device, dtype=self._dtype)
        target = torch.empty_like(source)

        def step() -> None:
            target.copy_(source)
            self._finish()

        return step

    def _random(self, *shape: int) -> torch.Tensor:
        return torch.randn(shape, device=self._device).to(self._dtype)
