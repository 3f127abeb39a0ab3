"""The gate measures itself: how often it says `worse` of one thing against itself, on this machine.

Or of one thing against itself with real work added, to see how often that is found. Every run is a
whole run of the gate; the usual rules judge the very same data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import TypeAlias

from attrs import frozen

from convbench.base.units import Second
from convbench.gate.statistics.judging import first_decision
from convbench.gate.values import GateResult, Pair, Verdict

Rule: TypeAlias = Callable[[Sequence[Pair]], bool]
"""Whether a rule says `slower` of the pairs of one subject."""

OURS = "this gate"


@frozen
class Rate:
    """How often something happened, with the 95% interval of its probability."""

    count: int
    of: int

    @property
    def share(self) -> float:
        """How often it did."""
        return self.count / self.of

    @property
    def interval(self) -> tuple[float, float]:
        """The exact interval (Clopper and Pearson 1934)."""
        from scipy.stats import binomtest  # noqa: PLC0415  (takes a second, only here)

        found = binomtest(self.count, self.of).proportion_ci(method="exact")
        return float(found.low), float(found.high)


@frozen
class Tally:
    """What one rule said of all runs."""

    rule: str
    runs: Rate
    """Runs in which it said `slower` of anything."""
    subjects: Rate
    """Subjects of all runs of which it said so."""


@frozen
class Of:
    """What the gate said of one subject over all runs."""

    subject: str
    worse: Rate
    not_worse: Rate
    ratio: float
    """The median of what the runs found: with work added, what that work came to."""
    pairs: float
    """The median of pairs until its step time was decided, or the run was over."""
    seconds: Second
    """The median of seconds that those took."""


def tallies(results: Sequence[GateResult], rules: Mapping[str, Rule]) -> list[Tally]:
    """How often the gate and each of the rules said `slower` of a step time."""
    said: dict[str, list[list[bool]]] = {OURS: [_ours(result) for result in results]}
    for name, rule in rules.items():
        said[name] = [[rule(pairs) for pairs in _by_subject(result).values()] for result in results]
    return [
        Tally(
            rule=name,
            runs=Rate(sum(any(run) for run in runs), len(runs)),
            subjects=Rate(sum(map(sum, runs)), sum(map(len, runs))),
        )
        for name, runs in said.items()
    ]


def subjects(results: Sequence[GateResult]) -> list[Of]:
    """What the gate said of each subject's step time."""
    found: dict[str, list[tuple[Verdict, int, Second]]] = {}
    for result in results:
        by_subject = _by_subject(result)
        for verdict in _step_times(result):
            pairs = by_subject.get(verdict.question.subject, [])
            ratios = [r for pair in pairs if (r := pair.log_ratio("step time")) is not None]
            tolerance = verdict.question.tolerance
            _, after = first_decision(ratios, tolerance, verdict.alpha, verdict.beta)
            seconds = sum(pair.taken_s for pair in pairs[:after])
            found.setdefault(verdict.question.subject, []).append((verdict, after, seconds))
    return [_of(name, said) for name, said in found.items()]


def _of(name: str, said: Sequence[tuple[Verdict, int, Second]]) -> Of:
    outcomes = [verdict.outcome for verdict, _, _ in said]
    return Of(
        subject=name,
        worse=Rate(outcomes.count("worse"), len(said)),
        not_worse=Rate(outcomes.count("not worse"), len(said)),
        ratio=median(verdict.ratio or 1.0 for verdict, _, _ in said),
        pairs=median(after for _, after, _ in said),
        seconds=median(seconds for _, _, seconds in said),
    )


def any_worse(results: Sequence[GateResult]) -> Rate:
    """Runs that said `worse` of any quantity, memory and the first result too."""
    return Rate(sum(bool(result.worse) for result in results), len(results))


def _ours(result: GateResult) -> list[bool]:
    return [verdict.outcome == "worse" for verdict in _step_times(result) if verdict.pairs]


def _step_times(result: GateResult) -> list[Verdict]:
    return [v for v in result.verdicts if v.question.quantity == "step time"]


def _by_subject(result: GateResult) -> dict[str, list[Pair]]:
    found: dict[str, list[Pair]] = {}
    for pair in result.pairs:
        found.setdefault(pair.subject, []).append(pair)
    return found
