"""The loop of the gate: pairs for every subject that is in doubt, until all are decided.

It knows neither processes nor statistics of its own: a subject is a callable that takes one pair.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from time import monotonic
from typing import TypeAlias

from attrs import define, field

from convbench.base.errors import ConvbenchError
from convbench.base.units import Second
from convbench.gate.statistics.judging import BETA, judge
from convbench.gate.values import Broken, Pair, Question, Verdict

TakePair: TypeAlias = Callable[[int], Pair]
"""Takes the pair of a number; raises ConvbenchError where a side fails."""


@define
class Loop:
    """One run over all subjects, in blocks of random order: one pair of each that is in doubt.

    What slows the machine for a while meets all subjects alike, and pairs go where doubt is.
    """

    subjects: Mapping[str, TakePair]
    questions: Sequence[Question]
    alpha: float
    """Of each question."""
    budget_s: Second
    chance: Random
    now: Callable[[], Second] = monotonic
    told: Callable[[Loop], None] = lambda _: None
    """Called before and after each pair, and after each failure: never beside what is timed."""
    pairs: list[Pair] = field(factory=list)
    broken: list[Broken] = field(factory=list)
    verdicts: dict[Question, Verdict] = field(factory=dict)
    began: Second = 0.0
    running: str = ""
    """The subject whose pair is being taken."""

    def run(self) -> None:
        """Takes pairs until everything is decided or the budget is spent."""
        self.began = self.now()
        for question in self.questions:
            self._judge(question)
        while self.left_s > 0 and (block := self.next_block):
            for subject in self.chance.sample(block, len(block)):
                if self.left_s <= 0:
                    return
                self._one(subject)

    @property
    def left_s(self) -> Second:
        """What is left of the budget."""
        return self.budget_s - (self.now() - self.began)

    @property
    def doubtful(self) -> list[str]:
        """The subjects of which something is not decided yet, and that can be measured."""
        failed = {broken.subject for broken in self.broken}
        open_ = {q.subject for q, v in self.verdicts.items() if v.outcome == "cannot tell"}
        return [name for name in self.subjects if name in open_ and name not in failed]

    @property
    def next_block(self) -> list[str]:
        """Who gets the next pairs: those whose step time is in doubt, and only then the rest.

        One process gives many rounds but one first result, whose doubts would take all of a budget.
        """
        first = {
            q.subject
            for q, v in self.verdicts.items()
            if v.outcome == "cannot tell" and q.quantity == "step time"
        }
        doubtful = self.doubtful
        return [name for name in doubtful if name in first] or doubtful

    def _of(self, subject: str) -> list[Question]:
        return [question for question in self.questions if question.subject == subject]

    def _one(self, subject: str) -> None:
        self.running = subject
        self.told(self)
        number = 1 + sum(pair.subject == subject for pair in self.pairs)
        try:
            self.pairs.append(self.subjects[subject](number))
        except ConvbenchError as error:
            self.broken.append(Broken(subject=subject, reason=str(error)))
        for question in self._of(subject):
            self._judge(question)
        self.running = ""
        self.told(self)

    def _judge(self, question: Question) -> None:
        pairs = (pair for pair in self.pairs if pair.subject == question.subject)
        ratios = [pair.log_ratio(question.quantity) for pair in pairs]
        known = [ratio for ratio in ratios if ratio is not None]
        self.verdicts[question] = judge(question, known, self.alpha, BETA)
