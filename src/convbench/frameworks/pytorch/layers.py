"""PyTorch's layers: one module for each op, and those that PyTorch lacks."""

from __future__ import annotations

from typing import Any, assert_never

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convbench.networks.graph import Graph, Node
from convbench.networks.ops import (
    Add,
    AvgPool,
    BatchNorm,
    Concat,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Input,
    Lrn,
    MaxPool,
    Multiply,
    Op,
    Pad,
    PadChannels,
    Padding,
    Rbf,
    Relu,
    Relu6,
    Scale,
    ScaledTanh,
    Sigmoid,
    Silu,
    Softmax,
    Subsample,
    TableConv,
    Upsample,
)


class _PaddedConv2d(nn.Conv2d):
    """A convolution whose padding differs from side to side."""

    def __init__(self, sides: Padding, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        top, bottom, left, right = sides
        self.sides = (left, right, top, bottom)

    def forward(self, x: Tensor) -> Tensor:
        padded = F.pad(x, self.sides)
        return super().forward(padded)


class _PaddedMaxPool2d(nn.MaxPool2d):
    """A pooling whose padding differs from side to side; padding never wins."""

    def __init__(self, sides: Padding, *args: Any) -> None:
        super().__init__(*args)
        top, bottom, left, right = sides
        self.sides = (left, right, top, bottom)

    def forward(self, x: Tensor) -> Tensor:
        padded: Tensor = super().forward(F.pad(x, self.sides, value=-torch.inf))
        return padded


class Composed(nn.Module):
    """A layer that takes several of PyTorch's functions to do what one op says."""

    def __init__(self, op: Op) -> None:
        super().__init__()
        self.op = op


class TableConv2d(Composed):
    """LeNet-5's C3: only the connections of the table have weights."""

    index: Tensor

    def __init__(self, op: TableConv, channels: int) -> None:
        super().__init__(op)
        self.kernel_size, self.stride = op.kernel, (1, 1)
        self.shape = (len(op.table) * channels, *op.kernel)
        self.flat = [out * channels + c for out, maps in enumerate(op.table) for c in maps]
        self.weight = nn.Parameter(torch.empty(len(self.flat), *op.kernel))
        self.bias = nn.Parameter(torch.empty(len(op.table)))
        self.register_buffer("index", torch.tensor(self.flat), persistent=False)

    def fill_index(self) -> None:
        """Where each weight lies in the dense kernel; to be called when there is memory."""
        self.index.copy_(torch.tensor(self.flat))

    def forward(self, x: Tensor) -> Tensor:
        dense = self.weight.new_zeros(self.shape).index_copy(0, self.index, self.weight)
        kernel = dense.reshape(self.bias.numel(), -1, *self.kernel_size)
        return F.conv2d(x, kernel, self.bias)


class _Subsample(Composed):
    """LeNet-5's S2 and S4: the sum of a window times a coefficient plus a bias, per map."""

    def __init__(self, op: Subsample, channels: int) -> None:
        super().__init__(op)
        self.kernel_size = self.stride = op.kernel
        self.weight = nn.Parameter(torch.empty(channels))
        self.bias = nn.Parameter(torch.empty(channels))

    def forward(self, x: Tensor) -> Tensor:
        sums = F.avg_pool2d(x, self.kernel_size, divisor_override=1)
        return sums * self.weight[:, None, None] + self.bias[:, None, None]


class _Rbf(Composed):
    """Squared distances to fixed codes."""

    weight: Tensor

    def __init__(self, op: Rbf) -> None:
        super().__init__(op)
        self.register_buffer("weight", torch.empty(len(op.codes), len(op.codes[0])))

    def forward(self, x: Tensor) -> Tensor:
        return (x[:, None, :] - self.weight).square().sum(-1)


class _ScaledTanh(nn.Module):
    def __init__(self, op: ScaledTanh) -> None:
        super().__init__()
        self.amplitude, self.slope = op.amplitude, op.slope

    def forward(self, x: Tensor) -> Tensor:
        return self.amplitude * torch.tanh(self.slope * x)


class _AvgPoolOfImage(Composed):
    """Mean over windows that hang over the edge, of the image's own values alone."""

    def __init__(self, op: AvgPool) -> None:
        super().__init__(op)
        top, bottom, left, right = op.padding
        self.sides = (left, right, top, bottom)
        self.kernel_size, self.stride = op.kernel, op.stride

    def forward(self, x: Tensor) -> Tensor:
        sums = self._sums(x)
        return sums / self._sums(torch.ones_like(x[:1, :1]))

    def _sums(self, x: Tensor) -> Tensor:
        padded = F.pad(x, self.sides)
        return F.avg_pool2d(padded, self.kernel_size, self.stride, divisor_override=1)


class _Multiply(nn.Module):
    def forward(self, x: Tensor, factors: Tensor) -> Tensor:
        return x * factors


class _Concat(nn.Module):
    def forward(self, *inputs: Tensor) -> Tensor:
        return torch.cat(inputs, dim=1)


class _Scale(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


class _Pad(nn.Module):
    def __init__(self, padding: Padding) -> None:
        super().__init__()
        top, bottom, left, right = padding
        self.sides = (left, right, top, bottom)

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x, self.sides)


class _Add(Composed):
    def forward(self, first: Tensor, *others: Tensor) -> Tensor:
        return sum(others, start=first)


class _PadChannels(nn.Module):
    def __init__(self, extra: int) -> None:
        super().__init__()
        self.extra = extra

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x, (0, 0, 0, 0, 0, self.extra))


