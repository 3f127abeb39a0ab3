"""Inception modules as data: parallel branches of convolutions and poolings, then joined."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias, assert_never

from convbench.networks.builder import Builder
from convbench.networks.ops import AvgPool, BatchNorm, Concat, Conv, MaxPool, Pair, pair
from convbench.networks.zoo.blocks import conv_bn_relu

Step: TypeAlias = Conv | MaxPool | AvgPool | tuple[Conv, ...]
"""A convolution with its normalization and ReLU, a pooling, or convolutions side by side."""

MEAN = AvgPool(3, stride=1, padding=1, count_padding=False)
MAXIMUM = MaxPool(3, stride=1, padding=1)


def conv(channels: int, kernel: int | Pair, *, stride: int = 1, padding: int | None = None) -> Conv:
    """A convolution without bias that keeps the size, or has no padding if it is strided."""
    height, width = pair(kernel)
    keeping = (height // 2, width // 2) if stride == 1 else (0, 0)
    sides = keeping if padding is None else (padding, padding)
    return Conv(channels, kernel, stride=stride, padding=sides, bias=False)


def chain(net: Builder, x: str, at: str, steps: tuple[Step, ...], norm: BatchNorm) -> list[str]:
    """Steps one after the other, numbered from 1; what leaves the last one."""
    ends = [x]
    for i, step in enumerate(steps, start=1):
        address = f"{at}_{i}" if len(steps) > 1 else at
        match step:
            case Conv():
                ends = [conv_bn_relu(net, ends[0], address, step, norm=norm)]
            case tuple():
                ends = [
                    conv_bn_relu(net, ends[0], address + letter, each, norm=norm)
                    for letter, each in zip("ab", step, strict=True)
                ]
            case MaxPool() | AvgPool():
                ends = [net(address, step, ends[0])]
            case _:
                assert_never(step)
    return ends


def branches(
    net: Builder, x: str, at: str, described: Mapping[str, tuple[Step, ...]], norm: BatchNorm
) -> str:
    """All branches of `x`, joined in the order in which they are described."""
    ends = [
        end
        for name, steps in described.items()
        for end in chain(net, x, f"{at}.{name}", steps, norm)
    ]
    return net(f"{at}.concat", Concat(), *ends)
