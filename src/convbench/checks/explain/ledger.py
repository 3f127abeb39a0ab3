"""The account of how two models differ. It has to close: entries add up to the totals exactly."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import frozen

from convbench.checks.explain.causes import with_causes
from convbench.checks.explain.connections import answered, ended, rewired
from convbench.checks.explain.differences import (
    Counts,
    Difference,
    Models,
    differences,
    held,
    total,
)
from convbench.checks.explain.features import LEARNED
from convbench.checks.explain.matching import Side, match, settled
from convbench.checks.explain.normal_form import normal
from convbench.frameworks.trace import Held, Trace

COUNTED = "statistics counted as parameters"
COUNTED_TOO = "frozen values counted as parameters"
UNUSED = "never used"
CONVENTIONS = (COUNTED, COUNTED_TOO)
"""Entries that are about how a framework counts, and not about the network."""


@frozen
class Entry:
    """One difference with its addresses in both models."""

    kind: str
    text: str
    ours: tuple[str, ...]
    theirs: tuple[str, ...]
    delta: Counts


@frozen
class Ledger:
    """Every difference of a model from the paper's network, and both totals."""

    entries: tuple[Entry, ...]
    ours: Counts
    theirs: Counts
    """Totals as the framework itself states them, with all that it prints as parameters."""

    @property
    def difference(self) -> Counts:
        """What there is to account for."""
        return self.theirs - self.ours

    @property
    def gap(self) -> Counts:
        """What the entries leave unaccounted for; nothing, if the ledger closes."""
        return self.difference - total(entry.delta for entry in self.entries)

    @property
    def closes(self) -> bool:
        """Whether the entries account for the difference of the totals exactly."""
        return not self.gap

    @property
    def same(self) -> bool:
        """Whether it is the same network; how a framework counts does not matter."""
        return self.closes and all(entry.kind in CONVENTIONS for entry in self.entries)


def ledger(ours: Trace, theirs: Trace) -> Ledger:
    """The account of a model against a description of ours."""
    mine, yours = normal(ours), normal(theirs)
    one, other = Side.of(mine.trace), Side.of(yours.trace)
    pairs = settled(match(one, other), one, other)
    found = [*differences(pairs, one, other), *rewired(pairs, one, other)]
    found += [*answered(pairs, one, other), *ended((mine.ends, yours.ends), one, other)]
    found = with_causes(found, Models(one, other, pairs))
    entries = [_entry(difference, one, other) for difference in found]
    entries += [*_unused(theirs), *_counted(theirs)]
    macs = sum(step.macs for step in theirs.steps) if theirs.macs is None else theirs.macs
    return Ledger(
        tuple(entries),
        _total(ours),
        Counts(theirs.printed, theirs.buffers, macs),
    )


def _total(ours: Trace) -> Counts:
    return Counts(ours.parameters, ours.buffers, ours.macs or 0)


def _entry(one: Difference, ours: Side, theirs: Side) -> Entry:
    return Entry(
        one.kind,
        one.text,
        _addresses(ours.trace, one.ours),
        _addresses(theirs.trace, one.theirs),
        one.delta,
    )


def _addresses(trace: Trace, positions: Iterable[int]) -> tuple[str, ...]:
    return tuple(trace.steps[i].address for i in positions)


def _unused(theirs: Trace) -> list[Entry]:
    """Arrays that the framework counts and nothing computes with, by layer."""
    layers: dict[str, list[str]] = {}
    for array in theirs.unused:
        layers.setdefault(array.path.replace("/", ".").rpartition(".")[0], []).append(array.path)
    return [
        Entry(UNUSED, "arrays that no step uses", (), (layer,), held(_of(theirs, paths)))
        for layer, paths in layers.items()
    ]


def _of(theirs: Trace, paths: Sequence[str]) -> list[Held]:
    return [array for array in theirs.unused if array.path in paths]


def _counted(theirs: Trace) -> list[Entry]:
    """What the framework prints as parameters beyond what is trained."""
    extra = theirs.printed - theirs.parameters
    if not extra:
        return []
    arrays = {t.path: t for owned in theirs.owned for t in owned} | {
        t.path: t for t in theirs.unused
    }
    kept = [t for t in arrays.values() if not t.trainable]
    only = not any(t.name in LEARNED for t in kept)
    text = f"{theirs.framework} prints {theirs.printed:,} parameters"
    return [Entry(COUNTED if only else COUNTED_TOO, text, (), (), Counts(extra))]