def module_for(node: Node, graph: Graph) -> nn.Module:
    """The module of one node; its arrays have the names and shapes of the canonical form."""
    channels = graph[node.inputs[0]].output[0] if node.inputs else 0
    match node.op:
        case Input():
            return nn.Identity()
        case Conv() as op:
            return _conv(op, channels)
        case TableConv() as op:
            return TableConv2d(op, channels)
        case Dense(features=features, bias=bias):
            return nn.Linear(channels, features, bias=bias)
        case Rbf() as op:
            return _Rbf(op)
        case MaxPool() as op:
            return _max_pool(op, node, graph)
        case AvgPool() as op:
            return _avg_pool(op)
        case Subsample() as op:
            return _Subsample(op, channels)
        case GlobalAvgPool():
            return nn.AdaptiveAvgPool2d(1)
        case BatchNorm() as op:
            return _batch_norm(op, channels, len(node.output))
        case Lrn(size=size, k=k, alpha=alpha, beta=beta):
            # PyTorch divides alpha by the number of channels in the sum, the papers do not.
            return nn.LocalResponseNorm(size, alpha * size, beta, k)
        case Relu():
            return nn.ReLU()
        case Relu6():
            return nn.ReLU6()
        case Silu():
            return nn.SiLU()
        case Sigmoid():
            return nn.Sigmoid()
        case ScaledTanh() as op:
            return _ScaledTanh(op)
        case Softmax():
            return nn.Softmax(dim=1)
        case Dropout(rate=rate):
            return nn.Dropout(rate)
        case Flatten():
            return nn.Flatten()
        case Add() as op:
            return _Add(op)
        case Multiply():
            return _Multiply()
        case Concat():
            return _Concat()
        case Scale(factor=scale_factor):
            return _Scale(scale_factor)
        case Upsample(factor=factor):
            return nn.Upsample(scale_factor=factor, mode="nearest")
        case Pad(padding=padding):
            return _Pad(padding)
        case PadChannels(extra=extra):
            return _PadChannels(extra)
        case _:
            assert_never(node.op)


def _batch_norm(op: BatchNorm, channels: int, rank: int) -> nn.Module:
    kind = nn.BatchNorm2d if rank == 3 else nn.BatchNorm1d
    norm = kind(channels, eps=op.eps, momentum=1 - op.decay)
    if not op.scale:
        norm.register_parameter("weight", None)
    return norm


def _avg_pool(op: AvgPool) -> nn.Module:
    top, bottom, left, right = op.padding
    if (top, left) == (bottom, right):
        return nn.AvgPool2d(op.kernel, op.stride, (top, left), count_include_pad=op.count_padding)
    if op.count_padding:
        return nn.Sequential(_Pad(op.padding), nn.AvgPool2d(op.kernel, op.stride))
    return _AvgPoolOfImage(op)


def _conv(op: Conv, channels: int) -> nn.Module:
    top, bottom, left, right = op.padding
    described: dict[str, Any] = {"stride": op.stride, "groups": op.groups, "bias": op.bias}
    if (top, left) == (bottom, right):
        return nn.Conv2d(channels, op.channels, op.kernel, padding=(top, left), **described)
    return _PaddedConv2d(op.padding, channels, op.channels, op.kernel, **described)


def _max_pool(op: MaxPool, node: Node, graph: Graph) -> nn.Module:
    top, bottom, left, right = op.padding
    if (top, left) == (bottom, right):
        return nn.MaxPool2d(op.kernel, op.stride, (top, left))
    _, h, w = graph[node.inputs[0]].output
    as_ceil = nn.MaxPool2d(op.kernel, op.stride, (top, left), ceil_mode=True)
    # ceil_mode is how people write it, where it means the same windows.
    meta = torch.empty(1, 1, h, w, device="meta")
    if tuple(as_ceil(meta).shape[2:]) == node.output[1:] and top < bottom and left < right:
        return as_ceil
    return _PaddedMaxPool2d(op.padding, op.kernel, op.stride)


def allocate_arrays(network: nn.Module, device: torch.device) -> None:
    """Memory for all arrays of a network that has none yet, laid out as they were without it.

    `Module.to_empty` would do it by a reference implementation in Python whose first call imports
    sympy: 0.2 s and 30 MB in every process.
    """
    for module in network.modules():
        for name, array in [*module.named_parameters(recurse=False)]:
            real = _empty(array, device)
            setattr(module, name, nn.Parameter(real, requires_grad=array.requires_grad))
        for name, buffer in [*module.named_buffers(recurse=False)]:
            setattr(module, name, _empty(buffer, device))
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.reset_running_stats()
        elif isinstance(module, TableConv2d):
            module.fill_index()


def _empty(array: Tensor, device: torch.device) -> Tensor:
    return torch.empty_strided(array.size(), array.stride(), dtype=array.dtype, device=device)
