"""Steps that are in both models, but do not read what their partners read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from convbench.fidelity.differences import Counts, Difference
from convbench.fidelity.matching import Pair, Side

ORDER = "order of operations"


def rewired(pairs: Sequence[Pair], ours: Side, theirs: Side) -> list[Difference]:
    """One difference for each group of connected steps that are connected in another order."""
    forward = {i: j for i, j in pairs if i is not None and j is not None}
    here = {j: j for j in forward.values()}
    groups: list[dict[int, int]] = []
    for i, j in forward.items():
        one, other = _sources(ours, i, forward), _sources(theirs, j, here)
        if one is None or other is None or one == other:
            continue
        near = [group for group in groups if {*one, *other} & {*group.values()}]
        joined = {a: b for group in near for a, b in group.items()} | {i: j}
        groups = [group for group in groups if group not in near] + [joined]
    return [_difference(group, ours, theirs) for group in groups]


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


def _difference(group: Mapping[int, int], ours: Side, theirs: Side) -> Difference:
    """What is executed in which order, in both models."""
    mine, yours = sorted(group), sorted(group.values())
    said = [[side.seen[k].kind for k in at] for side, at in ((ours, mine), (theirs, yours))]
    if said[0] == said[1]:
        text = ", ".join(_reads(i, group[i], ours, theirs) for i in mine)
    else:
        while said[0][-1] == said[1][-1]:  # what comes after them only reads the last of them
            said = [kinds[:-1] for kinds in said]
        text = f"{', '.join(said[1])} instead of {', '.join(said[0])}"
    return Difference(ORDER, text, Counts(), tuple(mine), tuple(yours))


def _reads(i: int, j: int, ours: Side, theirs: Side) -> str:
    """What a step reads instead of what its partner reads."""
    a, b = (
        Counter(side.seen[k].kind for k in side.trace.steps[at].inputs)
        for side, at in ((ours, i), (theirs, j))
    )
    others, own = (", ".join((one - other).elements()) for one, other in ((b, a), (a, b)))
    if not others or not own:
        return f"{ours.seen[i].kind} reads another layer"
    return f"{ours.seen[i].kind} reads {others} instead of {own}"
