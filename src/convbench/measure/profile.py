"""Where a network's time goes: its nodes one by one, beside the whole and beside the roofline."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from statistics import median
from typing import TypeVar

from attrs import frozen

from convbench.base.errors import WorkerFailed
from convbench.base.stats import Interval, median_of
from convbench.base.units import Second
from convbench.frameworks.modes import DEFAULT, variant
from convbench.measure.machine.cpu import CpuUse
from convbench.measure.records import Task
from convbench.measure.worker import messages
from convbench.measure.worker.launcher import Child
from convbench.networks.graph import Graph
from convbench.networks.layer_facts import kind
from convbench.networks.roofline import VALUE_BYTES, Machine, work

WARMUP: Second = 0.3
WHOLE: Second = 1.0
"""For the rounds of the whole network, of which there are at least LEAST."""
LEAST, MOST = 6, 200

R = TypeVar("R", bound=messages.Reply)
Open = Callable[[str, str, str], AbstractContextManager[Child]]


@frozen
class Side:
    """One framework in one mode: each node alone, and the whole network."""

    variant: str
    version: str
    nodes_s: dict[str, Second]
    whole: Interval
    call_s: Second
    """The input's node, which does nothing: what a call costs."""
    beside: float
    """Cores that the machine gave to others meanwhile, or lost."""

    @property
    def sum_s(self) -> Second:
        """All nodes one after the other."""
        return sum(self.nodes_s.values())


@frozen
class Row:
    """One node, or all nodes of one kind."""

    name: str
    kind: str
    nodes: int
    bound_s: Second
    seconds: dict[str, Second]
    """By variant."""


@frozen
class Profile:
    """One pass of one network in one or more frameworks."""

    graph: Graph
    task: Task
    machine: Machine | None
    """What it attains; None where no framework can tell."""
    sides: tuple[Side, ...]
    rows: tuple[Row, ...]
    """In the network's order, without the input."""

    @property
    def bound_s(self) -> Second:
        """The roofline's bound of all nodes."""
        return sum(row.bound_s for row in self.rows)

    def slowest(self, count: int) -> list[Row]:
        """The nodes that take longest in all frameworks together, the slowest first."""
        return sorted(self.rows, key=_together, reverse=True)[:count]

    def by_kind(self) -> list[Row]:
        """All nodes of each kind together, the slowest first."""
        groups: dict[str, list[Row]] = {}
        for row in self.rows:
            groups.setdefault(row.kind, []).append(row)
        added = [
            Row(
                name,
                name,
                len(rows),
                sum(row.bound_s for row in rows),
                {v: sum(row.seconds[v] for row in rows) for v in rows[0].seconds},
            )
            for name, rows in groups.items()
        ]
        return sorted(added, key=_together, reverse=True)


def profile(graph: Graph, tasks: Iterable[Task], tables: Path, open_: Open) -> Profile:
    """The profile of a network's tasks, which differ in framework and mode alone.

    The model is verified against its tables before anything is timed. Raises WorkerFailed, and
    what `open_` raises.
    """
    tasks = [*tasks]
    first, machine = tasks[0], _machine(tasks, open_)
    sides = tuple(_side(task, tables, open_) for task in tasks)
    works = work(graph, first.pass_, first.batch, VALUE_BYTES[first.dtype])
    rows = tuple(
        Row(
            node.address,
            kind(node.op, graph.shapes_into(node)),
            1,
            machine.bound_s(works[node.address]) if machine else 0.0,
            {side.variant: side.nodes_s[node.address] for side in sides},
        )
        for node in graph.nodes[1:]
        if node.address in works
    )
    return Profile(graph, first, machine, sides, rows)


def _side(task: Task, tables: Path, open_: Open) -> Side:
    cpu = CpuUse()
    with open_(task.framework, f"{task.label} profile", task.mode) as child:
        request = messages.Prepare(task, str(tables), WARMUP)
        prepared = _ask(child, request, messages.Prepared, "building, verifying and warming up")
        count = round(WHOLE / median(prepared.warmup_s))
        rounds = messages.Rounds(min(MOST, max(LEAST, count)), 1)
        with cpu.watched() as used:
            timed = _ask(child, rounds, messages.Timed, "timing the whole network")
            profiled = _ask(child, messages.Profile(), messages.Profiled, "timing its nodes")
            used(timed.cpu_s + profiled.cpu_s)
    call, *nodes = profiled.nodes
    return Side(
        variant=variant(task.framework, task.mode),
        version=child.launcher.version or "",
        nodes_s={node.address: median(node.rounds_s) for node in nodes},
        whole=median_of(timed.rounds_s),
        call_s=median(call.rounds_s),
        beside=(cpu.others_cores or 0.0) + (cpu.stolen_cores or 0.0),
    )


def _machine(tasks: Iterable[Task], open_: Open) -> Machine | None:
    """The best that any of the frameworks attains."""
    found = []
    for task in {task.framework: task for task in tasks}.values():
        request = messages.Attain(task.device, task.threads, task.dtype)
        with open_(task.framework, f"{task.framework} peaks", DEFAULT) as child:
            reply = child.ask(request, messages.Attained, "measuring what the machine attains")
        if isinstance(reply, messages.Attained):
            found.append(reply)
    if not found:
        return None
    flops = max(max(reply.matmul_flops, reply.conv_flops) for reply in found)
    return Machine(flops, max(reply.copy_bytes_s for reply in found))


def _ask(child: Child, request: messages.Request, reply: type[R], stage: str) -> R:
    found = child.ask(request, reply, stage)
    if isinstance(found, messages.Refused):
        raise WorkerFailed(child.task, stage, found.why)
    return found


def _together(row: Row) -> Second:
    return sum(row.seconds.values())
