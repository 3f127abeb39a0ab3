"""What other tools' rules would have said of the same pairs: re-implementations, not the tools.

Each rule looks at as many processes as its tool would have started, the first ones. It has an
easier life here than in practice: the rounds of both sides are interleaved, where the tools compare
with what was measured before (`stored` gives pairs of that kind).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from math import log
from statistics import mean, median
from typing import Any, TypeAlias

import numpy as np
from attrs import evolve
from scipy import stats

from convbench.base.units import Second
from convbench.gate.values import Pair

Rule: TypeAlias = Callable[[Sequence[Pair]], bool]
"""Whether the head is slower, from one pair or more."""

Array: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]

ASV_PROCESSES = 2
PYPERF_PROCESSES, PYPERF_VALUES = 20, 3
PAIRED_PROCESSES = 10
RESAMPLES = 2000


def _sides(pairs: Sequence[Pair], processes: int = 1) -> tuple[list[Second], list[Second]]:
    """All rounds of the first processes of the base, and of the head."""
    first = pairs[:processes]
    base = [taken for pair in first for taken in pair.base.rounds_s]
    return base, [taken for pair in first for taken in pair.head.rounds_s]


def threshold(summary: Callable[[Sequence[Second]], float], share: float) -> Rule:
    """One number of one process each, and a threshold for its growth."""

    def says_slower(pairs: Sequence[Pair]) -> bool:
        base, head = _sides(pairs)
        return summary(head) > summary(base) * (1 + share)

    return says_slower


def _u_test(pairs: Sequence[Pair], processes: int, error: float, factor: float) -> bool:
    """Mann and Whitney's test, two-sided, of all rounds as if they were independent."""
    base, head = _sides(pairs, processes)
    p = float(stats.mannwhitneyu(base, head, alternative="two-sided").pvalue)
    return p < error and median(head) > factor * median(base)


def google_benchmark(pairs: Sequence[Pair]) -> bool:
    """`compare.py` with repetitions: the U test at 0.05."""
    return _u_test(pairs, 1, 0.05, 1.0)


def asv(pairs: Sequence[Pair]) -> bool:
    """`asv continuous`: the U test at 0.002 over two processes, and a factor of 1.1."""
    return _u_test(pairs, ASV_PROCESSES, 0.002, 1.1)


def criterion(pairs: Sequence[Pair]) -> bool:
    """A bootstrapped t test at 0.05, and an interval of the means' ratio above 1% of noise."""
    base, head = (np.asarray(side) for side in _sides(pairs))
    chance = np.random.default_rng(0)
    drawn = chance.choice(np.concatenate([base, head]), (2, RESAMPLES, len(base)))
    by_chance = float(np.mean(_welch(*drawn) >= _welch(base, head)))
    means = [chance.choice(side, (RESAMPLES, len(side))).mean(axis=1) for side in (base, head)]
    return by_chance < 0.05 and float(np.quantile(means[1] / means[0], 0.025)) > 1.01


def _welch(one: Array, other: Array) -> Array:
    """The size of Welch's t along the last axis; infinite for constants that differ."""
    squares = sum(np.var(side, axis=-1) / max(1, side.shape[-1] - 1) for side in (one, other))
    with np.errstate(divide="ignore", invalid="ignore"):
        size: Array = np.abs(other.mean(axis=-1) - one.mean(axis=-1)) / np.sqrt(squares)
    return size


def pyperf(pairs: Sequence[Pair]) -> bool:
    """`compare_to`: Student's t at 0.05, two-sided, over three values of each of 20 processes."""
    first = pairs[:PYPERF_PROCESSES]
    base = [taken for pair in first for taken in pair.base.rounds_s[:PYPERF_VALUES]]
    head = [taken for pair in first for taken in pair.head.rounds_s[:PYPERF_VALUES]]
    return _p_value(stats.ttest_ind, base, head) < 0.05 and mean(head) > mean(base)


def paired_t(pairs: Sequence[Pair]) -> bool:
    """What a careful user would do by hand: ten pairs, log ratios of medians, t at 0.01, once."""
    first = pairs[:PAIRED_PROCESSES]
    logs = [log(median(pair.head.rounds_s) / median(pair.base.rounds_s)) for pair in first]
    return _p_value(stats.ttest_1samp, logs, 0.0, alternative="greater") < 0.01


def _p_value(test: Callable[..., Any], *values: object, **options: object) -> float:
    """What a test of scipy says; not a number, and so never small, where it cannot say."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of constant and of single values
        return float(test(*values, **options).pvalue)


RULES: Mapping[str, Rule] = {
    "pytest-benchmark mean:5%": threshold(mean, 0.05),
    "pytest-benchmark min:5%": threshold(min, 0.05),
    "TorchBench 7%": threshold(median, 0.07),
    "google/benchmark U test": google_benchmark,
    "asv": asv,
    "criterion": criterion,
    "pyperf": pyperf,
    "paired t of ten": paired_t,
}
"""Rules by the names that reports give them; True says that the head is slower."""


def stored(pairs: Sequence[Pair]) -> list[Pair]:
    """As if the base had been measured before: its processes are those of the earlier half."""
    half = len(pairs) // 2
    found = []
    for before, now in zip(pairs[:half], pairs[len(pairs) - half :], strict=True):
        rounds = min(len(before.base.rounds_s), len(now.head.rounds_s))
        base = evolve(before.base, rounds_s=before.base.rounds_s[:rounds])
        head = evolve(now.head, rounds_s=now.head.rounds_s[:rounds])
        found.append(evolve(now, base=base, head=head))
    return found
