"""What a comparison with a stored run says on a terminal: the worst first, and what it is worth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import ROUND_CEILING

from convbench.gate.outputs import words
from convbench.gate.values import GateResult, Verdict

MOST = 20
"""Lines of one kind; the others are counted."""


def alarms(result: GateResult) -> Iterator[str]:
    """A sentence for everything that differs, is worse, or could not be compared."""
    different = [d for d in result.differences if not d.allowed]
    yield from _some("differs", [words.difference(d) for d in different])
    yield from _some("worse", [_sentence(v) for v in result.worse])
    yield from _some("not compared", [words.broken(b) for b in result.broken])
    if not any(v.pairs for v in result.verdicts):
        yield "not compared: no time and no memory"


def remarks(result: GateResult) -> Iterator[str]:
    """What is open, what is better, how many questions there were, and what a reader must know."""
    judged = [v for v in result.verdicts if v.pairs]
    yield from _some("cannot tell", [_open(v) for v in judged if v.outcome == "cannot tell"])
    yield from _some("better", [_sentence(v) for v in judged if v.better])
    counts = Counter(v.outcome for v in result.verdicts)
    said = ", ".join(f"{number} {outcome}" for outcome, number in counts.items()) or "nothing"
    yield f"{words.side(result.head)} against {words.side(result.base)}: {said}"
    yield from result.notes


def _sentence(verdict: Verdict) -> str:
    return f"{words.plain(verdict.question.subject)}: {words.sentence(verdict)}"


def _open(verdict: Verdict) -> str:
    question = verdict.question
    most = words.percent(max(0.0, (verdict.high or 1.0) - 1), ROUND_CEILING)
    change = words.change(verdict.ratio or 1.0)
    return (
        f"{words.plain(question.subject)}: {question.quantity} {change}; "
        f"{words.WORDING[question.quantity].growth} below {most} could have been missed"
    )


def _some(kind: str, sentences: Sequence[str]) -> Iterator[str]:
    yield from (f"{kind}: {sentence}" for sentence in sentences[:MOST])
    if len(sentences) > MOST:
        yield f"{kind}: {len(sentences) - MOST} more"
