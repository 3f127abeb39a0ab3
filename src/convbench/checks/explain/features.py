"""What of a step is compared: its kind, the settings that are its own, and what it inherits."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import TypeAlias, assert_never

from attrs import asdict, frozen

from convbench.frameworks import trace
from convbench.frameworks.trace import Held, Other, Step
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
    Shape,
    Sigmoid,
    Silu,
    Softmax,
    Subsample,
    TableConv,
    Upsample,
)

Value: TypeAlias = int | float | bool | str | tuple[int, ...] | None
Settings: TypeAlias = Mapping[str, Value]

WEIGHTED = ("convolution", "table convolution", "dense layer", "distance to codes")
JOINS = ("sum", "product", "concatenation")
POOLINGS = (
    *("max pooling", "average pooling", "global average pooling", "trainable subsampling"),
    *trace.POOLINGS,
)
ACTIVATIONS = (
    *("ReLU", "ReLU6", "SiLU", "sigmoid", "scaled tanh", "softmax"),
    *trace.ACTIVATIONS,
)
NORMALIZATIONS = ("batch norm", "local response normalization", *trace.NORMALIZATIONS)
FAMILIES = (WEIGHTED, JOINS, POOLINGS, ACTIVATIONS, NORMALIZATIONS)
"""Layers of one family can stand for each other: a ReLU6 in the place of a ReLU."""

LEARNED = ("weight", "bias")


@frozen
class Features:
    """One step as it is compared with another."""

    kind: str
    own: Settings
    """What its author chose."""
    inherited: Settings
    """What follows from the steps before it."""


def family(kind: str) -> int | str:
    """Which family a kind is of; a kind without one is its own."""
    return next((i for i, members in enumerate(FAMILIES) if kind in members), kind)


def features(step: Step, inputs: tuple[Shape, ...], shares: bool) -> Features:
    """The features of a step that reads values of these shapes.

    `shares` says whether its arrays are those of a step before it.
    """
    kind, own = (
        (step.layer.name, dict[str, Value](step.layer.settings))
        if isinstance(step.layer, Other)
        else _of(step.layer, inputs)
    )
    own |= _arrays(kind, step.tensors)
    if shares:
        own["shared weights"] = True
    if kind in JOINS:
        own["inputs"] = len(inputs)
    return Features(kind, own, _inherited(kind, step, inputs))


def _inherited(kind: str, step: Step, inputs: tuple[Shape, ...]) -> Settings:
    if not inputs:
        return {}
    if kind in ("dense layer", "distance to codes"):
        return {"channels read": prod(inputs[0])}
    if kind == "concatenation":
        return {"size": inputs[0][1:], "output": step.output}
    return {"channels read": inputs[0][0], "size": inputs[0][1:]}


def _arrays(kind: str, tensors: tuple[Held, ...]) -> dict[str, Value]:
    names = {t.name for t in tensors}
    found: dict[str, Value] = {}
    if kind in (*WEIGHTED, "batch norm"):
        found["bias"] = "bias" in names
    if kind == "batch norm":
        found["scale"] = "weight" in names
        found["running statistics"] = {"running_mean", "running_var"} <= names
    others = sorted(names - {*LEARNED, "running_mean", "running_var"})
    if others:
        found["further arrays"] = ", ".join(others)
    frozen_ = [t.name for t in tensors if t.name in LEARNED and not t.trainable]
    if frozen_ and kind != "distance to codes":
        found["frozen"] = True
    return found


def _of(layer: Op, inputs: tuple[Shape, ...]) -> tuple[str, dict[str, Value]]:
    """The kind of one of our layers, and its settings."""
    match layer:
        case Conv():
            return "convolution", _conv(layer, inputs[0][0])
        case TableConv(table=table, kernel=kernel):
            return "table convolution", {
                "channels": len(table),
                "kernel size": kernel,
                "connections": sum(map(len, table)),
            }
        case Dense(features=outputs):
            return "dense layer", {"channels": outputs}
        case Rbf(codes=codes):
            return "distance to codes", {"channels": len(codes)}
        case MaxPool(kernel=kernel, stride=stride, padding=padding):
            return "max pooling", {
                "kernel size": kernel,
                "stride": stride,
                "padding": corner(padding),
            }
        case AvgPool(kernel=kernel, stride=stride, padding=padding, count_padding=counts):
            settings = {"kernel size": kernel, "stride": stride, "padding": corner(padding)}
            return "average pooling", settings | {"padding counted": counts and any(padding)}
        case Subsample(kernel=kernel):
            return "trainable subsampling", {"kernel size": kernel, "stride": kernel}
        case BatchNorm(eps=eps, decay=decay):
            return "batch norm", {"epsilon": eps, "momentum": decay}
        case Pad(padding=padding):
            return "zero padding", {"padding": padding}
        case Input(shape=shape):
            return "input", {"image": shape}
        case GlobalAvgPool() | Relu() | Relu6() | Silu() | Sigmoid() | Softmax():
            return _PLAIN[type(layer)], {}
        case Flatten() | Add() | Multiply() | Concat():
            return _PLAIN[type(layer)], {}
        case Lrn() | ScaledTanh() | Dropout() | Scale() | Upsample() | PadChannels():
            return _PLAIN[type(layer)], asdict(layer)
        case _:
            assert_never(layer)


_PLAIN = {
    GlobalAvgPool: "global average pooling",
    Relu: "ReLU",
    Relu6: "ReLU6",
    Silu: "SiLU",
    Sigmoid: "sigmoid",
    Softmax: "softmax",
    Flatten: "flattening",
    Add: "sum",
    Multiply: "product",
    Concat: "concatenation",
    Lrn: "local response normalization",
    ScaledTanh: "scaled tanh",
    Dropout: "dropout",
    Scale: "scaling",
    Upsample: "upsampling",
    PadChannels: "padding of channels",
}


def corner(padding: Padding) -> tuple[int, int]:
    """Where the grid of windows begins; where it ends shows in the size of what leaves it."""
    top, _, left, _ = padding
    return top, left


def _conv(layer: Conv, maps_in: int) -> dict[str, Value]:
    depthwise = layer.groups == maps_in > 1
    settings: dict[str, Value] = {
        "kernel size": layer.kernel,
        "stride": layer.stride,
        "padding": corner(layer.padding),
        "groups": "depthwise" if depthwise else layer.groups,
    }
    # A depthwise convolution has as many channels as it reads: their number is not its choice.
    width = ("multiplier", layer.channels // maps_in) if depthwise else ("channels", layer.channels)
    return settings | dict([width])
