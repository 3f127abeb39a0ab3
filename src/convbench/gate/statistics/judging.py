"""From the log ratios of pairs to a verdict, by the test in `betting`."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, exp, log, log1p

import numpy as np

from convbench.gate.statistics.betting import Array, log_wealth, reached
from convbench.gate.values import Outcome, Question, Verdict

ALPHA = 0.01
"""The chance that a run in which nothing is worse than is tolerated says `worse` of anything."""
BETA = 0.05
"""The chance that a question whose head is worse by the tolerance or more gets `not worse`."""
FINE = 1e-4
"""How finely the ends of an interval are searched, in log ratios."""
FAR = 10.0
"""Farther than this from the centre nothing is searched, in log ratios."""


def level(questions: int, alpha: float = ALPHA) -> float:
    """What each of so many questions may err, that all together err no more than `alpha`.

    Bonferroni's inequality, which holds however the questions depend on each other.
    """
    return alpha / max(1, questions)


def judge(
    question: Question, log_ratios: Sequence[float], alpha: float, beta: float = BETA
) -> Verdict:
    """The verdict on a question, as it stands after these pairs; it may be asked after each."""
    if not len(log_ratios):
        return Verdict(question=question, outcome="cannot tell", pairs=0, alpha=alpha, beta=beta)
    bound = log1p(question.tolerance)
    outcome = decision(log_ratios, bound, alpha, beta)
    better = reached(log_ratios, -bound, -1) >= -log(alpha)
    low = limit(log_ratios, bound, alpha, 1)
    high = limit(log_ratios, -bound if better else bound, alpha if better else beta, -1)
    return Verdict(
        question=question,
        outcome=outcome,
        pairs=len(log_ratios),
        ratio=exp(centre(log_ratios)),
        low=None if low is None else exp(low),
        high=None if high is None else exp(high),
        alpha=alpha,
        beta=beta,
        more_pairs=_more(log_ratios, bound, alpha, beta) if outcome == "cannot tell" else None,
        better=better,
    )


def decision(log_ratios: Sequence[float], bound: float, alpha: float, beta: float) -> Outcome:
    """What these pairs say of a ratio of the tolerance's `bound`."""
    if reached(log_ratios, bound, 1) >= -log(alpha):
        return "worse"
    return "not worse" if reached(log_ratios, bound, -1) >= -log(beta) else "cannot tell"


def first_decision(
    log_ratios: Sequence[float] | Array, tolerance: float, alpha: float, beta: float = BETA
) -> tuple[Outcome, int]:
    """What was decided first, and after how many pairs; all of them where nothing was.

    The same as asking for a verdict after each pair, but sooner done.
    """
    bound = log1p(tolerance)
    worse = log_wealth(log_ratios, bound, 1) >= -log(alpha)
    decided = worse | (log_wealth(log_ratios, bound, -1) >= -log(beta))
    if not decided.any():
        return "cannot tell", len(log_ratios)
    first = int(decided.argmax())
    return "worse" if worse[first] else "not worse", first + 1


def centre(log_ratios: Sequence[float]) -> float:
    """The centre of symmetry: the median of all means of two (Hodges and Lehmann 1963)."""
    values = np.asarray(log_ratios)
    return float(np.median((values[:, None] + values)[np.triu_indices(len(values))] / 2))


def limit(log_ratios: Sequence[float], bound: float, error: float, direction: int) -> float | None:
    """The log ratio that the truth is above (`direction` 1) or below (-1), but for an error.

    The hypothesis that is just not refused, by bisection from the centre outwards; None where even
    the farthest is not refused. Begins at the tolerance's `bound`, that the answer lies on the side
    of it that the verdict says.
    """
    inner = centre(log_ratios)
    outer = inner - direction * FAR

    def refused(null: float) -> bool:
        return reached(log_ratios, null, direction) >= -log(error)

    if refused(bound):
        outer = bound
        if direction * (bound - inner) >= 0:
            return bound  # shown earlier, by pairs that those since then speak against
    elif direction * (inner - bound) > 0:
        inner = bound
    if not refused(outer):
        return None
    while abs(outer - inner) > FINE:
        middle = (inner + outer) / 2
        inner, outer = (inner, middle) if refused(middle) else (middle, outer)
    return outer


def _more(log_ratios: Sequence[float], bound: float, alpha: float, beta: float) -> int | None:
    """About how many pairs more until one of both is shown, at the rate of growth so far."""
    found = []
    for direction, error in ((1, alpha), (-1, beta)):
        now = float(log_wealth(log_ratios, bound, direction)[-1])
        if now > 0:
            found.append(ceil((-log(error) - now) / (now / len(log_ratios))))
    return max(1, min(found)) if found else None
