"""What one layer makes of its inputs, by integer arithmetic: shape, parameters, operations.

This is the only arithmetic that the frameworks' answers are held against, so it never asks them.
Parameter names and shapes are PyTorch's: that is the canonical form in which weights travel.
"""

from __future__ import annotations

from math import prod
from typing import TypeAlias, assert_never

from attrs import frozen

from convbench.base.errors import ShapeMismatch
from convbench.networks.layer_facts import facts, weight_uses
from convbench.networks.layer_row import NO_PADDING
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
    Pair,
    Rbf,
    Relu,
    Relu6,
    Scale,
    ScaledTanh,
    Shape,
    Sigmoid,
    Silu,
    Softmax,
    Subsample,
    TableConv,
    Upsample,
)

Image: TypeAlias = tuple[int, int, int]


@frozen
class Tensor:
    """One array that a layer owns: trained, or kept fixed or running as a buffer."""

    name: str
    shape: Shape
    trainable: bool

    @property
    def size(self) -> int:
        """Number of values."""
        return prod(self.shape)


def output_shape(op: Op, inputs: tuple[Shape, ...], at: str) -> Shape:
    """Shape that leaves `op`, without the batch: `(C, H, W)` or `(features,)`.

    Raises ShapeMismatch with the address `at` if the inputs do not fit.
    """
    match op:
        case Input(shape=shape):
            return shape
        case Conv() | TableConv() | MaxPool() | AvgPool() | Subsample():
            return _slid(op, _image(op, inputs, at), at)
        case GlobalAvgPool() | Pad() | PadChannels() | Upsample() | Lrn() | Flatten():
            return _reshaped(op, _image(op, inputs, at), at)
        case Concat() | Multiply() | Add():
            return _joined(op, inputs, at)
        case Dense() | Rbf() | Softmax():
            return (_features(op, _vector(op, inputs, at), at),)
        case (BatchNorm() | Relu() | Relu6() | Silu() | Sigmoid() | ScaledTanh()) | (
            Dropout() | Scale()
        ):
            return _only(op, inputs, at)
        case _:
            assert_never(op)


def _slid(op: Conv | TableConv | MaxPool | AvgPool | Subsample, image: Image, at: str) -> Shape:
    """What leaves a window that slides over an image."""
    c, size = image[0], image[1:]
    match op:
        case Conv(channels=channels, groups=groups):
            if c % groups or channels % groups:
                raise ShapeMismatch(
                    at,
                    f"channels that split into {groups} groups",
                    f"{c} in and {channels} out",
                    "do the widths fit the groups?",
                )
            return (channels, *_windows(size, op.kernel, op.stride, op.padding, at))
        case TableConv(table=table, kernel=kernel):
            if {m for maps in table for m in maps} != set(range(c)):
                raise ShapeMismatch(
                    at,
                    f"a table that uses each of the maps 0 to {c - 1}",
                    f"maps {sorted({m for maps in table for m in maps})}",
                    "does the table belong to this layer?",
                )
            return (len(table), *_windows(size, kernel, (1, 1), NO_PADDING, at))
        case MaxPool() | AvgPool():
            return (c, *_windows(size, op.kernel, op.stride, op.padding, at))
        case Subsample(kernel=kernel):
            return (c, *_windows(size, kernel, kernel, NO_PADDING, at))
        case _:
            assert_never(op)


def _reshaped(
    op: GlobalAvgPool | Pad | PadChannels | Upsample | Lrn | Flatten, image: Image, at: str
) -> Shape:
    """What leaves a layer that takes one image and has no window."""
    c, h, w = image
    match op:
        case GlobalAvgPool():
            return (c, 1, 1)
        case Pad(padding=(top, bottom, left, right)):
            size = (h + top + bottom, w + left + right)
            return (c, *_windows(size, (1, 1), (1, 1), NO_PADDING, at))
        case PadChannels(extra=extra):
            return (c + extra, h, w)
        case Upsample(factor=factor):
            return (c, factor * h, factor * w)
        case Lrn():
            return image
        case Flatten():
            return (prod(image),)
        case _:
            assert_never(op)


def _joined(op: Concat | Multiply | Add, inputs: tuple[Shape, ...], at: str) -> Shape:
    """What leaves a layer where branches meet."""
    match op:
        case Concat():
            alike = len(inputs) > 1 and len({shape[1:] for shape in inputs}) == 1
            fits = alike and len(inputs[0]) == 3
            wanted = "two or more images of one size"
            hint = "do all branches have the same stride and padding?"
        case Multiply():
            fits = len(inputs) == 2 and inputs[1] == (inputs[0][0], 1, 1)
            wanted = "an image (C, H, W) and factors (C, 1, 1)"
            hint = "is the gate as wide as the image?"
        case Add():
            fits = len(inputs) > 1 and len(set(inputs)) == 1
            wanted = "two or more inputs of one shape"
            hint = "does the shortcut miss a stride or a projection?"
        case _:
            assert_never(op)
    if not fits:
        raise ShapeMismatch(at, wanted, " and ".join(map(str, inputs)), hint)
    if isinstance(op, Concat):
        return (sum(shape[0] for shape in inputs), *inputs[0][1:])
    return inputs[0]


