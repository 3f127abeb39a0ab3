"""Operating curves: how often the gate and other rules say what, on data whose truth is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import log1p
from typing import Protocol

import numpy as np
from attrs import evolve, frozen

from convbench.gate.self_check.tallies import Rate
from convbench.gate.statistics.betting import Array
from convbench.gate.statistics.judging import first_decision
from convbench.gate.values import QUANTITIES, Outcome, Pair, Quantity, Sample
from operating.simulation import Machine, log_ratios, pairs_of, rounds

OTHERS: Mapping[Quantity, float] = {"first result": 0.05, "peak memory": 0.005}
"""How log ratios spread of what is not simulated round by round, as it was recorded."""
TAILS = 5
"""Degrees of freedom of Student's t, whose tails are as heavy as those of log ratios."""


class Source(Protocol):
    """Where pairs come from, one subject's."""

    def pairs(self, count: int, slowdown: float, chance: np.random.Generator) -> list[Pair]:
        """Pairs whose head is slower by a share in each step."""

    def log_ratios(
        self, quantity: Quantity, count: int, slowdown: float, chance: np.random.Generator
    ) -> Array:
        """Of pairs whose head is worse by a share in each step, and in nothing else."""


@frozen
class Simulated:
    """Pairs of a simulated machine."""

    machine: Machine

    def pairs(self, count: int, slowdown: float, chance: np.random.Generator) -> list[Pair]:
        """New pairs of the machine."""
        return pairs_of(self.machine, rounds(self.machine, count, slowdown, chance))

    def log_ratios(
        self, quantity: Quantity, count: int, slowdown: float, chance: np.random.Generator
    ) -> Array:
        """New ones of the machine; other quantities spread as they usually do."""
        if quantity == "step time":
            return log_ratios(rounds(self.machine, count, slowdown, chance))
        return tailed(OTHERS[quantity], count, chance)


@frozen
class Recorded:
    """Real pairs of equal sides, drawn again and again, their sides swapped by chance."""

    kept: Sequence[Pair]

    def pairs(self, count: int, slowdown: float, chance: np.random.Generator) -> list[Pair]:
        """Drawn with replacement; the rounds of the head are made slower."""
        found = []
        for number in range(1, count + 1):
            pair = self.kept[int(chance.integers(len(self.kept)))]
            base, head = (pair.base, pair.head)[:: chance.choice((-1, 1))]
            slower = Sample(rounds_s=tuple(taken * (1 + slowdown) for taken in head.rounds_s))
            found.append(evolve(pair, number=number, base=base, head=slower))
        return found

    def log_ratios(
        self, quantity: Quantity, count: int, slowdown: float, chance: np.random.Generator
    ) -> Array:
        """Drawn with replacement, their signs by chance."""
        known = np.array([pair.log_ratio(quantity) for pair in self.kept], dtype=float)
        drawn: Array = chance.choice(known, count) * chance.choice((-1.0, 1.0), count)
        return drawn + (log1p(slowdown) if quantity == "step time" else 0.0)


def tailed(spread: float, count: int, chance: np.random.Generator) -> Array:
    """Log ratios of a standard deviation of `spread`, with heavy tails."""
    drawn: Array = spread * chance.standard_t(TAILS, count) * np.sqrt((TAILS - 2) / TAILS)
    return drawn


@frozen(kw_only=True)
class Gate:
    """A gate with its tolerance, its errors and the most pairs of a subject."""

    tolerance: float
    alpha: float
    """Of each question."""
    most: int

    def failing(
        self, subjects: Sequence[Source], slowdown: float, runs: int, chance: np.random.Generator
    ) -> Rate:
        """Runs over these subjects, three questions each, of which any says `worse`."""
        failed = 0
        for _ in range(runs):
            asked = ((subject, quantity) for subject in subjects for quantity in QUANTITIES)
            failed += any(
                self.decide(s.log_ratios(q, self.most, slowdown, chance))[0] == "worse"
                for s, q in asked
            )
        return Rate(failed, runs)

    def decide(self, log_ratios: Array) -> tuple[Outcome, int]:
        """The first decision within the most pairs."""
        return first_decision(log_ratios[: self.most], self.tolerance, self.alpha)


def failing(
    rules: Mapping[str, Callable[[Sequence[Pair]], bool]],
    subjects: Sequence[Source],
    slowdown: float,
    runs: int,
    chance: np.random.Generator,
    *,
    seen: Callable[[list[Pair]], Sequence[Pair]] = list,
    count: int = 20,
) -> dict[str, Rate]:
    """Runs over these subjects of which any is called slower, by each rule, on the same pairs."""
    failed = dict.fromkeys(rules, 0)
    for _ in range(runs):
        taken = [seen(subject.pairs(count, slowdown, chance)) for subject in subjects]
        for name, rule in rules.items():
            failed[name] += any(rule(pairs) for pairs in taken)
    return {name: Rate(count, runs) for name, count in failed.items()}
