"""The functions of keras.ops in the words of `ops`, under the names of their classes."""

from __future__ import annotations

from math import inf
from typing import Any

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
    padding_of,
    reshaped,
    settings,
    shape_of,
)
from convbench.frameworks.trace import Held, Layer, Other
from convbench.networks.ops import (
    Add,
    AvgPool,
    Concat,
    Conv,
    GlobalAvgPool,
    MaxPool,
    Multiply,
    Pad,
    PadChannels,
    Relu,
    Relu6,
    Scale,
    Shape,
    Sigmoid,
    Silu,
    Softmax,
    Upsample,
)


def _is(layer: Layer) -> Handler:
    """A function that is always the same layer."""
    return lambda _: (Part(layer),)


def _kept(call: Call) -> Parts:
    """Values stay what they are, but for the digits that another type does not have."""
    before, after = (str(x.dtype) for x in (call.reads[0], call.results[0]))
    if "float" in before and "float" not in after:
        return (Part(Other("rounding", settings(to=after))),)
    return ()


# -- sums and products -----------------------------------------------------------------------


def _add(call: Call) -> Parts:
    if len(call.reads) == 2:
        alike = call.reads[0].shape == call.reads[1].shape
        return (Part(Add() if alike else Other("add")),)
    if call.arrays:
        return (Part(Other("add parameter"), call.arrays),)
    return _shifted(call, 1)


def _subtract(call: Call) -> Parts:
    first = call.is_value(call.operands[0])
    if len(call.reads) == 2 or call.arrays or not first:
        return (Part(Other("subtract"), call.arrays),)
    return _shifted(call, -1)


def _shifted(call: Call, sign: int) -> Parts:
    value = number(call.constants[0])
    if value == 0:
        return ()
    shift = call.constants[0] if value is None else sign * value
    return (Part(Other("add constant", settings(value=shift))),)


def _multiply(call: Call) -> Parts:
    if len(call.reads) == 2:
        return (Part(_product(*(shape_of(x) for x in call.reads))),)
    if call.arrays:
        return (Part(Other("scale by parameter"), call.arrays),)
    factor = call.constants[0]
    value = number(factor)
    if value is not None:
        return () if value == 1 else (Part(Scale(value)),)
    if factor.shape[0] == call.reads[0].shape[0] > 1 and len(factor.shape) > 1:
        # Nothing but chance gives each image of a batch a factor that is not computed from it.
        return (Part(Other("stochastic depth")),)
    return (Part(Other("scale by constant", settings(value=factor))),)


def _product(one: Shape, two: Shape) -> Layer:
    image = one if len(one) == 3 and one[1:] != (1, 1) else two
    gates = {one, two} - {image} or {image}
    return Multiply() if gates == {(image[0], 1, 1)} else Other("multiply")


def _divide(call: Call) -> Parts:
    value = number(call.constants[0]) if call.constants else None
    if value and call.is_value(call.operands[0]) and not call.arrays:
        return () if value == 1 else (Part(Scale(1 / value)),)
    return other(call)


def _matmul(call: Call) -> Parts:
    weight = call.operands[1]
    if len(call.arrays) != 1 or call.is_value(weight) or len(weight.shape) != 2:
        return other(call)
    inputs, outputs = weight.shape
    held = call.held(weight, "weight", (outputs, inputs))
    return (Part(dense((outputs, inputs), call.input, bias=False), _some(held)),)


# -- activations -----------------------------------------------------------------------------


def _relu(call: Call) -> Parts:
    what = call.what
    if what.negative_slope or what.threshold:
        return other(call)
    return _clipped(0, inf if what.max_value is None else what.max_value) or other(call)


def _clip(call: Call) -> Parts:
    least, most = (number(x) for x in (call.what.x_min, call.what.x_max))
    return _clipped(least, inf if most is None else most) or other(call)


def _maximum(call: Call) -> Parts:
    numbers = [number(x) for x in call.constants]
    return _clipped(0, inf) if numbers == [0] else other(call)


def _clipped(least: float | None, most: float) -> Parts:
    return (Part(Relu() if most == inf else Relu6()),) if (least, most) in _CLIPPED else ()


_CLIPPED = ((0, inf), (0, 6))


def _softmax(call: Call) -> Parts:
    rank = len(call.reads[0].shape)
    across = call.what.axis % rank == rank - 1
    alone = len(reshaped(call.input, (call.input[0],))) == 0
    return (Part(Softmax()),) if across and alone else other(call)