def _features(op: Dense | Rbf | Softmax, width: int, at: str) -> int:
    """How many values leave a layer that takes a vector."""
    match op:
        case Dense(features=features):
            return features
        case Rbf(codes=codes):
            if any(len(code) != width for code in codes):
                raise ShapeMismatch(
                    at,
                    f"a vector of {len(codes[0])}, the length of its codes",
                    f"one of {width}",
                    "do the codes belong to this layer?",
                )
            return len(codes)
        case Softmax():
            return width
        case _:
            assert_never(op)


def tensors(op: Op, inputs: tuple[Shape, ...]) -> tuple[Tensor, ...]:
    """The arrays that `op` owns, in PyTorch's layout, for inputs that `output_shape` accepted."""
    match op:
        case Conv(channels=channels, kernel=kernel, groups=groups, bias=bias):
            weight = Tensor("weight", (channels, inputs[0][0] // groups, *kernel), True)
            return (weight, Tensor("bias", (channels,), True)) if bias else (weight,)
        case TableConv(table=table, kernel=kernel):
            connections = sum(len(maps) for maps in table)
            return (
                Tensor("weight", (connections, *kernel), True),
                Tensor("bias", (len(table),), True),
            )
        case Dense(features=features, bias=bias):
            weight = Tensor("weight", (features, inputs[0][0]), True)
            return (weight, Tensor("bias", (features,), True)) if bias else (weight,)
        case Subsample():
            c = inputs[0][0]
            return (Tensor("weight", (c,), True), Tensor("bias", (c,), True))
        case BatchNorm(scale=scale):
            c = inputs[0][0]
            return (
                *((Tensor("weight", (c,), True),) if scale else ()),
                Tensor("bias", (c,), True),
                Tensor("running_mean", (c,), False),
                Tensor("running_var", (c,), False),
            )
        case Rbf(codes=codes):
            return (Tensor("weight", (len(codes), len(codes[0])), False),)
        case (
            (Input() | MaxPool() | AvgPool() | GlobalAvgPool() | Lrn() | Relu() | Relu6() | Silu())
            | (Sigmoid() | ScaledTanh() | Softmax() | Dropout() | Flatten() | Add() | Multiply())
            | (Concat() | Scale() | Upsample() | Pad() | PadChannels())
        ):
            return ()
        case _:
            assert_never(op)


def macs(op: Op, weight: Shape, output: Shape) -> int:
    """Multiply-accumulates for one image; only convolutions and dense layers count.

    `weight` is the shape of the layer's weight, `output` what leaves the layer: each weight
    is used once per output position.
    """
    owned = facts(op).arrays
    return weight_uses(weight, output) if owned and owned.multiplies else 0


def connections(op: Op, weight: Shape, output: Shape) -> int:
    """Multiply-accumulates plus one per use of a bias, as LeNet-5 and older texts count."""
    owned = facts(op).arrays
    return owned.connections(op, weight, output) if owned else 0


def _windows(size: Pair, kernel: Pair, stride: Pair, padding: Padding, at: str) -> Pair:
    padded = (size[0] + padding[0] + padding[1], size[1] + padding[2] + padding[3])
    if padded[0] < kernel[0] or padded[1] < kernel[1]:
        raise ShapeMismatch(
            at,
            f"at least {kernel[0]}x{kernel[1]} positions for its kernel",
            f"{padded[0]}x{padded[1]} with padding",
            "is the input too small, or a stride too many above?",
        )
    h, w = ((n - k) // s + 1 for n, k, s in zip(padded, kernel, stride, strict=True))
    return h, w


def _only(op: Op, inputs: tuple[Shape, ...], at: str) -> Shape:
    if len(inputs) != 1:
        raise ShapeMismatch(
            at, "one input", f"{len(inputs)}", f"{type(op).__name__} does not join branches"
        )
    return inputs[0]


def _image(op: Op, inputs: tuple[Shape, ...], at: str) -> Image:
    shape = _only(op, inputs, at)
    if len(shape) != 3:
        raise ShapeMismatch(
            at, "an image (C, H, W)", f"{shape}", f"{type(op).__name__} belongs before Flatten"
        )
    return shape[0], shape[1], shape[2]


def _vector(op: Op, inputs: tuple[Shape, ...], at: str) -> int:
    shape = _only(op, inputs, at)
    if len(shape) != 1:
        raise ShapeMismatch(at, "a vector", f"{shape}", "is a Flatten missing before it?")
    return shape[0]
