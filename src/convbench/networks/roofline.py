"""The least time that a network can take on a machine: operations, bytes, and the roofline.

Williams, Waterman and Patterson 2009 ("Roofline: an insightful visual performance model for
multicore architectures", Communications of the ACM 52(4), pages 65 to 76): a kernel that does W
operations and moves Q bytes takes at least max(W / P, Q / B) on a machine that attains P
operations and B bytes a second. Here a kernel is a node, and a network takes the sum of its nodes.

Operations. A convolution or a dense layer does 2 for each multiply-accumulate, its bias left out.
Everything else is counted simply: each addition, product, comparison and elementary function
(exponential, power, tanh) is one. Per value that leaves it, a ReLU does 1, batch normalization 2
(in training 5, with the statistics), pooling one for each place of its window, a softmax 5, local
response normalization its size and 4. The gradient of a convolution or dense layer does
the forward's operations once for its input and once for its weights, that of any other layer as
many as its forward; what adds or joins hands its gradient on. The update (SGD with momentum) does 4
for each parameter. The loss is left out.

Bytes. Each node reads its inputs once, writes its output once, and reads its weights once for the
whole batch. Its gradient reads the output's gradient, the values that it depends on and, if its
input has a gradient, the weights; it writes the gradients of its inputs and of its parameters. The
update reads weights, gradients and momentum and writes weights and momentum. Nothing is moved by
what only looks at values in another way (Flatten; Dropout in inference), nor by the gradient of
what joins or pads, which is a part of what is there.

So nodes share nothing: an implementation that fuses them, or whose values stay in a cache between
two nodes, may take less than a bound that memory sets. Less than W / P nobody can take who does
all the operations; a fast algorithm (Winograd, FFT) does fewer.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import assert_never

from attrs import frozen

from convbench.base.units import Byte, Second
from convbench.networks.graph import Graph, Node
from convbench.networks.layer_facts import facts
from convbench.networks.layer_row import Use
from convbench.networks.ops import Shape
from convbench.networks.passes import PASSES, Pass

VALUE_BYTES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}
"""Bytes of one value in each precision."""

UPDATE_OPERATIONS, UPDATE_MOVES = 4, 5
"""Of SGD with momentum, for each parameter: v = m v + g; w = w - r v."""


@frozen
class Work:
    """What a batch makes a node, or a whole network, do and move."""

    operations: int
    moved: Byte

    def __add__(self, other: Work) -> Work:
        return Work(self.operations + other.operations, self.moved + other.moved)


NOTHING = Work(0, 0)


@frozen
class Machine:
    """What a machine attains: operations and bytes a second."""

    flops: float
    bytes_s: float

    def bound_s(self, work: Work) -> Second:
        """The least time for a node's work.

        >>> Machine(flops=100.0, bytes_s=10.0).bound_s(Work(operations=200, moved=30))
        3.0
        """
        return max(work.operations / self.flops, work.moved / self.bytes_s)

    def network_bound_s(self, works: Iterable[Work]) -> Second:
        """The least time for nodes one after the other."""
        return sum(self.bound_s(work) for work in works)


def work(graph: Graph, pass_: Pass, batch: int, value_bytes: int) -> dict[str, Work]:
    """The work of each node that a pass computes, by its address.

    forward, predict: inference. backward: the forward of training, and the gradients of all
    parameters. train_step: that, and the update. What a pass does not need (auxiliary classifiers
    in inference, the last softmax in training) is not in it.
    """
    training = PASSES[pass_].goes_backward
    ends = tuple(head.logits for head in graph.heads) if training else (graph.output.address,)
    carried: set[str] = set()
    found = {}
    for node in graph.leading_to(ends):
        done = _forward(graph, node, batch, training)
        if training:
            done += _gradient(graph, node, batch, carried)
            if node.parameters or carried & {*node.inputs}:
                carried.add(node.address)
        if PASSES[pass_].trains:
            done += Work(UPDATE_OPERATIONS * node.parameters, UPDATE_MOVES * node.parameters)
        found[node.address] = Work(done.operations, value_bytes * done.moved)
    return found


def _forward(graph: Graph, node: Node, batch: int, training: bool) -> Work:
    """Operations, and values moved."""
    moves = facts(node.op).moves
    if moves == "never" or (moves == "in training" and not training):
        return NOTHING
    values = sum(_size(graph, name) for name in node.inputs) + prod(node.output)
    weights = node.parameters + node.buffers
    return Work(batch * _operations(graph, node, training), batch * values + weights)


def _gradient(graph: Graph, node: Node, batch: int, carried: set[str]) -> Work:
    """The same of a node's gradients, with respect to inputs that are `carried` and parameters."""
    inputs = [name for name in node.inputs if name in carried]
    if not (inputs or node.parameters):
        return NOTHING
    trained = bool(node.parameters)
    gradient = facts(node.op).gradient
    match gradient:
        case "passed on":
            return NOTHING
        case "linear":
            times, read = 1, False
        case "bilinear":
            times, read = bool(inputs) + trained, trained
        case "nonlinear":
            times, read = 1, True
        case _:
            assert_never(gradient)
    operations = times * _operations(graph, node, training=True)
    values = prod(node.output) + sum(_size(graph, name) for name in inputs)
    values += sum(_size(graph, name) for name in node.inputs) if read else 0
    weights = node.parameters + (node.parameters + node.buffers if inputs else 0)
    return Work(batch * operations, batch * values + weights)


def _operations(graph: Graph, node: Node, training: bool) -> int:
    """Operations for one image."""
    weight: Shape = next((t.shape for t in node.tensors if t.name == "weight"), ())
    use = Use(graph.shapes_into(node), weight, node.output, training, node.frozen)
    return facts(node.op).operations(node.op, use)


def _size(graph: Graph, address: str) -> int:
    return prod(graph[address].output)
