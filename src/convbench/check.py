"""Holds three answers against each other: the paper's tables, our integers, the real model.

`check` never asks a framework anything: it reads what `observe` returned. A report without an
observation compares the paper with the arithmetic alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from math import prod
from typing import Literal, TypeAlias

from attrs import frozen

from convbench import infer
from convbench.errors import TableError
from convbench.graph import NETWORK, Graph, Node
from convbench.observation import Observation, ObservedNode
from convbench.ops import AvgPool, Conv, Dense, MaxPool, Pair, Shape, Subsample, TableConv
from convbench.reference import Erratum, Printed, ReferenceTable, Row, Value, show

Status: TypeAlias = Literal["agrees", "differs", "erratum", "unstated"]
Exact: TypeAlias = int | Shape | None


@frozen
class Finding:
    """One quantity at one place: what is printed, what we compute, what the framework has."""

    at: str
    quantity: str
    source: str | None
    printed: str | None
    computed: str | None
    observed: str | None
    status: Status
    note: str | None = None

    def __str__(self) -> str:
        said = (("printed", self.printed), ("computed", self.computed), ("observed", self.observed))
        facts = ", ".join(f"{word} {value}" for word, value in said if value is not None)
        return f"{self.at}: {self.quantity}: {facts}; {self.note or self.status}"


@frozen
class CheckReport:
    """Whether one architecture, in one framework or in integers alone, is the paper's."""

    name: str
    framework: str | None
    parameters: int
    buffers: int
    macs: int
    layers: int
    findings: tuple[Finding, ...]

    @property
    def differs(self) -> tuple[Finding, ...]:
        """The findings that forbid calling this the paper's network."""
        return tuple(f for f in self.findings if f.status == "differs")

    @property
    def proven(self) -> bool:
        """Whether nothing differs."""
        return not self.differs


def check(graph: Graph, table: ReferenceTable, observed: Observation | None = None) -> CheckReport:
    """All findings about one architecture: printed rows first, then what no source states.

    Raises TableError for a row that addresses nothing or asks for what a layer does not have.
    """
    findings = [*_printed_findings(graph, table, observed)]
    stated = {(f.at, f.quantity) for f in findings}
    findings += [f for f in _unstated_findings(graph, observed) if (f.at, f.quantity) not in stated]
    return CheckReport(
        graph.name,
        observed.framework if observed else None,
        graph.parameters,
        graph.buffers,
        graph.macs,
        len(graph.nodes),
        tuple(findings),
    )


def _printed_findings(
    graph: Graph, table: ReferenceTable, observed: Observation | None
) -> Iterator[Finding]:
    used: set[Erratum] = set()
    for row in table.rows:
        places = [(pattern, at) for pattern in row.at for at in _matches(graph, pattern)]
        for pattern in row.at:
            if pattern not in (p for p, _ in places):
                raise TableError(table.file, row.where, "an address of the network", pattern)
        if row.times is not None and row.times != len(places):
            yield Finding(
                row.at[0],
                "times",
                row.source,
                str(row.times),
                str(len(places)),
                None,
                "differs",
                f"{row.place}: the network has another number of such places",
            )
        for pattern, at in places:
            for quantity in row.values:
                computed = _computed(graph, at, quantity)
                if computed is None:
                    raise TableError(table.file, row.where, f"a place with a {quantity}", at)
                erratum = _erratum(table, row, pattern, quantity)
                finding = _compare(graph, observed, row, at, quantity, computed, erratum)
                if erratum is not None and _applies(erratum, computed):
                    used.add(erratum)
                yield finding
    for erratum in table.errata:
        if erratum not in used:
            yield Finding(
                erratum.at,
                erratum.quantity,
                erratum.source,
                show(erratum.printed),
                show(erratum.should),
                None,
                "differs",
                f"{erratum.where} does not apply: the source agrees with the arithmetic there, "
                "or the arithmetic does not say what the erratum says",
            )


def _compare(
    graph: Graph,
    observed: Observation | None,
    row: Row,
    at: str,
    quantity: str,
    computed: int | Shape,
    erratum: Erratum | None,
) -> Finding:
    printed = row.values[quantity]
    seen = _observed(graph, observed, at, quantity) if observed else None
    status: Status = "agrees"
    note = row.place
    if seen is not None and seen != computed:
        status, note = "differs", f"{row.place}: the framework's model is not what was described"
    elif not _agrees(printed, computed):
        if erratum is not None and _applies(erratum, computed):
            status, note = "erratum", erratum.why
        else:
            status, note = "differs", f"{row.place}: the source prints something else"
    return Finding(
        at, quantity, row.source, show(printed), show(computed), show(seen), status, note
    )


def _unstated_findings(graph: Graph, observed: Observation | None) -> Iterator[Finding]:
    """The totals and every layer's shape, window and arrays, whether or not they are printed."""
    for quantity in ("parameters", "buffers", "macs"):
        yield _unstated(
            NETWORK,
            quantity,
            show(_computed(graph, NETWORK, quantity)),
            show(_observed(graph, observed, NETWORK, quantity)) if observed else None,
        )
    for node in graph:
        there = observed.nodes.get(node.address) if observed else None
        if observed and there is None:
            yield _unstated(node.address, "layer", type(node.op).__name__, "missing")
            continue
        yield from _layer_findings(node, there)
    for address in observed.nodes if observed else ():
        if address not in graph.by_address:
            yield _unstated(address, "layer", "none", "extra")


