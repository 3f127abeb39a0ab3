"""Keras's layers: one layer for each op, and those that Keras 3 lacks, for every backend."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import add
from typing import Any, assert_never

import numpy as np
from attrs import frozen
from keras import layers, ops

from convbench.base.errors import Unsupported
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
    same,
)


class _TableConv2D(layers.Layer):  # type: ignore[misc]  # keras is untyped
    """LeNet-5's C3: only the connections of the table have weights."""

    def __init__(self, op: TableConv, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.op, self.kernel_size, self.strides = op, op.kernel, (1, 1)

    def build(self, shape: tuple[int | None, ...]) -> None:
        maps_out = len(self.op.table)
        pairs = [(c, out) for out, maps in enumerate(self.op.table) for c in maps]
        self.index = [[c * maps_out + out] for c, out in pairs]
        self.flat = (int(shape[-1] or 0) * maps_out, *self.op.kernel)
        self.kernel = self.add_weight((len(pairs), *self.op.kernel), "zeros", name="kernel")
        self.bias = self.add_weight((maps_out,), "zeros", name="bias")

    def call(self, x: Any) -> Any:
        zeros = ops.zeros(self.flat, self.compute_dtype)
        dense = ops.scatter_update(zeros, self.index, ops.convert_to_tensor(self.kernel))
        dense = ops.transpose(dense, (1, 2, 0))
        dense = ops.reshape(dense, (*self.op.kernel, -1, len(self.op.table)))
        return ops.conv(x, dense, 1, "valid") + self.bias


class _Subsample(layers.Layer):  # type: ignore[misc]
    """LeNet-5's S2 and S4: the sum of a window times a coefficient plus a bias, per map."""

    def __init__(self, op: Subsample, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.op, self.kernel_size, self.strides = op, op.kernel, op.kernel

    def build(self, shape: tuple[int | None, ...]) -> None:
        self.kernel = self.add_weight((shape[-1],), "zeros", name="kernel")
        self.bias = self.add_weight((shape[-1],), "zeros", name="bias")

    def call(self, x: Any) -> Any:
        mean = ops.average_pool(x, self.kernel_size, self.strides, "valid")
        return mean * (self.kernel_size[0] * self.kernel_size[1]) * self.kernel + self.bias


class _Rbf(layers.Layer):  # type: ignore[misc]
    """Squared distances to fixed codes."""

    def __init__(self, op: Rbf, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.op = op

    def build(self, shape: tuple[int | None, ...]) -> None:
        size = (len(self.op.codes), shape[-1])
        self.kernel = self.add_weight(size, "zeros", name="kernel", trainable=False)

    def call(self, x: Any) -> Any:
        return ops.sum(ops.square(x[:, None, :] - self.kernel), -1)


class _ScaledTanh(layers.Layer):  # type: ignore[misc]
    def __init__(self, op: ScaledTanh, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.op = op

    def call(self, x: Any) -> Any:
        return self.op.amplitude * ops.tanh(self.op.slope * x)


class _Scale(layers.Layer):  # type: ignore[misc]
    """Values times one number; Keras's own Rescaling rounds the number to 32 bits."""

    def __init__(self, op: Scale, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.op = op

    def call(self, x: Any) -> Any:
        return x * self.op.factor


class OwnKernel:
    """Marks a layer that computes what the layer that it is derived from does, in another way."""


class LocalResponseNormalization(layers.Layer):  # type: ignore[misc]
    """Local response normalization, which Keras 3 lacks, written out."""

    def __init__(self, op: Lrn, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.op = op

    def call(self, x: Any) -> Any:
        op, reach, channels = self.op, self.op.size // 2, x.shape[-1]
        squares = ops.pad(ops.square(x), ((0, 0), (0, 0), (0, 0), (reach, reach)))
        sums = reduce(add, [squares[..., i : i + channels] for i in range(op.size)])
        return x / (op.k + op.alpha * sums) ** op.beta


class _Pad(layers.Layer):  # type: ignore[misc]
    """Padding of the image, or of the channels, with one value; negative sides are cut off."""

    def __init__(self, sides: Padding, channels: int, value: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cut = [max(0, -side) for side in sides]
        top, bottom, left, right = (max(0, side) for side in sides)
        self.paddings, self.value = ((0, 0), (top, bottom), (left, right), (0, channels)), value

    def call(self, x: Any) -> Any:
        top, bottom, left, right = self.cut
        if any(self.cut):
            x = x[:, top : x.shape[1] - bottom, left : x.shape[2] - right]
        # As a tensor: with a plain 0, TensorFlow pads by another kernel, which oneDNN joins with
        # what follows, and which then ends the process where channels are padded.
        return ops.pad(x, self.paddings, constant_values=ops.cast(self.value, x.dtype))


class _AvgPoolOfImage(layers.Layer):  # type: ignore[misc]
    """Mean over windows that hang over the edge, of the image's own values alone."""

    def __init__(self, op: AvgPool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        top, bottom, left, right = op.padding
        self.paddings = ((0, 0), (top, bottom), (left, right), (0, 0))
        self.pool_size, self.strides = op.kernel, op.stride

    def call(self, x: Any) -> Any:
        return self._means(x) / self._means(ops.ones_like(x[:1, :, :, :1]))

    def _means(self, x: Any) -> Any:
        return ops.average_pool(ops.pad(x, self.paddings), self.pool_size, self.strides, "valid")


@frozen
class Kinds:
    """What a backend has of its own where it has a choice, in one mode."""

    lrn: type[layers.Layer] = LocalResponseNormalization
    grouped: type[layers.Layer] = layers.Conv2D
    """For convolutions with groups of more than one map."""
    name: Callable[[str], str] = str
    """What the layer of an address is called."""
    uneven_means: bool = True
    """Whether mean pooling with `same` leaves padding out that is not alike on both sides."""


def layer_for(node: Node, graph: Graph, kinds: Kinds) -> layers.Layer:
    """The layer of a node, for an input that `apply` has padded where it must be."""
    name = kinds.name(node.address)
    match node.op:
        case Input(shape=(c, h, w)):
            return layers.InputLayer((h, w, c), name=name)
        case Conv() as op:
            return _conv(op, graph[node.inputs[0]].output[0], name, kinds)
        case TableConv() as op:
            return _TableConv2D(op, name=name)
        case Dense(features=features, bias=bias):
            return layers.Dense(features, use_bias=bias, name=name, **_ZEROS)
        case Rbf() as op:
            return _Rbf(op, name=name)
        case MaxPool(kernel=kernel, stride=stride):
            return layers.MaxPooling2D(kernel, stride, name=name)
        case AvgPool(kernel=kernel, stride=stride):
            return layers.AveragePooling2D(kernel, stride, name=name)
        case Subsample() as op:
            return _Subsample(op, name=name)
        case GlobalAvgPool():
            return layers.GlobalAveragePooling2D(keepdims=True, name=name)
        case BatchNorm(eps=eps, decay=decay, scale=scale):
            return layers.BatchNormalization(momentum=decay, epsilon=eps, scale=scale, name=name)
        case Lrn() as op:
            return kinds.lrn(op, name=name)
        case Relu():
            return layers.ReLU(name=name)
        case Relu6():
            return layers.ReLU(max_value=6.0, name=name)
        case Silu():
            return layers.Activation("silu", name=name)
        case Sigmoid():
            return layers.Activation("sigmoid", name=name)
        case ScaledTanh() as op:
            return _ScaledTanh(op, name=name)
        case Softmax():
            return layers.Softmax(name=name)
        case Dropout(rate=rate):
            return layers.Dropout(rate, name=name)
        case Flatten():
            return layers.Flatten(name=name)
        case Add():
            return layers.Add(name=name)
        case Multiply():
            return layers.Multiply(name=name)
        case Concat():
            return layers.Concatenate(name=name)
        case Scale() as op:
            return _Scale(op, name=name)
        case Upsample(factor=factor):
            return layers.UpSampling2D(factor, name=name)
        case Pad(padding=padding):
            return _Pad(padding, 0, 0.0, name=name)
        case PadChannels(extra=extra):
            return _Pad((0, 0, 0, 0), extra, 0.0, name=name)
        case Input():
            raise Unsupported(f"input {node.output}", "not an image", "describe it as (C, H, W)")
        case _:
            assert_never(node.op)


# Real values are loaded before anything runs; drawing initial ones would only cost time.
_ZEROS = {"kernel_initializer": "zeros", "bias_initializer": "zeros"}


def _conv(op: Conv, channels: int, name: str, kinds: Kinds) -> layers.Layer:
    described = {"use_bias": op.bias, "name": name, "bias_initializer": "zeros"}
    if channels == op.groups > 1:
        return layers.DepthwiseConv2D(
            op.kernel,
            op.stride,
            depth_multiplier=op.channels // channels,
            depthwise_initializer="zeros",
            **described,
        )
    described["kernel_initializer"] = "zeros"
    kind = kinds.grouped if op.groups > 1 else layers.Conv2D
    return kind(op.channels, op.kernel, op.stride, groups=op.groups, **described)


def apply(node: Node, graph: Graph, inputs: list[Any], kinds: Kinds) -> Any:
    """What leaves a node; its padding is the layer's own where Keras has a word for it."""
    op = node.op
    layer = layer_for(node, graph, kinds)
    if not isinstance(op, Conv | MaxPool | AvgPool) or not any(op.padding):
        return layer(inputs if isinstance(op, Add | Multiply | Concat) else inputs[0])
    _, h, w = graph[node.inputs[0]].output
    counts_padding = isinstance(op, AvgPool) and op.count_padding
    as_same = (*same(h, op.kernel[0], op.stride[0]), *same(w, op.kernel[1], op.stride[1]))
    uneven_mean = isinstance(op, AvgPool) and op.padding[::2] != op.padding[1::2]
    has_word = op.padding == as_same and (kinds.uneven_means or not uneven_mean)
    if has_word and not counts_padding:
        layer.padding = "same"
        return layer(inputs[0])
    if isinstance(op, AvgPool) and not counts_padding:
        return _AvgPoolOfImage(op, name=layer.name)(inputs[0])
    return layer(_padding(op, kinds.name(f"{node.address}.padding"))(inputs[0]))


def _padding(op: Conv | MaxPool | AvgPool, name: str) -> layers.Layer:
    """A layer that pads before `op`; what pads a maximum never wins."""
    if isinstance(op, MaxPool):
        return _Pad(op.padding, 0, -np.inf, name=name)
    top, bottom, left, right = op.padding
    return layers.ZeroPadding2D(((top, bottom), (left, right)), name=name)
