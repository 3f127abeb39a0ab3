"""Real pairs, kept to try the statistics on: the same network on both sides.

LeNet-5 and ResNet-18, forward, batch 1, in PyTorch and Keras, on two cores of a shared virtual
machine while others used it. `gate_pairs.jsonl` has the pairs whose templates were drawn anew each
time, rounded to four digits; `gate_fixed.json` the log ratios of step times of pairs whose base
always came from the same of two equal templates.
"""

from __future__ import annotations

from functools import cache

from convbench.gate.values import Pair
from convbench.measure import records
from tests.conftest import ROOT

FILE = ROOT / "tests" / "recorded" / "gate_pairs.jsonl"


@cache
def recorded() -> dict[str, list[Pair]]:
    """The pairs of each subject, in order."""
    found: dict[str, list[Pair]] = {}
    for number, line in enumerate(FILE.read_bytes().splitlines(), start=1):
        where = f"{FILE.name}, line {number}"
        pair = records.structure(records.load(line, where), Pair, where)
        found.setdefault(pair.subject, []).append(pair)
    return found
