"""A ledger in words: a table, JSON, and a paragraph that a person can paste into an issue."""

from __future__ import annotations

from collections.abc import Sequence
from shutil import get_terminal_size
from textwrap import fill
from typing import Any

from attrs import asdict, frozen

from convbench.base.text_tables import table
from convbench.base.units import count, signed
from convbench.checks.explain.differences import Counts, total
from convbench.checks.explain.ledger import CONVENTIONS, Entry, Ledger


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

    allowed: tuple[str, ...] = ()
    """Kinds of differences that do not matter to whoever asked."""

    @property
    def same(self) -> bool:
        """Whether it is proven to be the paper's network."""
        return self.ledger.same and not self.doubts

    @property
    def accepted(self) -> bool:
        """Whether it is proven to be the paper's network but for what is allowed."""
        return self.closes and not self.doubts and not self.besides(self.allowed)

    @property
    def closes(self) -> bool:
        """Whether the differences account for those of the totals exactly."""
        return self.ledger.closes

    def besides(self, allowed: Sequence[str]) -> tuple[Entry, ...]:
        """The differences in the network that are not of an allowed kind."""
        return tuple(e for e in self.ledger.entries if not _within(e, (*CONVENTIONS, *allowed)))

    def __str__(self) -> str:
        return self.text()

    def text(self, format_: str = "table") -> str:
        """Paragraph, ledger and notes, for a terminal or as Markdown."""
        width = min(WIDTH, get_terminal_size((WIDTH, 0)).columns)
        narrow = fill(self.paragraph, width, break_on_hyphens=False)
        parts = [self.paragraph if format_ == "markdown" else narrow]
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
        lines = [_row(entries, self.allowed) for entries in grouped(self.ledger.entries)]
        last = dict.fromkeys(TEXTS, "") | {"difference": "sum"}
        return [*lines, last | _numbers(total(e.delta for e in self.ledger.entries))]

    @property
    def paragraph(self) -> str:
        """The answer in one paragraph, with what is allowed after the rest."""
        ledger = self.ledger
        sentences = [f"{self._verdict()}: {_totals(ledger, self.framework)}."]
        network = [e for e in grouped(ledger.entries) if e[0].kind not in CONVENTIONS]
        network.sort(key=lambda entries: _within(entries[0], self.allowed))
        said = [_said(entries, self.allowed) for entries in network]
        if said:
            sentences.append(f"{'; '.join(said[:LONGEST])}.")
        if len(said) > LONGEST:
            more = len(said) - LONGEST
            are = "differences are" if more > 1 else "difference is"
            sentences.append(f"{more} more {are} in the ledger.")
        sentences += [_closing(ledger), *(f"{doubt}." for doubt in self.doubts)]
        first, *rest = sentences
        return " ".join([first, *(sentence[0].upper() + sentence[1:] for sentence in rest)])

    def _verdict(self) -> str:
        name, description = self.model, f"{self.architecture} as its paper describes it"
        if self.same:
            return f"{name} is {description}"
        if self.accepted:
            return f"{name} is {description}, but for what is allowed"
        if self.ledger.same:
            return f"{name} may be {self.architecture}, but that is not proven"
        return f"{name} is not {description}"

    def as_json(self) -> dict[str, Any]:
        """Plain values, every difference by itself."""
        ledger = self.ledger
        return {
            "model": self.model,
            "architecture": self.architecture,
            "framework": self.framework,
            "same": self.same,
            "accepted": self.accepted,
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
KINDS = (
    *("kernel size", "channels", "groups", "stride", "padding", "padding counted"),
    *("stride position", "bias added", "bias missing", "epsilon", "momentum", "dropout rate"),
    *("batch norm in place of bias", "bias in place of batch norm", "image", "inputs"),
    *(f"batch norm {how} {part}" for how in ("with", "without") for part in ("scale", "shift")),
    *("activation", "pooling", "normalization", "layer replaced", "layer missing", "layer extra"),
    *("auxiliary head added", "auxiliary head missing", "order of operations"),
    *("shared weights", "frozen", "never used", "stopped gradient"),
)
"""The kinds of differences that can be allowed, besides the constants of single layers."""
LONGEST = 6
"""How many differences the paragraph tells."""


def _within(entry: Entry, allowed: Sequence[str]) -> bool:
    """Whether every part of a difference is allowed; several layers are as good as one."""
    parts = entry.kind.replace("layers ", "layer ").split(" and ")
    return entry.kind in allowed or all(part in allowed for part in parts)


def _cut(cell: str) -> str:
    """A cell that leaves room for others on a terminal; Markdown and JSON have all of it."""
    return cell if len(cell) <= CELL else cell[: CELL - 1] + "…"


def grouped(entries: Sequence[Entry]) -> list[list[Entry]]:
    """Entries of one kind and one text together, in the order of the first of each."""
    groups: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        groups.setdefault((entry.kind, entry.text), []).append(entry)
    return list(groups.values())


def _row(entries: Sequence[Entry], allowed: Sequence[str]) -> dict[str, str]:
    first = entries[0]
    mark = " (allowed)" if _within(first, allowed) else ""
    more = f" and {count(len(entries) - 1)} more" if len(entries) > 1 else ""
    theirs, ours = _span(first.theirs), _span(first.ours)
    return {
        "difference": first.kind + mark,
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


def _totals(ledger: Ledger, framework: str) -> str:
    """The network's own totals, and what the framework prints where it counts otherwise."""
    counted = total(e.delta for e in ledger.entries if e.kind in CONVENTIONS)
    theirs, said = ledger.theirs - counted, []
    for name, one, other in (
        ("parameters", ledger.ours.parameters, theirs.parameters),
        ("buffers", ledger.ours.buffers, theirs.buffers),
        ("multiply-accumulates", ledger.ours.macs, theirs.macs),
    ):
        apart = "as the paper's"
        if one != other:
            more = f"{count(abs(other - one))} {'more' if other > one else 'fewer'}"
            apart = f"{more} than the paper's {count(one)}"
        said.append(f"{count(other)} {name} ({apart})")
    text = f"{said[0]}, {said[1]} and {said[2]}"
    if counted:
        printed = count(ledger.theirs.parameters)
        text += f"; {framework} prints {printed} parameters, with those that are not trained"
    return text


def _said(entries: Sequence[Entry], allowed: Sequence[str]) -> str:
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
    notes = [numbers] if numbers else []
    notes += ["allowed"] if _within(first, allowed) else []
    return f"{what}{at}" + (f" ({'; '.join(notes)})" if notes else "")


def _closing(ledger: Ledger) -> str:
    if ledger.closes:
        network = any(entry.kind not in CONVENTIONS for entry in ledger.entries)
        return "That accounts for all of it." if network else "Nothing differs."
    gap = ledger.gap
    return (
        f"This does not account for all of it: {signed(gap.parameters)} parameters, "
        f"{signed(gap.buffers)} buffers and {signed(gap.macs)} multiply-accumulates are missing."
    )
