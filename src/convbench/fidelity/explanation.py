"""A ledger in words: a table, JSON, and a paragraph that a person can paste into an issue."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import Any

from attrs import asdict, frozen

from convbench.fidelity.differences import Counts, total
from convbench.fidelity.ledger import CONVENTIONS, Entry, Ledger
from convbench.tables import table
from convbench.units import count, signed


@frozen
class Explanation:
    """Whether a model is the paper's network, and if not, where it differs."""

    model: str
    architecture: str
    framework: str
    ledger: Ledger
    notes: tuple[str, ...] = ()
    """What else a reader should know, in sentences."""
    doubts: tuple[str, ...] = ()
    """What could not be seen of the model, in sentences: with one of them nothing is proven."""

    @property
    def same(self) -> bool:
        """Whether it is proven to be the paper's network."""
        return self.ledger.same and not self.doubts

    @property
    def closes(self) -> bool:
        """Whether the differences account for those of the totals exactly."""
        return self.ledger.closes

    def besides(self, allowed: Sequence[str]) -> tuple[Entry, ...]:
        """The differences in the network that are not of an allowed kind."""
        return tuple(e for e in self.ledger.entries if e.kind not in (*CONVENTIONS, *allowed))

    def __str__(self) -> str:
        return self.text()

    def text(self, format_: str = "table") -> str:
        """Paragraph, ledger and notes, for a terminal or as Markdown."""
        paragraph = self.paragraph
        parts = [
            paragraph if format_ == "markdown" else fill(paragraph, WIDTH, break_on_hyphens=False)
        ]
        if self.ledger.entries:
            rows = self.rows()
            if format_ == "table":
                rows = [{k: _cut(v) for k, v in row.items()} for row in rows]
            parts.append(table(rows, format_, left=TEXTS))
        if self.notes or self.doubts:
            parts.append("\n".join(f"- {note}" for note in (*self.doubts, *self.notes)))
        return "\n\n".join(parts)

    def rows(self) -> list[dict[str, str]]:
        """The ledger line by line, equal differences of several layers as one, and its sum."""
        lines = [_row(entries) for entries in grouped(self.ledger.entries)]
        last = dict.fromkeys(TEXTS, "") | {"difference": "sum"}
        return [*lines, last | _numbers(total(e.delta for e in self.ledger.entries))]

    @property
    def paragraph(self) -> str:
        """The answer in one paragraph."""
        model, ledger = self.model, self.ledger
        if self.same:
            first = f"{model} is {self.architecture} as its paper describes it"
        elif ledger.same:
            first = f"{model} may be {self.architecture}, but that is not proven"
        else:
            first = f"{model} is not {self.architecture} as its paper describes it"
        sentences = [f"{first}: {_totals(ledger)}."]
        said = [_said(entries) for entries in grouped(ledger.entries)]
        if said:
            sentences.append(f"{'; '.join(said[:LONGEST])}.")
        if len(said) > LONGEST:
            more = len(said) - LONGEST
            are = "differences are" if more > 1 else "difference is"
            sentences.append(f"{more} more {are} in the ledger.")
        sentences += [_closing(ledger), *(f"{doubt}." for doubt in self.doubts)]
        return " ".join(
            sentence[0].upper() + sentence[1:] if i else sentence
            for i, sentence in enumerate(sentences)
        )

    def as_json(self) -> dict[str, Any]:
        """Plain values, every difference by itself."""
        ledger = self.ledger
        return {
            "model": self.model,
            "architecture": self.architecture,
            "framework": self.framework,
            "same": self.same,
            "closes": self.closes,
            "paper": asdict(ledger.ours),
            "found": asdict(ledger.theirs),
            "difference": asdict(ledger.difference),
            "gap": asdict(ledger.gap),
            "entries": [
                {
                    "kind": entry.kind,
                    "text": entry.text,
                    "paper": list(entry.ours),
                    "model": list(entry.theirs),
                    **asdict(entry.delta),
                }
                for entry in ledger.entries
            ],
            "notes": list(self.notes),
            "doubts": list(self.doubts),
            "paragraph": self.paragraph,
        }


TEXTS = ("difference", "what", "in the model", "in the paper's")
"""Columns of the table that are no numbers."""
CELL = 44
"""Characters of a cell on a terminal."""
WIDTH = 100
"""Columns of a paragraph on a terminal."""
LONGEST = 6
"""How many differences the paragraph tells."""


def _cut(cell: str) -> str:
    """A cell that leaves room for others on a terminal; Markdown and JSON have all of it."""
    return cell if len(cell) <= CELL else cell[: CELL - 1] + "…"


def grouped(entries: Sequence[Entry]) -> list[list[Entry]]:
    """Entries of one kind and one text together, in the order of the first of each."""
    groups: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        groups.setdefault((entry.kind, entry.text), []).append(entry)
    return list(groups.values())


def _row(entries: Sequence[Entry]) -> dict[str, str]:
    first = entries[0]
    more = f" and {count(len(entries) - 1)} more" if len(entries) > 1 else ""
    theirs, ours = _span(first.theirs), _span(first.ours)
    return {
        "difference": first.kind,
        "what": "" if first.text == first.kind else first.text,
        "in the model": theirs and theirs + more,
        "in the paper's": ours and ours + more,
        **_numbers(total(entry.delta for entry in entries)),
    }


def _span(addresses: Sequence[str]) -> str:
    if len(addresses) < 3:
        return " and ".join(addresses)
    return f"{addresses[0]} to {addresses[-1]}"


def _numbers(delta: Counts) -> dict[str, str]:
    return {
        "parameters": signed(delta.parameters),
        "buffers": signed(delta.buffers),
        "MACs": signed(delta.macs),
    }


def _totals(ledger: Ledger) -> str:
    said = []
    for name, ours, theirs in (
        ("parameters", ledger.ours.parameters, ledger.theirs.parameters),
        ("buffers", ledger.ours.buffers, ledger.theirs.buffers),
        ("multiply-accumulates", ledger.ours.macs, ledger.theirs.macs),
    ):
        apart = "as the paper's"
        if ours != theirs:
            more = f"{count(abs(theirs - ours))} {'more' if theirs > ours else 'fewer'}"
            apart = f"{more} than the paper's {count(ours)}"
        said.append(f"{count(theirs)} {name} ({apart})")
    return f"{said[0]}, {said[1]} and {said[2]}"


def _said(entries: Sequence[Entry]) -> str:
    first, delta = entries[0], total(entry.delta for entry in entries)
    what = first.kind if first.text == first.kind else f"{first.kind}: {first.text}"
    at = _span(first.theirs) or _span(first.ours)
    at = f" at {at}" if at else ""
    if len(entries) > 1:
        at = f" in {count(len(entries))} places, the first{at}"
    numbers = ", ".join(
        f"{signed(n)} {name}"
        for n, name in (
            (delta.parameters, "parameters"),
            (delta.buffers, "buffers"),
            (delta.macs, "multiply-accumulates"),
        )
        if n
    )
    return f"{what}{at}" + (f" ({numbers})" if numbers else "")


def _closing(ledger: Ledger) -> str:
    if ledger.closes:
        return "The ledger closes." if ledger.entries else "Nothing differs."
    gap = ledger.gap
    return (
        f"The ledger does not close: {signed(gap.parameters)} parameters, {signed(gap.buffers)} "
        f"buffers and {signed(gap.macs)} multiply-accumulates are unaccounted for."
    )
