"""Which step of one model is which of another: by what they compute and in which order.

Both models are written out in an order that does not depend on their authors (`order`), and the two
lists are aligned at the least cost (Needleman and Wunsch 1970): a pair costs what its settings
differ by, a step without a partner costs more. What was executed elsewhere is then paired by whom
it reads and who reads it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import TypeAlias

import numpy as np
from attrs import frozen

from convbench.checks.explain.features import WEIGHTED, Features, Settings, family, features
from convbench.checks.explain.order import (
    Layout,
    branches,
    canonical,
    kernel_of,
    layout,
    main_output,
)
from convbench.frameworks.trace import Trace

Pair: TypeAlias = tuple[int | None, int | None]
"""A position in our model and one in theirs; None where there is no partner."""

COSTS = {
    "channels": 0.4,
    "kernel size": 0.4,
    "multiplier": 0.3,
    "groups": 0.3,
    "stride": 0.2,
    "channels read": 0.15,
    "size": 0.1,
}
"""What a difference of a setting costs."""
OTHERWISE = 0.05
ALONE = {True: 1.0, False: 0.5}
"""What a step without a partner costs, if it has weights and if not."""
OTHER_KIND = 0.8
"""Share of the cost of two steps alone that a pair of two kinds costs."""


@frozen
class Side:
    """One model as it is matched."""

    trace: Trace
    seen: tuple[Features, ...]

    @classmethod
    def of(cls, trace: Trace) -> Side:
        """The features of every step of a trace in normal form."""
        found = []
        for step, owned in zip(trace.steps, trace.owned, strict=True):
            shapes = tuple(trace.steps[i].output for i in step.inputs)
            found.append(features(step, shapes, len(owned) < len(step.tensors)))
        return cls(trace, tuple(found))


def match(ours: Side, theirs: Side) -> list[Pair]:
    """Every step of both once, in the order of execution, with its partner if it has one."""
    kinds = sorted({kernel_of(one) for side in (ours, theirs) for one in side.seen})
    parts = [branches(side.trace, side.seen) for side in (ours, theirs)]
    mine, yours = (
        layout(found, side.seen, kinds) for found, side in zip(parts, (ours, theirs), strict=True)
    )
    pairs = _paired(ours, theirs, mine, yours)
    better = assigned(pairs, (mine, yours), parts, (ours.seen, theirs.seen))
    if better != yours:
        again = _paired(ours, theirs, mine, better)
        if _price(again, ours, theirs) < _price(pairs, ours, theirs):
            pairs = again
    return _found_elsewhere(pairs, ours, theirs)


def _paired(ours: Side, theirs: Side, mine: Layout, yours: Layout) -> list[Pair]:
    """The alignment of what leads to the networks' own answers, and that of the rest."""
    sides = zip(_parts(ours, mine), _parts(theirs, yours), strict=True)
    return [
        (None if i is None else a[i], None if j is None else b[j])
        for a, b in sides
        for i, j in _aligned([ours.seen[i] for i in a], [theirs.seen[j] for j in b])
    ]


def _parts(side: Side, visits: Layout) -> tuple[list[int], list[int]]:
    """The way to the network's own answer, and what leads elsewhere (auxiliary classifiers)."""
    order = canonical(side.trace, visits)
    end = order.index(main_output(side.trace)) + 1
    return order[:end], order[end:]


def _price(pairs: Sequence[Pair], ours: Side, theirs: Side) -> float:
    """What all pairs cost together."""
    found = 0.0
    for i, j in pairs:
        if i is not None and j is not None:
            found += cost(ours.seen[i], theirs.seen[j])
        else:
            found += _alone(ours.seen[i] if i is not None else theirs.seen[j or 0])
    return found


def cost(one: Features, other: Features) -> float:
    """What it costs to say that two steps are the same; infinite if they cannot be."""
    if family(one.kind) != family(other.kind):
        return np.inf
    apart = sum(
        COSTS.get(name, OTHERWISE)
        for mine, yours in ((one.own, other.own), (one.inherited, other.inherited))
        for name in {*mine, *yours}
        if mine.get(name) != yours.get(name)
    )
    alone = _alone(one) + _alone(other)
    if one.kind != other.kind:
        return OTHER_KIND * alone
    return min(apart, OTHER_KIND) * alone / 2 if one.kind not in WEIGHTED else min(apart, 1.4)


def _alone(one: Features) -> float:
    return ALONE[one.kind in WEIGHTED]


