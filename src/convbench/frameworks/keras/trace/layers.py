"""Keras's layers in the words of `ops`, and our own in `keras_layers`.

A layer that only calls functions of keras.ops, such as a pooling, is not here: the tracer
follows it to the function.
"""

from __future__ import annotations

from typing import Any

from keras import layers

from convbench.frameworks.keras import layers as own
from convbench.frameworks.keras.trace.parts import (
    Call,
    Handler,
    Part,
    Parts,
    as_pair,
    convolution,
    dense,
    depthwise_shape,
    kernel_shape,
    number,
    other,
    positions,
    settings,
)
from convbench.frameworks.trace import Held, Layer, Other
from convbench.networks.ops import (
    Add,
    AvgPool,
    BatchNorm,
    Conv,
    Dropout,
    Pad,
    PadChannels,
    Shape,
    Upsample,
)

_FOLLOWED = (
    *(layers.Activation, layers.ReLU, layers.LeakyReLU, layers.ELU, layers.Softmax),
    *(layers.MaxPooling2D, layers.AveragePooling2D, layers.Identity, layers.Lambda),
    *(layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D),
    *(layers.Flatten, layers.Reshape, layers.Permute, layers.ZeroPadding2D, layers.Cropping2D),
    *(layers.Concatenate, layers.Multiply, layers.Subtract, layers.Maximum, layers.Minimum),
    *(layers.Conv2D, layers.DepthwiseConv2D, layers.SeparableConv2D, layers.Dense),
)
"""Keras's own layers whose call is functions of keras.ops and nothing else.

Convolutions are among them for those that somebody has changed.
"""


def handler_of(layer: Any) -> Handler | None:
    """Who says what a layer is; None for one whose call is followed.

    A layer that somebody derives from one of Keras's is that one while it is called alike.
    """
    kind = type(layer)
    for base in kind.__mro__:
        called_alike = issubclass(kind, own.OwnKernel) or all(
            getattr(kind, part, None) is getattr(base, part, None)
            for part in ("call", "convolution_op")
        )
        if base in LAYERS and called_alike:
            return LAYERS[base]
    inside = "keras.src.layers."
    if kind.call.__module__.startswith(inside) and not isinstance(layer, _FOLLOWED):
        return other
    return None


def _held(call: Call, **shapes: Shape | None) -> tuple[Held, ...]:
    """Arrays of a layer under their names in Keras, which it may lack, in the shapes given."""
    arrays = {name: getattr(call.what, name, None) for name in shapes}
    found = (
        call.held(array, _ROLES[name], shapes[name])
        for name, array in arrays.items()
        if array is not None
    )
    return tuple(array for array in found if array is not None)


_ROLES = {
    "kernel": "weight",
    "depthwise_kernel": "weight",
    "pointwise_kernel": "weight",
    "gamma": "weight",
    "bias": "bias",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
    "adapt_mean": "mean",
    "adapt_variance": "variance",
}


def _conv(call: Call) -> Parts:
    layer = call.what
    weight = kernel_shape(layer.kernel.shape)
    op = convolution(layer, call.input, weight, call.output, bias=layer.use_bias)
    return (Part(op, _held(call, kernel=weight, bias=None)),)


def _depthwise(call: Call) -> Parts:
    layer = call.what
    weight = depthwise_shape(layer.kernel.shape)
    op = convolution(layer, call.input, weight, call.output, bias=layer.use_bias)
    return (Part(op, _held(call, kernel=weight, bias=None)),)


def _separable(call: Call) -> Parts:
    layer = call.what
    each = depthwise_shape(layer.depthwise_kernel.shape)
    across = kernel_shape(layer.pointwise_kernel.shape)
    between = (each[0], *call.output[1:])
    first = convolution(layer, call.input, each, between, bias=False)
    second = Conv(across[0], 1, bias=layer.use_bias)
    return (
        Part(first, _held(call, depthwise_kernel=each), "depthwise", between),
        Part(second, _held(call, pointwise_kernel=across, bias=None), "pointwise"),
    )


def _transposed(call: Call) -> Parts:
    layer = call.what
    h, w, outputs, inputs = layer.kernel.shape
    facts = settings(channels=outputs, kernel=(h, w), stride=layer.strides, padding=layer.padding)
    macs = h * w * outputs * inputs * positions(call.input)
    held = _held(call, kernel=(inputs, outputs, h, w), bias=None)
    return (Part(Other("transposed convolution", facts, macs), held),)


