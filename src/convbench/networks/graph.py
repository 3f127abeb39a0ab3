"""A network as a graph of named layers, and the builder that makes one line by line.

A node's name is its address everywhere: in the paper's table, the PyTorch module path, the
Keras layer name and the report. Dots make scopes: `conv4_1.sum` lies in `conv4_1`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property

from attrs import frozen

from convbench.base.errors import UnknownName
from convbench.networks import arithmetic
from convbench.networks.layer_facts import facts
from convbench.networks.layer_row import Answer, Loss
from convbench.networks.ops import Op, Shape

NETWORK = "network"
"""The address of the whole network in a reference table; no node may have it."""


def scopes_of(address: str) -> tuple[str, ...]:
    """The scopes that an address lies in, the widest first.

    >>> scopes_of("inception_3a.pool_proj.conv")
    ('inception_3a', 'inception_3a.pool_proj')
    """
    return tuple(address[: dot.start()] for dot in re.finditer(r"\.", address))


@frozen
class Node:
    """One layer of a network with all that integer arithmetic says of it."""

    address: str
    op: Op
    inputs: tuple[str, ...]
    output: Shape
    tensors: tuple[arithmetic.Tensor, ...]
    macs: int
    connections: int
    frozen: bool = False
    """Whether its arrays are kept as they are while the rest is trained."""

    @property
    def parameters(self) -> int:
        """Number of trainable values."""
        return sum(t.size for t in self.tensors if t.trainable)

    @property
    def buffers(self) -> int:
        """Number of values that are kept but not trained (running statistics, fixed codes)."""
        return sum(t.size for t in self.tensors if not t.trainable)

    @property
    def weighted(self) -> bool:
        """Whether papers count it as a layer when they state a depth."""
        owned = facts(self.op).arrays
        return owned is not None and owned.counted


@frozen
class Head:
    """One answer of a network that enters its loss."""

    output: str
    """The node that answers."""
    logits: str
    """The node whose value enters the loss."""
    weight: float
    """The share of this answer's loss in the whole."""


@frozen(slots=False)
class Graph:
    """A whole network: nodes in an order in which they can be computed, the input first."""

    name: str
    nodes: tuple[Node, ...]
    auxiliary: tuple[tuple[str, float], ...] = ()
    """Addresses of auxiliary classifiers' answers, each with the weight of its loss."""

    @cached_property
    def by_address(self) -> dict[str, Node]:
        """Each node under its address."""
        return {node.address: node for node in self.nodes}

    def __getitem__(self, address: str) -> Node:
        try:
            return self.by_address[address]
        except KeyError:
            raise UnknownName(f"node of {self.name}", address, tuple(self.by_address)) from None

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    @property
    def input(self) -> Shape:
        """Shape of one image, `(C, H, W)`."""
        return self.nodes[0].output

    @property
    def output(self) -> Node:
        """The node whose value is the network's answer."""
        return self.nodes[-1]

    @property
    def outputs(self) -> tuple[str, ...]:
        """Addresses of all answers, the network's own first, then the auxiliary ones."""
        return (self.output.address, *(address for address, _ in self.auxiliary))

    @property
    def heads(self) -> tuple[Head, ...]:
        """What enters the loss: what each final softmax or sigmoid is taken of."""
        weights = (1.0, *(weight for _, weight in self.auxiliary))
        return tuple(
            Head(address, self._logits(address), weight)
            for address, weight in zip(self.outputs, weights, strict=True)
        )

    def _logits(self, output: str) -> str:
        node = self[output]
        return node.inputs[0] if _answer(node).of_its_input else output

    def shapes_into(self, node: Node) -> tuple[Shape, ...]:
        """Shapes of what a node reads, in order."""
        return tuple(self[name].output for name in node.inputs)

    def leading_to(self, outputs: tuple[str, ...]) -> tuple[Node, ...]:
        """The nodes that must be computed for `outputs`, in order."""
        needed = set(outputs)
        for node in reversed(self.nodes):
            if node.address in needed:
                needed |= set(node.inputs)
        return tuple(node for node in self.nodes if node.address in needed)

    @property
    def loss(self) -> Loss:
        """The loss that belongs to the last layer.

        Softmax trains on cross-entropy, one sigmoid unit on binary cross-entropy, LeNet-5's
        distances on the cross-entropy of their negatives (LeCun et al. 1998, equation 9),
        LeNet-1's squashed units on the squared error to +1 for the class and -1 for the others.
        """
        return _answer(self.output).loss

    @property
    def parameters(self) -> int:
        """Number of trainable values."""
        return sum(node.parameters for node in self.nodes)

    @property
    def buffers(self) -> int:
        """Number of values that are kept but not trained."""
        return sum(node.buffers for node in self.nodes)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of convolutions and dense layers for one image."""
        return sum(node.macs for node in self.nodes)

    def below(self, address: str) -> tuple[Node, ...]:
        """The node at `address`, the nodes of that scope, or all nodes for `network`."""
        return self.nodes if address == NETWORK else self._below.get(address, ())

    @cached_property
    def _below(self) -> dict[str, tuple[Node, ...]]:
        """The nodes of each address and of each scope, in order."""
        found: dict[str, list[Node]] = {}
        for node in self.nodes:
            for place in (*scopes_of(node.address), node.address):
                found.setdefault(place, []).append(node)
        return {place: tuple(nodes) for place, nodes in found.items()}

    @cached_property
    def places(self) -> dict[str, tuple[str, ...]]:
        """What a table can speak of, with its names: the network, each node, then each scope."""
        found = (NETWORK, *self.by_address, *sorted(self.scopes))
        return {address: tuple(address.split(".")) for address in found}

    @cached_property
    def scopes(self) -> frozenset[str]:
        """Every scope that has nodes below it."""
        return frozenset(scope for node in self.nodes for scope in scopes_of(node.address))


def _answer(node: Node) -> Answer:
    answer = facts(node.op).answer
    assert answer is not None, f"{node.address}: no network ends in {facts(node.op).name}"
    return answer
