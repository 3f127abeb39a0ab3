"""How close a measurement comes to its machine, and which figures cannot be right.

Two rules, both of which need no other run: nothing is faster than the machine, and a network that
has more of everything than another of its family is not faster than that one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import permutations
from typing import Literal, TypeAlias

from attrs import evolve, frozen

from convbench.base.errors import ConvbenchError
from convbench.base.units import Second, count, per_second, rate
from convbench.measure.estimates import BESIDE, Estimate, beside, estimates
from convbench.measure.records import Attainable, Entry, Measurement, Task
from convbench.networks.graph import Graph
from convbench.networks.layer_facts import kind
from convbench.networks.passes import PASSES
from convbench.networks.roofline import NOTHING, VALUE_BYTES, Machine, Work, work
from convbench.networks.zoo.names import architecture, family

PEAK_NOISE = 0.15
"""The share by which a peak may be too low: what it differed by between runs of a quiet machine."""
PROCESS_NOISE = 0.15
"""The share by which two processes may differ that do the same; the rounds of one know nothing."""

Conditions: TypeAlias = tuple[str, int, str]
"""Device, threads and dtype: what a peak is valid for."""


@frozen
class Doubt:
    """Why a figure cannot be right."""

    mark: Literal["impossible", "implausible"]
    why: str


@frozen
class Closeness:
    """One figure, its work, and the machine it was done on."""

    estimate: Estimate
    work: Work
    machine: Machine
    bound_s: Second
    """By the roofline, no step is faster."""
    memory_s: Second
    """The part of the bound that nodes have which memory bounds, not arithmetic."""

    @property
    def task(self) -> Task:
        """What was timed."""
        return self.estimate.task

    @property
    def step_s(self) -> Second:
        """What a step took."""
        return self.estimate.step_s.median

    @property
    def flops(self) -> float:
        """Operations a second."""
        return self.work.operations / self.step_s


def conditions(entry: Task | Attainable) -> Conditions:
    """What a peak must share with a task to be the task's."""
    return entry.device, entry.threads, entry.dtype


def machines(entries: Iterable[Entry]) -> dict[Conditions, Machine]:
    """The best that any framework's operators attained; the hardware is the same for all."""
    found: dict[Conditions, Machine] = {}
    for entry in entries:
        if isinstance(entry, Attainable) and entry.dtype in VALUE_BYTES:
            best = found.get(conditions(entry), Machine(0.0, 0.0))
            found[conditions(entry)] = Machine(
                max(best.flops, entry.matmul_flops, entry.conv_flops),
                max(best.bytes_s, entry.copy_bytes_s),
            )
    return found


def closeness(entries: Sequence[Entry]) -> list[Closeness]:
    """Every figure of a known network whose machine was measured too."""
    peaks, measured, found = machines(entries), _measured(entries), []
    graphs = _graphs(measured)
    for estimate in measured:
        task = estimate.task
        graph = graphs.get(task.architecture)
        # What one framework alone has does more than the network does.
        bounded = PASSES[task.pass_].everywhere
        if graph is None or not bounded or conditions(task) not in peaks:
            continue
        machine = peaks[conditions(task)]
        nodes = work(graph, task.pass_, task.batch, VALUE_BYTES[task.dtype]).values()
        moving = [n for n in nodes if n.moved / machine.bytes_s > n.operations / machine.flops]
        bound_s = machine.network_bound_s(nodes)
        memory_s = machine.network_bound_s(moving)
        found.append(Closeness(estimate, sum(nodes, NOTHING), machine, bound_s, memory_s))
    return found


def doubts(entries: Sequence[Entry]) -> dict[Task, list[Doubt]]:
    """Why figures cannot be right, by their estimate's task; nothing for those that can.

    A peak that was only ever measured while others used the machine says nothing.
    """
    found: dict[Task, list[Doubt]] = {}
    peaks = [entry for entry in entries if isinstance(entry, Attainable)]
    trusted = {conditions(peak) for peak in peaks if beside(peak) <= BESIDE}
    for close in closeness(entries):
        limit = close.machine.flops * (1 + PEAK_NOISE)
        if conditions(close.task) in trusted and close.flops > limit:
            found.setdefault(close.task, []).append(_impossible(close))
    measured = _measured(entries)
    graphs = _graphs(measured)
    for group in _alike(measured):
        for large, small in permutations(group, 2):
            if _is_faster(large, small) and _has_more_of_everything(large, small, graphs):
                found.setdefault(large.task, []).append(_implausible(large, small, graphs))
    return found


def _impossible(close: Closeness) -> Doubt:
    peak = close.machine.flops
    return Doubt(
        "impossible",
        f"{per_second(close.flops, 'FLOP')} is {close.flops / peak:.2f} times the "
        f"{per_second(peak, 'FLOP')} that the machine attained at its best, and more than the "
        f"{PEAK_NOISE:.0%} by which that may be too low; one of the two measurements is wrong",
    )


def _implausible(large: Estimate, small: Estimate, graphs: Mapping[str, Graph]) -> Doubt:
    graph, other = (graphs[e.task.architecture] for e in (large, small))
    rates = [rate(e.images_per_s.median) for e in (large, small)]
    return Doubt(
        "implausible",
        f"{rates[0]} images per second are more than the {rates[1]} of {other.name}, beyond the "
        f"spread of both, although it has more layers ({_layers(graph)} to {_layers(other)}), more "
        f"parameters ({count(graph.parameters)} to {count(other.parameters)}) and more "
        f"multiply-accumulates ({count(graph.macs)} to {count(other.macs)}) of the same kinds",
    )


def _measured(entries: Sequence[Entry]) -> list[Estimate]:
    return estimates(entry for entry in entries if isinstance(entry, Measurement))


def _alike(measured: Sequence[Estimate]) -> list[list[Estimate]]:
    """Those that differ in the network alone."""
    groups: dict[Task, list[Estimate]] = {}
    for estimate in measured:
        groups.setdefault(evolve(estimate.task, architecture=""), []).append(estimate)
    return [*groups.values()]


def _is_faster(one: Estimate, other: Estimate) -> bool:
    """Whether the intervals are apart, and the figures by more than what processes differ by."""
    ours, theirs = one.step_s, other.step_s
    return ours.high < theirs.low and ours.median * (1 + PROCESS_NOISE) < theirs.median


def _has_more_of_everything(large: Estimate, small: Estimate, graphs: Mapping[str, Graph]) -> bool:
    """Whether one network is of the other's family, and larger in every respect."""
    names = large.task.architecture, small.task.architecture
    if not {*names} <= {*graphs} or family(names[0]) != family(names[1]):
        return False
    graph, other = (graphs[name] for name in names)
    more = (
        graph.macs > other.macs
        and graph.parameters > other.parameters
        and _layers(graph) > _layers(other)
    )
    return more and _kinds(graph) >= _kinds(other)


def _layers(graph: Graph) -> int:
    return sum(node.weighted for node in graph)


def _kinds(graph: Graph) -> Counter[str]:
    return Counter(kind(node.op, graph.shapes_into(node)) for node in graph)


def _graphs(measured: Sequence[Estimate]) -> dict[str, Graph]:
    """The networks that were measured, as far as they are known here."""
    graphs = {}
    for name in {estimate.task.architecture for estimate in measured}:
        try:
            graphs[name] = architecture(name)
        except ConvbenchError:  # a network of the user's own, whose tables were not named
            continue
    return graphs
