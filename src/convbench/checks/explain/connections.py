"""Steps that are in both models, but do not read what their partners read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from convbench.checks.explain.differences import EXTRA, Counts, Difference, instead
from convbench.checks.explain.matching import Pair, Side
from convbench.checks.explain.order import main_output

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


def answered(pairs: Sequence[Pair], ours: Side, theirs: Side) -> list[Difference]:
    """One difference for each layer that both have, and that only one of them answers with.

    An answer without a partner is a difference already, with the layers that lead to it.
    """
    forward = {i: j for i, j in pairs if i is not None and j is not None}
    back = {j: i for i, j in forward.items()}
    mine = {forward.get(i) for i in _behind(ours, forward)}
    yours = _behind(theirs, back)
    extra = [j for j in dict.fromkeys(theirs.trace.outputs) if j in back and j not in mine]
    missing = [
        i for i in dict.fromkeys(ours.trace.outputs) if i in forward and forward[i] not in yours
    ]
    return [
        *(_answer("output extra", theirs.seen[j].kind, back[j], j) for j in extra),
        *(_answer("output missing", ours.seen[i].kind, i, forward[i]) for i in missing),
    ]


def _answer(kind: str, text: str, i: int, j: int) -> Difference:
    return Difference(kind, text, Counts(), (i,), (j,))


def _behind(side: Side, partner: Mapping[int, int]) -> set[int]:
    """The last steps with partners on the ways to the answers."""
    found = set()
    for end in side.trace.outputs:
        at = end
        while at not in partner and len(side.trace.steps[at].inputs) == 1:
            at = side.trace.steps[at].inputs[0]
        found.add(at)
    return found


def ended(ends: tuple[Sequence[str], Sequence[str]], ours: Side, theirs: Side) -> list[Difference]:
    """A network's own answer after another function than the paper's.

    A softmax and its logarithm are one answer, and a model may leave either to the loss.
    """
    (i, paper), (j, model) = (
        (at, names[side.trace.outputs.index(at)])
        for names, side in zip(ends, (ours, theirs), strict=True)
        for at in (main_output(side.trace),)
    )
    paper, model = paper.removeprefix("log "), model.removeprefix("log ")
    if model in ("", paper):
        return []
    if not paper:
        return [Difference(EXTRA, model, Counts(), theirs=(j,))]
    return [Difference("activation", instead(paper, model), Counts(), (i,), (j,))]
