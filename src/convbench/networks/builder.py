"""Makes a graph, layer by layer."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from copy import copy
from math import prod

from attrs import define, evolve, field

from convbench.base.errors import BadAddress, UnknownName
from convbench.networks import arithmetic
from convbench.networks.graph import NETWORK, Graph, Node, scopes_of
from convbench.networks.ops import (
    Input,
    Op,
    Padding,
    Rbf,
    ScaledTanh,
    Shape,
    Sigmoid,
    Softmax,
    ceil,
    pair,
)

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

    >>> from convbench.networks.ops import Conv
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

        >>> from convbench.networks.ops import Relu
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
        output = arithmetic.output_shape(op, shapes, f"{self.name}.{address}")
        tensors = arithmetic.tensors(op, shapes)
        weight = tensors[0].shape if tensors else ()
        self._nodes[address] = Node(
            address,
            op,
            inputs,
            output,
            tensors,
            arithmetic.macs(op, weight, output),
            arithmetic.connections(op, weight, output),
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
