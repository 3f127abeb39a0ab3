"""A network with another number of classes: the same layers, but for those that score them."""

from __future__ import annotations

from typing import assert_never

from attrs import evolve

from convbench.base.errors import BadOption, Unsupported
from convbench.networks.builder import Builder
from convbench.networks.graph import Graph
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
    Sigmoid,
    Silu,
    Softmax,
    Subsample,
    TableConv,
    Upsample,
)

_ONE_FOR_ONE = (
    *(Relu, Relu6, Silu, Sigmoid, ScaledTanh, Softmax, Dropout, Scale, BatchNorm, Lrn),
    *(MaxPool, AvgPool, GlobalAvgPool, Flatten),
)
"""After these there are as many values, or maps, as before."""


def with_classes(graph: Graph, classes: int) -> Graph:
    """The network whose every answer, auxiliary ones too, tells `classes` classes apart.

    The last layer with weights before each answer gets so many outputs; all else stays: names,
    what is frozen, the weights of auxiliary losses. Raises BadOption for what is no number of
    classes, Unsupported for an answer that has none.
    """
    if type(classes) is not int or classes < 2:
        raise BadOption(f"{graph.name}: classes", "a whole number of 2 or more", str(classes))
    rescored = dict(_rescored(graph, answer, classes) for answer in graph.outputs)
    net = Builder(graph.name, graph.input)
    for node in graph.nodes[1:]:
        net(node.address, rescored.get(node.address, node.op), *node.inputs)
    net.freeze(*(node.address for node in graph if node.frozen))
    made = net.graph(dict(graph.auxiliary))
    for answer in made.outputs:
        if made[answer].output != (classes,):
            raise _refusal(graph, answer, classes, f"would have {made[answer].output[0]:,} values")
    return made


def _rescored(graph: Graph, answer: str, classes: int) -> tuple[str, Op]:
    """Where an answer's classes are scored, by one value or one map each, and by what instead."""
    node = graph[answer]
    if isinstance(node.op, Rbf):
        why = f"is the distance to {len(node.op.codes)} fixed codes"
        raise _refusal(graph, answer, classes, why)
    if isinstance(node.op, Sigmoid):
        raise _refusal(graph, answer, classes, "answers one yes-or-no question")
    while isinstance(node.op, _ONE_FOR_ONE):
        node = graph[node.inputs[0]]
    op = node.op
    match op:
        case Conv():
            return node.address, evolve(op, channels=classes)
        case Dense():
            return node.address, evolve(op, features=classes)
        case (Input() | TableConv() | Rbf() | Subsample() | Add() | Multiply() | Concat()) | (
            Upsample() | Pad() | PadChannels()
        ):
            kind = type(op).__name__
            why = f"comes from {node.address}, whose {kind} has no width to change"
            raise _refusal(graph, answer, classes, why)
        case _:
            assert_never(op)


def _refusal(graph: Graph, answer: str, classes: int, why: str) -> Unsupported:
    what = f"{graph.name} with {classes:,} classes"
    return Unsupported(what, f"its answer {answer} {why}", "leave classes out")
