"""An order of execution that does not depend on which branch its author wrote first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from convbench.checks.explain.features import JOINS, WEIGHTED, Features
from convbench.frameworks.trace import Trace

Layout = Mapping[int, Sequence[int]]
"""The inputs of a step in the order in which they are visited, where they are several."""


def answers(trace: Trace) -> list[int]:
    """The steps that answer: the network's own first, then auxiliary ones as they branch off.

    The network's own is the one with the longest way to it, wherever it is returned.
    """
    depth: list[int] = []
    for step in trace.steps:
        depth.append(1 + max((depth[i] for i in step.inputs), default=0))
    main = max(trace.outputs, key=lambda i: depth[i])
    others = sorted(dict.fromkeys(trace.outputs), key=lambda i: depth[i])
    return [main, *(i for i in others if i != main)]


def main_output(trace: Trace) -> int:
    """Which of the answers is the network's own."""
    return answers(trace)[0]


def ancestors(trace: Trace) -> list[int]:
    """For each step a set of bits: the steps that it depends on, and itself."""
    found: list[int] = []
    for i, step in enumerate(trace.steps):
        bits = 1 << i
        for j in step.inputs:
            bits |= found[j]
        found.append(bits)
    return found


def branches(trace: Trace, seen: Sequence[Features]) -> dict[int, dict[int, int]]:
    """For each join and each step that it reads the steps of that branch alone, as bits."""
    upstream = ancestors(trace)
    found: dict[int, dict[int, int]] = {}
    for i, step in enumerate(trace.steps):
        if len(step.inputs) > 1 and seen[i].kind in JOINS:
            common = upstream[step.inputs[0]]
            for j in step.inputs:
                common &= upstream[j]
            found[i] = {j: upstream[j] & ~common for j in step.inputs}
    return found


def layout(
    found: Mapping[int, Mapping[int, int]], seen: Sequence[Features], kinds: Sequence[str]
) -> Layout:
    """The branches of each join, the one with most layers first.

    `kinds` are all kinds (with their kernels) of both models, so that both order alike.
    """
    masks = dict.fromkeys(("weighted", *kinds), 0)
    for i, one in enumerate(seen):
        masks[kernel_of(one)] |= 1 << i
        masks["weighted"] |= (one.kind in WEIGHTED) << i

    def size(branch: tuple[int, int]) -> tuple[int, ...]:
        return tuple(-(branch[1] & mask).bit_count() for mask in masks.values())

    return {i: [j for j, _ in sorted(parts.items(), key=size)] for i, parts in found.items()}


def kernel_of(one: Features) -> str:
    """What tells branches apart: the kind of a step and its kernel."""
    return f"{one.kind} {one.own.get('kernel size', '')}"


def canonical(trace: Trace, visits: Layout) -> list[int]:
    """Positions in the order of a walk from the main answer back, then what only others need."""
    done: dict[int, None] = {}
    for end in (*answers(trace), *range(len(trace.steps))):
        stack = [(end, False)]
        while stack:
            i, ready = stack.pop()
            if i in done:
                continue
            if ready:
                done[i] = None
                continue
            stack.append((i, True))
            visited = visits.get(i, trace.steps[i].inputs)
            stack += [(j, False) for j in reversed(visited) if j not in done]
    return list(done)
