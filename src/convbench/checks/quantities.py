"""What one place of a network has: by integer arithmetic, and in a framework's real model."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from math import prod
from typing import TypeAlias

from convbench.frameworks.observation import Observation
from convbench.networks import arithmetic
from convbench.networks.graph import NETWORK, Graph, Node
from convbench.networks.layer_facts import facts
from convbench.networks.ops import Pair, Shape

Exact: TypeAlias = int | Shape | None
"""A count, dimensions, or nothing where the place has no such quantity."""


def matches(graph: Graph, pattern: str) -> list[str]:
    """Addresses of nodes and scopes that `pattern` means; `*` stays within one name."""
    if "*" not in pattern:
        return [pattern] if pattern in graph.places else []
    globs = pattern.split(".")
    return [
        at
        for at, names in graph.places.items()
        if len(names) == len(globs) and all(map(_means, globs, names))
    ]


def _means(glob: str, name: str) -> bool:
    """Whether one name is meant; by fnmatch, which has no pattern that it takes long for."""
    if "*" not in glob:
        return glob == name
    return fnmatchcase(name, re.sub(r"[\[?]", r"[\g<0>]", glob))


def computed(graph: Graph, at: str, quantity: str) -> Exact:
    """What integer arithmetic says; None where the place has no such quantity."""
    nodes = graph.below(at)
    if quantity in ("kernel", "stride", "padding"):
        return window(nodes[0], quantity) if len(nodes) == 1 else None
    if quantity in _OF_OUTPUT:
        return _OF_OUTPUT[quantity](nodes[-1].output)
    match quantity:
        case "parameters":
            return sum(n.parameters for n in nodes)
        case "weights":
            return sum(t.size for n in nodes for t in n.tensors if t.trainable and t.name != "bias")
        case "buffers":
            return sum(n.buffers for n in nodes)
        case "total":
            return sum(n.parameters + n.buffers for n in nodes)
        case "macs":
            return sum(n.macs for n in nodes)
        case "connections":
            return sum(n.connections for n in nodes)
        case "neurons":
            return _neurons(at, {n.address: n.output for n in nodes}, nodes)
        case "depth":
            return _depth(graph, {n.address for n in nodes})
        case _:
            raise AssertionError(f"no such quantity: {quantity}")


def observed(graph: Graph, model: Observation, at: str, quantity: str) -> Exact:
    """What the real model says; None for what frameworks do not tell (padding, depth)."""
    nodes = graph.below(at)
    if any(n.address not in model.nodes for n in nodes):
        return None
    seen = {n.address: model.nodes[n.address] for n in nodes}
    last = seen[nodes[-1].address]
    if at == NETWORK and quantity in ("parameters", "buffers", "total"):
        totals = {"parameters": model.parameters, "buffers": model.buffers}
        return totals.get(quantity, sum(totals.values()))
    if quantity in _OF_OUTPUT:
        return _OF_OUTPUT[quantity](last.output)
    tensors = [(name, t) for node in seen.values() for name, t in node.tensors.items()]
    match quantity:
        case "kernel":
            return last.kernel
        case "stride":
            return last.stride
        case "parameters":
            return sum(prod(t.shape) for _, t in tensors if t.trainable)
        case "weights":
            return sum(prod(t.shape) for name, t in tensors if t.trainable and name != "bias")
        case "buffers":
            return sum(prod(t.shape) for _, t in tensors if not t.trainable)
        case "total":
            return sum(prod(t.shape) for _, t in tensors)
        case "macs" | "connections":
            count = arithmetic.macs if quantity == "macs" else arithmetic.connections
            return sum(count(n.op, _weight(model, n), seen[n.address].output) for n in nodes)
        case "neurons":
            return _neurons(at, {a: s.output for a, s in seen.items()}, nodes)
        case _:
            return None


def _weight(model: Observation, node: Node) -> Shape:
    tensor = model.nodes[node.address].tensors.get("weight")
    return tensor.shape if tensor else ()


_OF_OUTPUT: dict[str, Callable[[Shape], int | Shape]] = {
    "output": lambda shape: shape,
    "size": lambda shape: shape[1:],
    "channels": lambda shape: shape[0],
}


def window(node: Node, quantity: str) -> Pair | None:
    """The kernel, stride or padding of a layer with a window; None for other layers."""
    look = facts(node.op).window
    if look is None:
        return None
    seen = look(node.op)
    top, bottom, left, right = seen.padding
    return {
        "kernel": seen.kernel,
        "stride": seen.stride,
        # Padding that is not the same at both ends is never what a paper prints.
        "padding": (top, left) if (top, left) == (bottom, right) else None,
    }[quantity]


def _neurons(at: str, outputs: Mapping[str, Shape], nodes: tuple[Node, ...]) -> int:
    if len(nodes) == 1 and nodes[0].address == at:
        return prod(outputs[at])
    owned = ((n, facts(n.op).arrays) for n in nodes)
    return sum(prod(outputs[n.address]) for n, arrays in owned if arrays and arrays.multiplies)


def _depth(graph: Graph, places: set[str]) -> int:
    """Layers with weights on the longest path through `places`."""
    longest: dict[str, int] = {}
    for node in graph:
        before = max((longest.get(name, 0) for name in node.inputs), default=0)
        longest[node.address] = before + (node.weighted and node.address in places)
    return max(longest.values())
