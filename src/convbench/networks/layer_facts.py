"""The kind of layer that a node is, as one speaks of where time goes."""

from __future__ import annotations

from typing import assert_never

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


def kind(graph: Graph, node: Node) -> str:
    """What a node is called when nodes are added up."""
    op = node.op
    match op:
        case Conv():
            return _convolution(op, graph[node.inputs[0]].output[0])
        case TableConv():
            return "convolution"
        case Dense() | Rbf():
            return "dense"
        case MaxPool() | AvgPool() | GlobalAvgPool() | Subsample():
            return "pooling"
        case BatchNorm():
            return "batch normalization"
        case Lrn():
            return "local response normalization"
        case Relu() | Relu6() | Silu() | Sigmoid() | ScaledTanh() | Softmax():
            return "activation"
        case Add() | Concat() | Multiply():
            return "joining"
        case Dropout() | Flatten() | Scale() | Upsample() | Pad() | PadChannels() | Input():
            return "other"
        case _:
            assert_never(op)


def _convolution(op: Conv, channels: int) -> str:
    if op.groups == 1:
        return "1x1 convolution" if op.kernel == (1, 1) else "convolution"
    return "depthwise convolution" if op.groups == channels else "grouped convolution"