# -- windows ---------------------------------------------------------------------------------


def _conv(call: Call) -> Parts:
    return _by_kernel(call, kernel_shape)


def _depthwise(call: Call) -> Parts:
    return _by_kernel(call, depthwise_shape)


def _by_kernel(call: Call, layout: Any) -> Parts:
    kernel = call.bound["kernel"]
    if call.is_value(kernel) or len(kernel.shape) != 4:
        return other(call)
    weight = layout(tuple(kernel.shape))
    op = convolution(call.what, call.input, weight, call.output, bias=False)
    return (Part(op, _some(call.held(kernel, "weight", weight))),)


def _separable(call: Call) -> Parts:
    each, across = call.bound["depthwise_kernel"], call.bound["pointwise_kernel"]
    if call.is_value(each) or call.is_value(across) or len(each.shape) != 4:
        return other(call)
    first, second = depthwise_shape(tuple(each.shape)), kernel_shape(tuple(across.shape))
    between = (first[0], *call.output[1:])
    op = convolution(call.what, call.input, first, between, bias=False)
    return (
        Part(op, _some(call.held(each, "weight", first)), "depthwise", between),
        Part(
            Conv(second[0], 1, bias=False),
            _some(call.held(across, "weight", second)),
            "pointwise",
        ),
    )


def _max_pool(call: Call) -> Parts:
    kernel, stride = _window(call)
    if len(call.input) != 3:
        return other(call)
    padding = padding_of(call.what, call.input, kernel, stride)
    return (Part(MaxPool(kernel, stride=stride, padding=padding)),)


def _average_pool(call: Call) -> Parts:
    kernel, stride = _window(call)
    if len(call.input) != 3:
        return other(call)
    padding = padding_of(call.what, call.input, kernel, stride)
    return (Part(AvgPool(kernel, stride=stride, padding=padding, count_padding=False)),)


def _window(call: Call) -> tuple[tuple[int, int], tuple[int, int]]:
    kernel = as_pair(call.what.pool_size)
    return kernel, kernel if call.what.strides is None else as_pair(call.what.strides)


