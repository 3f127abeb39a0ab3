"""What two networks answer: which of their layers, and after which function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from convbench.fidelity.differences import EXTRA, Counts, Difference, instead
from convbench.fidelity.matching import Pair, Side
from convbench.fidelity.order import main_output


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
