"""Graphs, tables and observations for the tests, made without any framework."""

from __future__ import annotations

from functools import cache

from attrs import evolve
from hypothesis import settings

from convbench.frameworks.observation import Observation, ObservedNode, ObservedTensor
from convbench.networks.builder import Builder
from convbench.networks.graph import Graph, Node
from convbench.networks.ops import (
    AvgPool,
    Conv,
    Dense,
    Flatten,
    MaxPool,
    Op,
    Pair,
    Relu,
    Softmax,
    Subsample,
    TableConv,
)
from convbench.networks.zoo.names import architecture
from convbench.papers.sources import tables_folder
from convbench.papers.tables import ReferenceTable, read_table

alike = settings(max_examples=100, deadline=None, database=None, derandomize=True)
"""Properties are tried on the same examples in every run, and leave no files behind."""


@cache
def graph(name: str) -> Graph:
    return architecture(name)


@cache
def table(name: str) -> ReferenceTable:
    return read_table(name, tables_folder())


def tiny(*between: tuple[str, Op]) -> Graph:
    """A network of one convolution and one dense layer, with more layers put before Flatten."""
    net = Builder("tiny", (3, 8, 8))
    conv = (("conv1", Conv(4, 3)), ("relu1", Relu()), *between)
    net.chain(net.input, *conv, ("flatten", Flatten()), ("fc", Dense(10)), ("softmax", Softmax()))
    return net.graph()


def observation(of: Graph) -> Observation:
    """What a framework that builds exactly `of` would report."""
    nodes = {node.address: _observed(node) for node in of}
    return Observation("fake", nodes, of.parameters, of.buffers)


def trained(*shape: int) -> ObservedTensor:
    return ObservedTensor(shape, trainable=True)


def fixed(*shape: int) -> ObservedTensor:
    return ObservedTensor(shape, trainable=False)


def with_layer(observed: Observation, at: str, layer: ObservedNode) -> Observation:
    return evolve(observed, nodes={**observed.nodes, at: layer})


def without_layer(observed: Observation, at: str) -> Observation:
    return evolve(observed, nodes={k: n for k, n in observed.nodes.items() if k != at})


def changed(observed: Observation, at: str, **facts: object) -> Observation:
    """`observed` with other facts of one layer."""
    return with_layer(observed, at, evolve(observed.nodes[at], **facts))


def retensored(observed: Observation, at: str, **tensors: ObservedTensor | None) -> Observation:
    """`observed` with other arrays in one layer; None takes an array away."""
    held = {**observed.nodes[at].tensors, **tensors}
    return changed(observed, at, tensors={k: t for k, t in held.items() if t is not None})


def _observed(node: Node) -> ObservedNode:
    tensors = {t.name: ObservedTensor(t.shape, t.trainable) for t in node.tensors}
    return ObservedNode(node.output, tensors, *_window(node.op))


def _window(op: Op) -> tuple[Pair | None, Pair | None]:
    match op:
        case Conv() | MaxPool() | AvgPool():
            return op.kernel, op.stride
        case TableConv():
            return op.kernel, (1, 1)
        case Subsample():
            return op.kernel, op.kernel
        case _:
            return None, None