def _adaptive(call: Call) -> Parts:
    if len(call.input) != 3:
        return other(call)
    (_, *size), (_, *wanted) = call.input, call.output
    if wanted == [1, 1]:
        return (Part(GlobalAvgPool()),)
    if any(a % b for a, b in zip(size, wanted, strict=True)):
        return (Part(Other("adaptive average pool", settings(size=tuple(wanted)))),)
    h, w = (a // b for a, b in zip(size, wanted, strict=True))
    if (h, w) == (1, 1):
        return ()
    return (Part(AvgPool((h, w), stride=(h, w), count_padding=False)),)


def _mean(call: Call) -> Parts:
    return _over_positions(call, GlobalAvgPool())


def _max(call: Call) -> Parts:
    return _over_positions(call, Other("global max pool"))


def _sum(call: Call) -> Parts:
    return _over_positions(call, Other("global sum pool"))


def _over_positions(call: Call, layer: Layer) -> Parts:
    image, axis = call.reads[0].shape, call.what.axis
    axes = sorted(a % len(image) for a in ((axis,) if isinstance(axis, int) else axis or ()))
    if len(image) != 4 or axes != [1, 2]:
        return other(call)
    return (Part(layer, output=(image[-1], 1, 1)),)


# -- shapes ----------------------------------------------------------------------------------


def _reshape(call: Call) -> Parts:
    if call.reads[0].shape[0] != call.results[0].shape[0]:
        return other(call)
    return reshaped(call.input, call.output)


def _transpose(call: Call) -> Parts:
    shape, axes = call.reads[0].shape, call.what.axes
    order = [a for a in (axes or reversed(range(len(shape)))) if shape[a] != 1]
    return () if order == sorted(order) else (Part(Other("permute", settings(axes=axes))),)


def _concatenate(call: Call) -> Parts:
    rank = len(call.results[0].shape)
    if call.what.axis % rank != rank - 1:
        return (Part(Other("concatenate", settings(axis=call.what.axis))),)
    added = call.output[0] - sum(shape_of(x)[0] for x in call.reads)
    if not added:
        return () if len(call.reads) == 1 else (Part(Concat()),)
    if len(call.reads) == 1 and call.is_value(call.operands[0]) and not call.arrays:
        return (Part(PadChannels(added)),)
    return (Part(Other("concatenate with constants"), call.arrays),)


def _pad(call: Call) -> Parts:
    rank, sides = len(call.reads[0].shape), [tuple(pair) for pair in call.what.pad_width]
    value = number(call.bound["constant_values"] or 0)
    if rank != 4 or len(sides) != 4 or call.what.mode != "constant" or sides[0] != (0, 0):
        return other(call)
    (top, bottom), (left, right), (before, after) = sides[1:]
    padding = (top, bottom, left, right)
    if before or (after and (value or any(padding))):
        return other(call)
    if after:
        return (Part(PadChannels(after)),)
    if not any(padding):
        return ()
    if value:
        return (Part(Other("pad", settings(value=value, padding=padding))),)
    return (Part(Pad(padding)),)


def _get_item(call: Call) -> Parts:
    """A crop, every so manieth position, a part of the channels, or a new axis of 1."""
    before, after = call.input, call.output
    key = call.bound["key"]
    key = key if isinstance(key, tuple | list) else (key,)
    if any(k is None or k is Ellipsis for k in key) and before != after:
        return reshaped(before, after) or () if _moves_ones(before, after) else other(call)
    if any(isinstance(k, slice) and (k.step or 1) < 0 for k in key):
        return (Part(Other("flip", settings(key=_text(key)))),)
    if before == after:
        return ()
    slices = all(isinstance(k, slice) for k in key)
    if not slices or len(before) != 3 or before[0] != after[0]:
        return (Part(Other("slice", settings(key=_text(key)))),)
    spans = [k.indices(n) for k, n in zip((*key[1:3], *_ALL)[:2], before[1:], strict=True)]
    (top, bottom, down), (left, right, along) = spans
    cut = (-top, bottom - before[1], -left, right - before[2])
    if (down, along) == (1, 1):
        return (Part(Pad(cut)),)
    if any(cut) or min(down, along) < 1:
        return (Part(Other("slice", settings(key=_text(key)))),)
    return (Part(MaxPool(1, stride=(down, along))),)  # windows of one value pick values


_ALL = (slice(None), slice(None))


def _text(key: Any) -> str:
    return ", ".join(
        f"{k.start}:{k.stop}:{k.step}".replace("None", "") if isinstance(k, slice) else str(k)
        for k in key
    )


def _moves_ones(before: Shape, after: Shape) -> bool:
    return [n for n in before if n != 1] == [n for n in after if n != 1]


def _resize(call: Call) -> Parts:
    (_, *size), (_, *wanted) = call.input, call.output
    factors = {b // a for a, b in zip(size, wanted, strict=True) if b % a == 0}
    whole = len(factors) == 1 and all(b % a == 0 for a, b in zip(size, wanted, strict=True))
    if call.what.interpolation == "nearest" and whole:
        return (Part(Upsample(factors.pop())),)
    facts = settings(size=tuple(wanted), interpolation=call.what.interpolation)
    return (Part(Other("resize", facts)),)


def _some(array: Held | None) -> tuple[Held, ...]:
    return () if array is None else (array,)


FUNCTIONS: dict[str, Handler] = {
    **dict.fromkeys(("Cast", "SaturateCast", "ConvertToTensor", "Copy", "Identity"), _kept),
    "StopGradient": _is(Other("stopped gradient")),
    **dict.fromkeys(("Reshape", "Squeeze", "ExpandDims", "Ravel"), _reshape),
    "Transpose": _transpose,
    "GetItem": _get_item,
    "Pad": _pad,
    "Concatenate": _concatenate,
    "Resize": _resize,
    "Add": _add,
    "Subtract": _subtract,
    "Multiply": _multiply,
    "TrueDivide": _divide,
    "Divide": _divide,
    "Matmul": _matmul,
    "Relu": _is(Relu()),
    "Relu6": _is(Relu6()),
    "ReLU": _relu,
    "Clip": _clip,
    "Maximum": _maximum,
    "Silu": _is(Silu()),
    "Sigmoid": _is(Sigmoid()),
    "Softmax": _softmax,
    "Conv": _conv,
    "DepthwiseConv": _depthwise,
    "SeparableConv": _separable,
    "MaxPool": _max_pool,
    "AveragePool": _average_pool,
    "AdaptiveAveragePool": _adaptive,
    "Mean": _mean,
    "Max": _max,
    "Sum": _sum,
}
