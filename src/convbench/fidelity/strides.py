"""A stride that is taken by another layer than in the paper's network."""

from __future__ import annotations

from collections.abc import Iterable

from convbench.fidelity.differences import EXTRA, MISSING, Difference, Models, merged, word
from convbench.fidelity.matching import Side
from convbench.fidelity.order import ancestors

POSITION = "stride position"


def moved_strides(found: list[Difference], models: Models) -> list[Difference]:
    """One difference for each part of the network that images reach before or after a stride.

    Such a part consists of connected steps whose images have another size than their partners'.
    Strides differ where it begins and where it ends; if they only differ where it begins, then the
    stride did not move: there is one more, or one less.
    """
    for region in _regions(models):
        inside = [d for d in found if _touches(d, region, models)]
        begins = [d for d in inside if _within(d, region)]
        ends = [d for d in inside if d not in begins]
        paired = [side for side in (begins, ends) if any(d.ours and d.theirs for d in side)]
        if len(paired) == 2 and _opposed(begins, ends, models):
            found = [d for d in found if d not in inside]
            found.append(merged([*begins, *ends], POSITION, _text(inside, models)))
    return found


def _regions(models: Models) -> list[set[int]]:
    """Connected steps of theirs whose images have another size than their partners'."""
    partner = {j: i for i, j in models.pairs if j is not None}
    ours, theirs = models.ours.trace.steps, models.theirs.trace.steps
    regions: list[set[int]] = []
    for j, step in enumerate(theirs):
        i = partner.get(j)
        # What only one model has is no evidence, but connects.
        other = step.output[1:] != ours[i].output[1:] if i is not None else False
        if not other or not step.inputs:
            continue
        near = [region for region in regions if region & _sources(j, models.theirs, partner)]
        joined = {j}.union(*near)
        regions = [region for region in regions if region not in near] + [joined]
    return regions


def _sources(position: int, side: Side, partner: dict[int, int | None]) -> set[int]:
    """The steps that one reads, past those that only this model has."""
    found: set[int] = set()
    waiting = list(side.trace.steps[position].inputs)
    while waiting:
        at = waiting.pop()
        if partner.get(at) is None:
            waiting += (k for k in side.trace.steps[at].inputs if k not in found)
        found.add(at)
    return found


def _touches(one: Difference, region: set[int], models: Models) -> bool:
    """Whether a difference of strides begins or ends a region."""
    if "stride" in one.settings:
        j = one.theirs[0]
        return j in region or bool(region & {*models.theirs.trace.steps[j].inputs})
    partner = {i: j for i, j in models.pairs if i is not None and j is not None}
    if one.kind == EXTRA and _strided(models.theirs, one.theirs[0]):
        j = one.theirs[0]
        readers = (k for k, s in enumerate(models.theirs.trace.steps) if j in s.inputs)
        return bool(region & {*models.theirs.trace.steps[j].inputs, *readers})
    if one.kind == MISSING and _strided(models.ours, one.ours[0]):
        i = one.ours[0]
        readers = (k for k, s in enumerate(models.ours.trace.steps) if i in s.inputs)
        near = (*models.ours.trace.steps[i].inputs, *readers)
        return bool(region & {partner[k] for k in near if k in partner})
    return False


def _within(one: Difference, region: set[int]) -> bool:
    return bool(one.theirs) and one.theirs[0] in region


def _strided(side: Side, position: int) -> bool:
    return side.seen[position].own.get("stride", (1, 1)) != (1, 1)


def _opposed(begins: Iterable[Difference], ends: Iterable[Difference], models: Models) -> bool:
    """Whether what is strided more where a region begins is strided less where it ends."""

    def more(differences: Iterable[Difference]) -> set[bool]:
        return {_strided(models.theirs, d.theirs[0]) for d in differences if d.ours and d.theirs}

    return len(more(begins)) == len(more(ends)) == 1 and more(begins) != more(ends)


def _text(inside: Iterable[Difference], models: Models) -> str:
    """Which stride, and whether it is taken earlier or later."""
    upstream = ancestors(models.theirs.trace)
    paired = [d for d in inside if d.ours and d.theirs]
    theirs = next(d.theirs[0] for d in paired if _strided(models.theirs, d.theirs[0]))
    ours = next(d for d in paired if _strided(models.ours, d.ours[0]))
    later = upstream[theirs] >> ours.theirs[0] & 1
    stride = word(models.ours.seen[ours.ours[0]].own["stride"])
    return f"{stride} taken {'later' if later else 'earlier'} than in the paper's"
