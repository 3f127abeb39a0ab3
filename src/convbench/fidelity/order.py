"""An order of execution that does not depend on which branch its author wrote first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from convbench.fidelity.features import JOINS, WEIGHTED, Features
from convbench.trace import Trace

Layout = Mapping[int, Sequence[int]]
"""The inputs of a step in the order in which they are visited, where they are several."""


def main_output(trace: Trace) -> int:
    """Which of the answers is the network's own: the one with the longest way to it.

    Auxiliary classifiers branch off earlier, wherever they are returned.
    """
    depth: list[int] = []
    for step in trace.steps:
        depth.append(1 + max((depth[i] for i in step.inputs), default=0))
    return max(trace.outputs, key=lambda i: depth[i])


def ancestors(trace: Trace) -> list[int]:
    """For each step a set of bits: the steps that it depends on, and itself."""
    found: list[int] = []
    for i, step in enumerate(trace.steps):
        bits = 1 << i
        for j in step.inputs:
            bits |= found[j]
        found.append(bits)
    return found


def layout(trace: Trace, seen: Sequence[Features], kinds: Sequence[tuple[str, str]]) -> Layout:
    """The branches of each join, the one with most layers first.

    `kinds` are all kinds (with their kernels) of both models, so that both order alike.
    """
    upstream = ancestors(trace)
    masks = dict.fromkeys(kinds, 0)
    for i, one in enumerate(seen):
        masks[kernel_of(one)] |= 1 << i
    found: dict[int, Sequence[int]] = {}
    for i, step in enumerate(trace.steps):
        if len(step.inputs) > 1 and seen[i].kind in JOINS:
            common = upstream[step.inputs[0]]
            for j in step.inputs:
                common &= upstream[j]
            found[i] = sorted(
                dict.fromkeys(step.inputs),
                key=lambda j: tuple(
                    -(upstream[j] & ~common & masks[kind]).bit_count() for kind in kinds
                ),
            )
    return found


def kernel_of(one: Features) -> tuple[str, str]:
    """What tells branches apart: the kind of a step and its kernel; layers with weights first."""
    rank = "0" if one.kind in WEIGHTED else "1"
    return f"{rank} {one.kind}", str(one.own.get("kernel size", ""))


def canonical(trace: Trace, branches: Layout) -> list[int]:
    """Positions in the order of a walk from the main answer back, then what only others need."""
    done: dict[int, None] = {}
    main = main_output(trace)
    rest = [i for i in range(len(trace.steps)) if i != main]
    for end in (main, *(i for i in trace.outputs if i != main), *rest):
        stack = [(end, False)]
        while stack:
            i, ready = stack.pop()
            if i in done:
                continue
            if ready:
                done[i] = None
                continue
            stack.append((i, True))
            visited = branches.get(i, trace.steps[i].inputs)
            stack += [(j, False) for j in reversed(visited) if j not in done]
    return list(done)