def _aligned(ours: Sequence[Features], theirs: Sequence[Features]) -> list[Pair]:
    """The alignment of two lists at the least cost, row by row of the table of costs."""
    a, b = _classes(ours), _classes(theirs)
    costs = np.array([[cost(x, y) for y in b.of] for x in a.of]).reshape(len(a.of), len(b.of))
    skip_a = np.array([_alone(x) for x in a.of])[a.which]
    skip_b = np.array([_alone(x) for x in b.of])[b.which]
    gaps = np.concatenate([[0.0], np.cumsum(skip_b)])
    row = gaps.copy()
    moves = np.zeros((len(ours) + 1, len(theirs) + 1), dtype=np.int8)
    moves[0, 1:] = _LEFT
    for i in range(len(ours)):
        pair = row[:-1] + costs[a.which[i]][b.which]
        up = row + skip_a[i]
        best = up.copy()
        best[1:] = np.minimum(best[1:], pair)
        # Steps of theirs that are skipped after the best of the above: a running minimum.
        row = np.minimum.accumulate(best - gaps) + gaps
        moves[i + 1] = np.where(row < best - 1e-9, _LEFT, _UP)
        moves[i + 1, 1:][(moves[i + 1, 1:] == _UP) & (pair <= up[1:])] = _BOTH
    return _walked(moves)


_LEFT, _UP, _BOTH = 1, 2, 3


def _walked(moves: np.ndarray[tuple[int, int], np.dtype[np.int8]]) -> list[Pair]:
    i, j = moves.shape[0] - 1, moves.shape[1] - 1
    pairs: list[Pair] = []
    while i or j:
        move = moves[i, j]
        i, j = i - (move != _LEFT), j - (move != _UP)
        pairs.append((None if move == _LEFT else i, None if move == _UP else j))
    return pairs[::-1]


@frozen
class _Classes:
    """Steps sorted into those that are alike."""

    of: list[Features]
    which: np.ndarray[tuple[int], np.dtype[np.int64]]


def _classes(steps: Sequence[Features]) -> _Classes:
    found: dict[object, int] = {}
    alike: list[Features] = []
    which = []
    for one in steps:
        key = (one.kind, _frozen(one.own), _frozen(one.inherited))
        if key not in found:
            found[key] = len(alike)
            alike.append(one)
        which.append(found[key])
    return _Classes(alike, np.array(which, dtype=np.int64))


def _frozen(settings: Settings) -> tuple[tuple[str, object], ...]:
    return tuple(sorted(settings.items()))


def _found_elsewhere(pairs: list[Pair], ours: Side, theirs: Side) -> list[Pair]:
    """Pairs what is alone on both sides and of one kind, if a neighbour is paired with its own."""
    partner = dict(pair for pair in pairs if None not in pair)
    mine = [i for i, j in pairs if i is not None and j is None]
    yours = [j for i, j in pairs if j is not None and i is None]
    near_a, near_b = _neighbours(ours.trace), _neighbours(theirs.trace)
    new: dict[int, int] = {}
    changed = True
    while changed:
        changed = False
        for i in mine:
            options = [
                (cost(ours.seen[i], theirs.seen[j]), j)
                for j in yours
                if ours.seen[i].kind == theirs.seen[j].kind
                and any(partner.get(k) in near_b[j] for k in near_a[i])
            ]
            if i not in partner and options:
                _, j = min(options)
                partner[i] = new[i] = j
                yours.remove(j)
                changed = True
    taken = set(new.values())
    return [
        (i, new.get(i, j) if i is not None else j)
        for i, j in pairs
        if i is not None or j not in taken
    ]


def _neighbours(trace: Trace) -> list[set[int]]:
    """For each step those that it reads and those that read it, and their neighbours."""
    near: list[set[int]] = [set(step.inputs) for step in trace.steps]
    for i, step in enumerate(trace.steps):
        for j in step.inputs:
            near[j].add(i)
    return [found.union(*(near[j] for j in found)) for found in near]


Bits = Mapping[int, Mapping[int, int]]
"""For each join and each step that it reads the set of steps of that branch alone."""


def assigned(
    pairs: Sequence[tuple[int | None, int | None]],
    visits: tuple[Layout, Layout],
    parts: Sequence[Bits],
    seen: tuple[Sequence[Features], Sequence[Features]],
) -> Layout:
    """Their branches in the order of those of ours that they are most like, join by join."""
    mine, yours = visits
    found = dict(yours)
    for i, j in pairs:
        if i is None or j is None or i not in mine or j not in yours:
            continue
        one = [_contents(parts[0][i][k], seen[0]) for k in mine[i]]
        other = [_contents(parts[1][j][k], seen[1]) for k in yours[j]]
        if one != other:
            found[j] = _permuted(yours[j], one, other)
    return found


def _contents(bits: int, seen: Sequence[Features]) -> Counter[object]:
    """The layers of a branch, by what tells them apart and is not a constant."""
    found: Counter[object] = Counter()
    while bits:
        i = bits.bit_length() - 1
        bits ^= 1 << i
        own = seen[i].own
        found[seen[i].kind, own.get("kernel size"), own.get("channels"), own.get("stride")] += 1
    return found


def _permuted(
    branches: Sequence[int], one: Sequence[Counter[object]], other: Sequence[Counter[object]]
) -> list[int]:
    from scipy.optimize import linear_sum_assignment  # noqa: PLC0415  (a third of a second)

    costs = np.array([[((a - b) + (b - a)).total() for b in other] for a in one])
    _, columns = linear_sum_assignment(costs)
    left = [k for k in range(len(branches)) if k not in columns]
    return [branches[k] for k in (*columns, *left)]


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
