"""Steps that are in both models, but do not read what their partners read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from convbench.fidelity.differences import Counts, Difference
from convbench.fidelity.matching import Pair, Side

ORDER = "order of operations"


def rewired(pairs: Sequence[Pair], ours: Side, theirs: Side) -> list[Difference]:
    """One difference for each run of steps that are connected in another order."""
    forward = {i: j for i, j in pairs if i is not None and j is not None}
    here = {j: j for j in forward.values()}
    runs: list[list[tuple[int, int]]] = []
    following = False
    for i, j in pairs:
        if i is None or j is None:
            continue
        one, other = _sources(ours, i, forward), _sources(theirs, j, here)
        if one is None or other is None or one == other:
            following = False
            continue
        if not following:
            runs.append([])
        runs[-1].append((i, j))
        following = True
    return [_difference(run, ours, theirs) for run in runs]


def _sources(side: Side, position: int, partner: Mapping[int, int]) -> list[int] | None:
    """The steps of theirs that a step reads, past those without a partner.

    None where that is not one thing each: a sum or a concatenation has no partner.
    """
    found = []
    for start in side.trace.steps[position].inputs:
        at = start
        while at not in partner:
            inputs = side.trace.steps[at].inputs
            if len(inputs) != 1:
                return None
            at = inputs[0]
        found.append(partner[at])
    return sorted(found)


def _difference(run: Sequence[tuple[int, int]], ours: Side, theirs: Side) -> Difference:
    """What is executed in which order, in both models."""
    positions = [i for i, _ in run], sorted(j for _, j in run)
    said = [
        ", ".join(side.seen[k].kind for k in at)
        for side, at in zip((ours, theirs), positions, strict=True)
    ]
    text = f"{said[1]} instead of {said[0]}" if said[0] != said[1] else f"{said[0]} read others"
    return Difference(ORDER, text, Counts(), tuple(positions[0]), tuple(positions[1]))
