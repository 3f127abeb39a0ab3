"""A network as a graph of named layers, and the builder that makes one line by line.

A node's name is its address everywhere: in the paper's table, the PyTorch module path, the
Keras layer name and the report. Dots make scopes: `conv4_1.sum` lies in `conv4_1`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from copy import copy
from functools import cached_property
from math import prod
from typing import Literal, TypeAlias

from attrs import define, evolve, field, frozen

from convbench import infer
from convbench.base.errors import BadAddress, UnknownName
from convbench.ops import (
    Conv,
    Dense,
    Input,
    Op,
    Padding,
    Rbf,
    ScaledTanh,
    Shape,
    Sigmoid,
    Softmax,
    Subsample,
    TableConv,
    ceil,
    pair,
)

Loss: TypeAlias = Literal["cross_entropy", "binary_cross_entropy", "distance", "squared_error"]

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
    tensors: tuple[infer.Tensor, ...]
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
        return isinstance(self.op, Conv | TableConv | Dense | Subsample | Rbf)


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
        return output if isinstance(node.op, Rbf | ScaledTanh) else node.inputs[0]

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
        match self.output.op:
            case Softmax():
                return "cross_entropy"
            case Sigmoid():
                return "binary_cross_entropy"
            case ScaledTanh():
                return "squared_error"
            case _:
                return "distance"

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


_ASKED: ContextVar[Shape | None] = ContextVar("_ASKED", default=None)


@contextmanager
def images_of(shape: Shape | None) -> Iterator[None]:
    """Within it a new Builder takes images of `shape` instead of those of the paper.

    So a description names its paper's images alone, and all that follows from their size, such
    as the padding of what keeps it, is computed anew. None leaves the paper's.
    """
    token = _ASKED.set(shape)
    try:
        yield
    finally:
        _ASKED.reset(token)


def asked_images() -> Shape | None:
    """The images that a new Builder takes here; None for those of the paper."""
    return _ASKED.get()


@define
class Builder:
    """Makes a graph line by line; a mistake is reported at the line that made it.

    >>> from convbench.ops import Conv
    >>> net = Builder("tiny", (3, 8, 8))
    >>> net("conv1", Conv(4, kernel=3), net.input)
    'conv1'
    >>> net.shape("conv1")
    (4, 6, 6)
    """

    name: str
    image: Shape
    """The images of the paper: within `images_of`, others."""
    _nodes: dict[str, Node] = field(factory=dict, init=False)
    _scopes: set[str] = field(factory=set, init=False)
    _scope: str = field(default="", init=False)

    input: str = field(default="input", init=False)

    def __attrs_post_init__(self) -> None:
        self.image = asked_images() or self.image
        self("input", Input(self.image))

    def within(self, scope: str) -> Builder:
        """The same network, with `scope` and a dot before the address of each layer added to it.

        >>> from convbench.ops import Relu
        >>> net = Builder("tiny", (3, 8, 8))
        >>> net.within("base")("relu", Relu(), net.input)
        'base.relu'
        """
        inner = copy(self)
        inner._scope = f"{self._scope}{scope}."
        return inner

    def __call__(self, address: str, op: Op, *inputs: str) -> str:
        """Adds a node and returns its address.

        Raises BadAddress for a name that is taken or malformed, UnknownName for an input that
        is not there, ShapeMismatch if the layer cannot take its inputs.
        """
        address = self._scope + address
        self._check_address(address)
        if isinstance(op, Input) and self._nodes:
            raise BadAddress(f"{self.name}.{address}", "a network has one input, its first node")
        for name in inputs:
            if name not in self._nodes:
                raise UnknownName(f"input of {self.name}.{address}", name, tuple(self._nodes))
        shapes = tuple(self._nodes[name].output for name in inputs)
        output = infer.output_shape(op, shapes, f"{self.name}.{address}")
        tensors = infer.tensors(op, shapes)
        weight = tensors[0].shape if tensors else ()
        self._nodes[address] = Node(
            address,
            op,
            inputs,
            output,
            tensors,
            infer.macs(op, weight, output),
            infer.connections(op, weight, output),
        )
        self._scopes.update(scopes_of(address))
        return address

    def chain(self, x: str, *layers: tuple[str, Op]) -> str:
        """Adds `(address, op)` one after the other and returns the last address."""
        for address, op in layers:
            x = self(address, op, x)
        return x

    def shape(self, address: str) -> Shape:
        """Shape that leaves the node at `address`."""
        return self._nodes[address].output

    def ceil(self, x: str, kernel: int, stride: int) -> Padding:
        """Padding with which a pooling of `x` keeps its last, incomplete windows."""
        _, h, w = self.shape(x)
        (kh, kw), (sh, sw) = pair(kernel), pair(stride)
        return (0, ceil(h, kh, sh), 0, ceil(w, kw, sw))

    def freeze(self, *scopes: str, but: Callable[[Node], bool] | None = None) -> None:
        """Keeps the arrays of these nodes, or of all nodes in these scopes, as they are.

        Nodes for which `but` holds stay trainable.
        """
        for scope in scopes:
            inside = [a for a in self._nodes if a == scope or a.startswith(scope + ".")]
            if not inside:
                raise UnknownName(f"node or scope of {self.name}", scope, tuple(self._nodes))
            for address in inside:
                node = self._nodes[address]
                if but is not None and but(node):
                    continue
                kept = tuple(evolve(tensor, trainable=False) for tensor in node.tensors)
                self._nodes[address] = evolve(node, tensors=kept, frozen=True)

    def graph(self, auxiliary: Mapping[str, float] | None = None) -> Graph:
        """The finished network; raises BadAddress if it does not end in an output layer.

        `auxiliary` gives the addresses of auxiliary classifiers' answers with the weights of
        their losses beside the network's own, whose weight is 1.
        """
        aside = tuple((auxiliary or {}).items())
        for address, _ in aside:
            if not isinstance(self._nodes[address].op, Softmax):
                raise BadAddress(f"{self.name}.{address}", "an auxiliary answer is a Softmax")
        last = next(reversed(self._nodes.values()))
        if not isinstance(last.op, Softmax | Sigmoid | Rbf | ScaledTanh):
            kind = type(last.op).__name__
            raise BadAddress(
                f"{self.name}.{last.address}",
                f"a network must end in Softmax, Sigmoid, Rbf or ScaledTanh, not in {kind}",
            )
        if isinstance(last.op, Sigmoid) and prod(last.output) != 1:
            raise BadAddress(
                f"{self.name}.{last.address}",
                f"a final Sigmoid answers one yes-or-no question, not {prod(last.output)}",
            )
        used = {name for node in self._nodes.values() for name in node.inputs} | {last.address}
        used |= {address for address, _ in aside}
        for address in self._nodes:
            if address not in used:
                raise BadAddress(f"{self.name}.{address}", "nothing uses what leaves it")
        return Graph(self.name, tuple(self._nodes.values()), aside)

    def _check_address(self, address: str) -> None:
        at = f"{self.name}.{address}"
        if not re.fullmatch(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*", address) or address == NETWORK:
            raise BadAddress(at, "an address is made of letters, digits and _, with dots between")
        if address in self._nodes:
            raise BadAddress(at, "this address is taken")
        both = [scope for scope in scopes_of(address) if scope in self._nodes]
        if both or address in self._scopes:
            name = both[0] if both else address
            raise BadAddress(at, f"{name} would be both a node and a scope")