def _layer_findings(node: Node, there: ObservedNode | None) -> Iterator[Finding]:
    at = node.address
    yield _unstated(at, "output", show(node.output), show(there.output) if there else None)
    for quantity in ("kernel", "stride"):
        window = _window(node, quantity)
        if window is not None:
            yield _unstated(at, quantity, show(window), show(getattr(there, quantity, None)))
    if node.tensors or (there and there.tensors):
        computed = ", ".join(_tensor(t.name, t.shape, t.trainable) for t in node.tensors)
        held = there.tensors.items() if there else ()
        seen = ", ".join(_tensor(name, t.shape, t.trainable) for name, t in held)
        yield _unstated(at, "tensors", computed, seen if there else None)


def _unstated(at: str, quantity: str, computed: str | None, observed: str | None) -> Finding:
    differs = observed is not None and observed != computed
    note = "the framework's model is not what was described" if differs else None
    status: Status = "differs" if differs else "unstated"
    return Finding(at, quantity, None, None, computed, observed, status, note)


def _tensor(name: str, shape: Shape, trainable: bool) -> str:
    return f"{name} {show(shape)}{'' if trainable else ' fixed'}"


def _agrees(printed: Value, computed: int | Shape) -> bool:
    if isinstance(printed, Printed):
        return isinstance(computed, int) and printed.agrees(computed)
    return printed == computed


def _erratum(table: ReferenceTable, row: Row, pattern: str, quantity: str) -> Erratum | None:
    for erratum in table.errata:
        place = (erratum.at, erratum.quantity, erratum.source, erratum.printed)
        if place == (pattern, quantity, row.source, row.values[quantity]):
            return erratum
    return None


def _applies(erratum: Erratum, computed: int | Shape) -> bool:
    return erratum.should == computed and not _agrees(erratum.printed, computed)


def _matches(graph: Graph, pattern: str) -> list[str]:
    """Addresses of nodes and scopes that `pattern` means; `*` stays within one name."""
    expression = re.compile(re.escape(pattern).replace(r"\*", "[^.]*"))
    places = [NETWORK, *graph.by_address, *sorted(graph.scopes)]
    return [at for at in places if expression.fullmatch(at)]


def _computed(graph: Graph, at: str, quantity: str) -> Exact:
    """What integer arithmetic says; None where the place has no such quantity."""
    nodes = graph.below(at)
    if quantity in ("kernel", "stride", "padding"):
        return _window(nodes[0], quantity) if len(nodes) == 1 else None
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


def _observed(graph: Graph, observed: Observation, at: str, quantity: str) -> Exact:
    """What the real model says; None for what frameworks do not tell (padding, depth)."""
    nodes = graph.below(at)
    if any(n.address not in observed.nodes for n in nodes):
        return None
    seen = {n.address: observed.nodes[n.address] for n in nodes}
    last = seen[nodes[-1].address]
    if at == NETWORK and quantity in ("parameters", "buffers", "total"):
        totals = {"parameters": observed.parameters, "buffers": observed.buffers}
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
            count = infer.macs if quantity == "macs" else infer.connections
            return sum(count(n.op, _weight(observed, n), seen[n.address].output) for n in nodes)
        case "neurons":
            return _neurons(at, {a: s.output for a, s in seen.items()}, nodes)
        case _:
            return None


def _weight(observed: Observation, node: Node) -> Shape:
    tensor = observed.nodes[node.address].tensors.get("weight")
    return tensor.shape if tensor else ()


_OF_OUTPUT: dict[str, Callable[[Shape], int | Shape]] = {
    "output": lambda shape: shape,
    "size": lambda shape: shape[1:],
    "channels": lambda shape: shape[0],
}


def _window(node: Node, quantity: str) -> Pair | None:
    op = node.op
    match op:
        case Conv() | MaxPool() | AvgPool():
            top, bottom, left, right = op.padding
            return {
                "kernel": op.kernel,
                "stride": op.stride,
                # Padding that is not the same at both ends is never what a paper prints.
                "padding": (top, left) if (top, left) == (bottom, right) else None,
            }[quantity]
        case TableConv():
            return {"kernel": op.kernel, "stride": (1, 1), "padding": (0, 0)}[quantity]
        case Subsample():
            return {"kernel": op.kernel, "stride": op.kernel, "padding": (0, 0)}[quantity]
        case _:
            return None


def _neurons(at: str, outputs: Mapping[str, Shape], nodes: tuple[Node, ...]) -> int:
    if len(nodes) == 1 and nodes[0].address == at:
        return prod(outputs[at])
    counted = (n for n in nodes if isinstance(n.op, Conv | TableConv | Dense))
    return sum(prod(outputs[n.address]) for n in counted)


def _depth(graph: Graph, places: set[str]) -> int:
    """Layers with weights on the longest path through `places`."""
    longest: dict[str, int] = {}
    for node in graph:
        before = max((longest.get(name, 0) for name in node.inputs), default=0)
        longest[node.address] = before + (node.weighted and node.address in places)
    return max(longest.values())
