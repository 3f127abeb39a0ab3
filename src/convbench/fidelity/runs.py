"""Which of several equal blocks is the one that only one model has: a whole one, if it can be."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

from convbench.fidelity.features import WEIGHTED
from convbench.fidelity.matching import Pair, Side, cost


def settled(pairs: Sequence[Pair], ours: Side, theirs: Side) -> list[Pair]:
    """The same pairs, with each run of steps without partners in the best of its places.

    Where a block is repeated, a run may begin anywhere in it at the same cost, and the alignment
    gives the earliest place. The best begins and ends between modules, with a layer with weights.
    """
    result = list(pairs)
    for at, side in ((1, theirs), (0, ours)):
        start = 0
        while start < len(result):
            end = start
            while end < len(result) and result[end][1 - at] is None:
                end += 1
            if end > start:
                result = _best(result, start, end, at, side, (ours, theirs))
            start = end + 1
    return result


def _best(
    pairs: list[Pair], start: int, end: int, at: int, side: Side, sides: tuple[Side, Side]
) -> list[Pair]:
    """The pairs with the run from `start` to `end` moved to the best place behind its own."""
    best, least = pairs, _cuts(pairs, start, end, at, side)
    moved = pairs
    for begin in range(start, min(end, len(pairs) - (end - start))):
        first, after = moved[begin], moved[begin + end - start]
        paired: Pair = (after[0], first[1]) if at else (first[0], after[1])
        if None in after or _cost(paired, sides) > _cost(after, sides):
            break
        alone: Pair = (None, after[1]) if at else (after[0], None)
        moved = [*moved]
        moved[begin], moved[begin + end - start] = paired, alone
        cuts = _cuts(moved, begin + 1, begin + 1 + end - start, at, side)
        if cuts < least:
            best, least = moved, cuts
    return best


def _cost(pair: Pair, sides: tuple[Side, Side]) -> float:
    i, j = pair
    if i is None or j is None:
        return float("inf")
    return cost(sides[0].seen[i], sides[1].seen[j])


def _cuts(pairs: Sequence[Pair], begin: int, end: int, at: int, side: Side) -> tuple[int, bool]:
    """How deep in modules a run begins and ends, and whether without a layer with weights."""
    run = [p for pair in pairs[begin:end] if (p := pair[at]) is not None]
    before = next((p for pair in reversed(pairs[:begin]) if (p := pair[at]) is not None), None)
    after = next((p for pair in pairs[end:] if (p := pair[at]) is not None), None)
    depth = _shared(side, before, run[0]) + _shared(side, run[-1], after)
    return depth, side.seen[run[0]].kind not in WEIGHTED


def _shared(side: Side, one: int | None, other: int | None) -> int:
    """How many modules two steps have in common."""
    if one is None or other is None:
        return 0
    scopes = [side.trace.steps[i].address.split(".")[:-1] for i in (one, other)]
    both = zip(*scopes, strict=False)
    return len(list(takewhile(lambda pair: pair[0] == pair[1], both)))
