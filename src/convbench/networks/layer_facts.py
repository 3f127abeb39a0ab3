"""What is known of each layer, whoever asks: one row for each op.

What is built from an op (its shape and arrays, a PyTorch module, a Keras layer) is a `match` that
ends in `assert_never`, where it is built. Everything else stands here: names, counts, costs, how
its weights are drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf, prod, sqrt
from typing import Any

from convbench.networks.layer_row import (
    NO_PADDING,
    Answer,
    Arrays,
    Draw,
    Incoming,
    LayerFacts,
    Layout,
    Use,
    Window,
)
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


def facts(op: Op) -> LayerFacts:
    """The row of an op.

    >>> facts(MaxPool(3, stride=2)).name
    'max pooling'
    """
    return FACTS[type(op)]


def kind(op: Op, inputs: tuple[Shape, ...]) -> str:
    """What a layer that reads values of these shapes is called when layers are added up.

    >>> kind(Conv(8, 3, groups=8), ((8, 32, 32),))
    'depthwise convolution'
    """
    group = facts(op).group
    return group if isinstance(group, str) else group(op, inputs)


def weight_uses(weight: Shape, output: Shape) -> int:
    """How often weights are used for one image, if each is once per output position."""
    return prod(weight) * prod(output[1:])


def _convolution(op: Conv, inputs: tuple[Shape, ...]) -> str:
    if op.groups == 1:
        return "1x1 convolution" if op.kernel == (1, 1) else "convolution"
    return "depthwise convolution" if op.groups == inputs[0][0] else "grouped convolution"


def _with_bias(op: Conv | Dense, weight: Shape, output: Shape) -> int:
    return weight_uses(weight, output) + op.bias * prod(output)


def _per_value(times: int) -> Callable[[Any, Use], int]:
    return lambda _, use: times * prod(use.output)


def _per_place(op: MaxPool | AvgPool, use: Use) -> int:
    return prod(op.kernel) * prod(use.output)


def _window(op: Conv | MaxPool | AvgPool) -> Window:
    return Window(op.kernel, op.stride, op.padding)


def _same(_: Op, before: tuple[Incoming, ...]) -> float:
    return before[0].power


def _constant(power: float) -> Callable[[Any, tuple[Incoming, ...]], float]:
    return lambda _op, _before: power


def _halved(_: Op, before: tuple[Incoming, ...]) -> float:
    return before[0].power / 2


def _rectified(_: Relu, before: tuple[Incoming, ...]) -> float:
    # A sum with what has been a ReLU is positive for the most part. Too much here is safe; too
    # little would be raised to the power of the number of blocks.
    return before[0].power if isinstance(before[0].op, Add) else before[0].power / 2


def _mean_over_channels(_: Concat, before: tuple[Incoming, ...]) -> float:
    widths = [one.shape[0] for one in before]
    return sum(w * one.power for w, one in zip(widths, before, strict=True)) / sum(widths)


def _normal(mean: float, deviation: float) -> Draw:
    return lambda _op, _shape, _power: (mean, deviation)


def _by_fan_in(_: Conv | Dense, shape: Shape, power: float) -> tuple[float, float]:
    return 0.0, sqrt(2 / prod(shape[1:]) / power)


def _by_mean_fan_in(op: TableConv, shape: Shape, power: float) -> tuple[float, float]:
    return 0.0, sqrt(2 * len(op.table) / prod(shape) / power)


SMALL = _normal(0.0, 0.1)
"""Of biases and running means."""


def _multiplied(
    layout: Layout, draw: Draw, connections: Callable[[Any, Shape, Shape], int]
) -> Arrays:
    return Arrays(
        multiplies=True,
        connections=connections,
        counted=True,
        layout=layout,
        draws={"weight": draw, "bias": SMALL},
    )


def _table_connections(_: TableConv, weight: Shape, output: Shape) -> int:
    return weight_uses(weight, output) + prod(output)


FACTS: Mapping[type[Op], LayerFacts] = {
    Input: LayerFacts(
        "input",
        "other",
        operations=_per_value(0),
        gradient="passed on",
        power=_constant(1.0),
        moves="never",
    ),
    Conv: LayerFacts(
        "convolution",
        _convolution,
        operations=lambda _, use: 2 * weight_uses(use.weight, use.output),
        gradient="bilinear",
        power=_constant(2.0),
        arrays=_multiplied("kernel", _by_fan_in, _with_bias),
        window=_window,
    ),
    TableConv: LayerFacts(
        "table convolution",
        "convolution",
        operations=lambda _, use: 2 * weight_uses(use.weight, use.output),
        gradient="bilinear",
        power=_constant(2.0),
        arrays=_multiplied("as it is", _by_mean_fan_in, _table_connections),
        window=lambda op: Window(op.kernel, (1, 1), NO_PADDING),
    ),
    Dense: LayerFacts(
        "dense layer",
        "dense",
        operations=lambda _, use: 2 * weight_uses(use.weight, use.output),
        gradient="bilinear",
        power=_constant(2.0),
        arrays=_multiplied("matrix", _by_fan_in, _with_bias),
    ),
    Rbf: LayerFacts(
        "distance to codes",
        "dense",
        operations=lambda _, use: 3 * prod(use.weight),
        gradient="nonlinear",
        power=_same,
        sign="never negative",
        arrays=Arrays(
            multiplies=False,
            connections=lambda _, weight, _output: prod(weight),
            counted=True,
            layout="as it is",
            codes=lambda op: op.codes,
        ),
        answer=Answer("distance", of_its_input=False),
    ),
    MaxPool: LayerFacts(
        "max pooling",
        "pooling",
        operations=_per_place,
        gradient="nonlinear",
        power=_same,
        sign="as its inputs",
        window=_window,
        selects=True,
    ),
    AvgPool: LayerFacts(
        "average pooling",
        "pooling",
        operations=_per_place,
        gradient="linear",
        power=_same,
        sign="as its inputs",
        window=_window,
    ),
    Subsample: LayerFacts(
        "trainable subsampling",
        "pooling",
        operations=lambda op, use: (prod(op.kernel) + 1) * prod(use.output),
        gradient="bilinear",
        power=_same,
        arrays=Arrays(
            multiplies=False,
            connections=lambda op, _, output: (prod(op.kernel) + 1) * prod(output),
            counted=True,
            layout="as it is",
            draws={"weight": _normal(0.25, 0.01), "bias": SMALL},  # near the mean of four inputs
        ),
        window=lambda op: Window(op.kernel, op.kernel, NO_PADDING),
    ),
    GlobalAvgPool: LayerFacts(
        "global average pooling",
        "pooling",
        operations=lambda _, use: prod(use.inputs[0]),
        gradient="linear",
        power=_same,
        sign="as its inputs",
    ),
    BatchNorm: LayerFacts(
        "batch norm",
        "batch normalization",
        operations=lambda _, use: (5 if use.training and not use.frozen else 2) * prod(use.output),
        gradient="nonlinear",
        power=_constant(1.0),
        arrays=Arrays(
            multiplies=False,
            connections=lambda _, _weight, _output: 0,
            counted=False,
            layout="as it is",
            draws={
                "weight": _normal(1.0, 0.1),
                "bias": SMALL,
                "running_mean": SMALL,
                "running_var": lambda _op, _shape, power: (power, 0.05 * power),
            },
        ),
    ),
    Lrn: LayerFacts(
        "local response normalization",
        "local response normalization",
        operations=lambda op, use: (op.size + 4) * prod(use.output),
        gradient="nonlinear",
        power=_same,
    ),
    Relu: LayerFacts(
        "ReLU",
        "activation",
        operations=_per_value(1),
        gradient="nonlinear",
        power=_rectified,
        sign="never negative",
        passes_between=(0, inf),
    ),
    Relu6: LayerFacts(
        "ReLU6",
        "activation",
        operations=_per_value(2),
        gradient="nonlinear",
        power=_halved,
        sign="never negative",
        passes_between=(0, 6),
    ),
    Silu: LayerFacts(
        "SiLU", "activation", operations=_per_value(4), gradient="nonlinear", power=_halved
    ),
    Sigmoid: LayerFacts(
        "sigmoid",
        "activation",
        operations=_per_value(3),
        gradient="nonlinear",
        power=_same,
        sign="never negative",
        answer=Answer("binary_cross_entropy", of_its_input=True),
    ),
    ScaledTanh: LayerFacts(
        "scaled tanh",
        "activation",
        operations=_per_value(3),
        gradient="nonlinear",
        power=_same,
        answer=Answer("squared_error", of_its_input=False),
    ),
    Softmax: LayerFacts(
        "softmax",
        "activation",
        operations=_per_value(5),
        gradient="nonlinear",
        power=_same,
        sign="never negative",
        answer=Answer("cross_entropy", of_its_input=True),
    ),
    Dropout: LayerFacts(
        "dropout",
        "other",
        operations=lambda _, use: 2 * prod(use.output) if use.training else 0,
        gradient="nonlinear",  # reads which values it kept
        power=_same,
        sign="as its inputs",
        moves="in training",
    ),
    Flatten: LayerFacts(
        "flattening",
        "other",
        operations=_per_value(0),
        gradient="passed on",
        power=_same,
        sign="as its inputs",
        moves="never",
    ),
    Add: LayerFacts(
        "sum",
        "joining",
        operations=lambda _, use: (len(use.inputs) - 1) * prod(use.output),
        gradient="passed on",
        power=lambda _, before: sum(one.power for one in before),
        sign="as its inputs",
    ),
    Multiply: LayerFacts(
        "product",
        "joining",
        operations=_per_value(1),
        gradient="nonlinear",
        power=lambda _, before: before[0].power / 4,  # by a sigmoid, near a half
        sign="as its inputs",
    ),
    Concat: LayerFacts(
        "concatenation",
        "joining",
        operations=_per_value(0),
        gradient="passed on",
        power=_mean_over_channels,
        sign="as its inputs",
    ),
    Scale: LayerFacts(
        "scaling",
        "other",
        operations=_per_value(1),
        gradient="linear",
        power=lambda op, before: before[0].power * op.factor**2,
    ),
    Upsample: LayerFacts(
        "upsampling",
        "other",
        operations=_per_value(0),
        gradient="linear",
        power=_same,
        sign="as its inputs",
    ),
    Pad: LayerFacts(
        "zero padding",
        "other",
        operations=_per_value(0),
        gradient="passed on",
        power=_same,
        sign="as its inputs",
    ),
    PadChannels: LayerFacts(
        "padding of channels",
        "other",
        operations=_per_value(0),
        gradient="passed on",
        power=_same,
        sign="as its inputs",
    ),
}
"""One row for each op of the closed set."""