def _dense(call: Call) -> Parts:
    inputs, outputs = call.what.kernel.shape
    op = dense((outputs, inputs), call.input, bias=call.what.use_bias)
    return (Part(op, _held(call, kernel=(outputs, inputs), bias=None)),)


def _batch_norm(call: Call) -> Parts:
    layer, rank = call.what, len(call.reads[0].shape)
    if getattr(layer, "renorm", False) or layer.axis % rank != rank - 1:
        return other(call)
    held = _held(call, gamma=None, beta=None, moving_mean=None, moving_variance=None)
    if call.training and call.bound.get("training") is False:
        facts = settings(epsilon=layer.epsilon, momentum=layer.momentum)
        return (Part(Other("frozen batch norm", facts), held),)
    op = BatchNorm(eps=layer.epsilon, decay=layer.momentum, scale=layer.scale)
    return (Part(op, held),)


def _dropout(call: Call) -> Parts:
    layer = call.what
    if layer.rate == 0 or call.bound.get("training") is False:
        return ()
    shape = layer.noise_shape
    if shape is not None:
        whole = all(size == 1 for size in tuple(shape)[1:])
        facts = settings(rate=layer.rate) | ({} if whole else settings(shape=shape))
        return (Part(Other("stochastic depth" if whole else "dropout of parts", facts)),)
    return (Part(Dropout(layer.rate)),)


def _add(call: Call) -> Parts:
    alike = len({x.shape for x in call.reads}) == 1
    return (Part(Add() if alike else Other("add")),)


def _upsample(call: Call) -> Parts:
    layer = call.what
    h, w = as_pair(layer.size)
    if layer.interpolation == "nearest" and h == w:
        return (Part(Upsample(h)),)
    return (Part(Other("resize", settings(size=(h, w), interpolation=layer.interpolation))),)


def _rescaling(call: Call) -> Parts:
    facts = settings(
        **{
            name: value if (single := number(value)) is None else single
            for name, value in (("scale", call.what.scale), ("offset", call.what.offset))
        }
    )
    return (Part(Other("rescaling", facts)),)


def _normalization(call: Call) -> Parts:
    layer = call.what
    facts = (
        {}
        if layer.input_mean is None
        else settings(mean=layer.input_mean, variance=layer.input_variance)
    )
    held = _held(call, adapt_mean=None, adapt_variance=None)
    return (Part(Other("normalization", facts), held),)


def _pad(call: Call) -> Parts:
    layer = call.what
    _, *sides, (_, channels) = layer.paddings
    padding = (*sides[0], *sides[1])
    if channels:
        return (Part(PadChannels(channels)),)
    if layer.value:
        return (Part(Other("pad", settings(value=layer.value, padding=padding))),)
    top, bottom, left, right = (p - c for p, c in zip(padding, layer.cut, strict=True))
    return (Part(Pad((top, bottom, left, right))),)


def _pool_of_image(call: Call) -> Parts:
    layer = call.what
    _, (top, bottom), (left, right), _ = layer.paddings
    padding = (top, bottom, left, right)
    kernel, stride = layer.pool_size, layer.strides
    return (Part(AvgPool(kernel, stride=stride, padding=padding, count_padding=False)),)


def _own(call: Call) -> Parts:
    """A layer of ours that knows its op, with its arrays as they are."""
    op: Layer = call.what.op
    return (Part(op, _held(call, kernel=None, bias=None)),)


LAYERS: dict[Any, Handler] = {
    layers.Conv2D: _conv,
    layers.DepthwiseConv2D: _depthwise,
    layers.SeparableConv2D: _separable,
    layers.Conv2DTranspose: _transposed,
    layers.Dense: _dense,
    layers.BatchNormalization: _batch_norm,
    layers.Dropout: _dropout,
    layers.Add: _add,
    layers.UpSampling2D: _upsample,
    layers.Rescaling: _rescaling,
    layers.Normalization: _normalization,
    own._Pad: _pad,
    own._AvgPoolOfImage: _pool_of_image,
    own._TableConv2D: _own,
    own.LocalResponseNormalization: _own,
    own._Rbf: _own,
    own._Subsample: _own,
    own._ScaledTanh: _own,
    own._Scale: _own,
}
