"""What a comparison with a stored run says on a terminal: the worst first, and what it is worth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from convbench.gate.values import GateResult, Verdict

MOST = 20
"""Lines of one kind; the others are counted."""


def alarms(result: GateResult) -> Iterator[str]:
    """A sentence for everything that differs, is worse, or could not be compared."""
    different = [d for d in result.differences if not d.allowed]
    yield from _some([f"DIFFERS: {d.subject}: {d.what} {d.base}, now {d.head}" for d in different])
    yield from _some([f"WORSE: {_worse(v)}" for v in result.worse])
    yield from _some([f"NOT COMPARED: {b.subject}: {b.reason}" for b in result.broken])
    if not any(v.pairs for v in result.verdicts):
        yield "NOT COMPARED: no time and no memory"


def remarks(result: GateResult) -> Iterator[str]:
    """What is open, what is better, how many questions there were, and what a reader must know."""
    judged = [v for v in result.verdicts if v.pairs]
    yield from _some([f"cannot tell: {_open(v)}" for v in judged if v.outcome == "cannot tell"])
    yield from _some([f"better: {_of(v)}" for v in judged if v.better])
    counts = Counter(v.outcome for v in result.verdicts)
    said = ", ".join(f"{number} {outcome}" for outcome, number in counts.items()) or "nothing"
    yield f"{result.head.given} against {result.base.given} ({result.base.meaning}): {said}"
    yield from result.notes


def _of(verdict: Verdict) -> str:
    question = verdict.question
    return f"{question.subject}, {question.quantity}: {verdict.ratio or 1:.3f} times the baseline's"


def _worse(verdict: Verdict) -> str:
    tolerated = 1 + verdict.question.tolerance
    return f"{_of(verdict)}, at least {verdict.low or 0:.3f} times; tolerated is {tolerated:.3g}"


def _open(verdict: Verdict) -> str:
    return f"{_of(verdict)}; up to {verdict.high or 0:.3f} times would not have been seen"


def _some(lines: Sequence[str]) -> Iterator[str]:
    yield from lines[:MOST]
    if len(lines) > MOST:
        yield f"and {len(lines) - MOST} more like these"
