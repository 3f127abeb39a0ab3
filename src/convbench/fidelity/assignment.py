"""Which branch of a join is which of its partner: the assignment that differs least."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from convbench.fidelity.features import Features
from convbench.fidelity.order import Layout

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
