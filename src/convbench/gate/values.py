"""What the gate asks, what it takes and what it says: frozen values that go to JSON as they are."""

from __future__ import annotations

from math import log
from statistics import median
from typing import Literal, TypeAlias

from attrs import field, frozen
from attrs.validators import and_, deep_iterable, ge, gt, le, min_len, optional

from convbench.base.units import Byte, Second
from convbench.measure.records import BYTES, COUNT, SECONDS, STEP, Environment

Role: TypeAlias = Literal["base", "head"]
ROLES: tuple[Role, Role] = ("base", "head")
Quantity: TypeAlias = Literal["step time", "first result", "peak memory"]
QUANTITIES: tuple[Quantity, ...] = ("step time", "first result", "peak memory")
Outcome: TypeAlias = Literal["worse", "not worse", "cannot tell"]


@frozen(kw_only=True)
class Sample:
    """What one fresh process gave."""

    rounds_s: tuple[Second, ...] = field(validator=deep_iterable(and_(*STEP), min_len(1)))
    """Seconds of one step in each round, in order."""
    first_result_s: Second | None = field(default=None, validator=optional([*SECONDS, gt(0.0)]))
    """Building, tracing, compiling and the first step."""
    memory_bytes: Byte | None = field(default=None, validator=optional(BYTES))
    """Its peak on the device, or on the host where that is the device."""

    def value(self, quantity: Quantity) -> float | None:
        """One number for each quantity; None where it is not known or not positive."""
        match quantity:
            case "step time":
                return median(self.rounds_s)
            case "first result":
                return self.first_result_s
            case "peak memory":
                return self.memory_bytes if (self.memory_bytes or 0) > 0 else None


@frozen(kw_only=True)
class Pair:
    """One fresh process of each side, side by side in time."""

    subject: str
    """What both did, as `Task.label` or a pytest node id says it."""
    number: int = field(validator=COUNT)
    """Of its subject, from 1."""
    base: Sample
    head: Sample
    first: Role = "base"
    """The side that was opened first, by chance."""
    taken_s: Second = field(default=0.0, validator=SECONDS)
    """Seconds that the pair took, with building both sides."""
    interleaved: bool = True
    """Whether the sides' rounds took turns, so that those of one number are neighbours in time."""

    def __attrs_post_init__(self) -> None:
        counts = [len(sample.rounds_s) for sample in (self.base, self.head)]
        if self.interleaved and counts[0] != counts[1]:
            raise ValueError(
                f"pair {self.number} of {self.subject}: the base has {counts[0]} rounds and the "
                f"head {counts[1]}, but rounds are compared with their neighbours"
            )

    def log_ratio(self, quantity: Quantity) -> float | None:
        """The logarithm of head over base, above 0 where the head is worse; None if unknown.

        For the step time the median over the rounds of both sides' ratio in each, where rounds took
        turns: what slows the machine for a while slows both, and leaves their ratio alone.
        """
        if quantity == "step time" and self.interleaved:
            turns = zip(self.base.rounds_s, self.head.rounds_s, strict=True)
            return median(log(head / base) for base, head in turns)
        base, head = self.base.value(quantity), self.head.value(quantity)
        return None if base is None or head is None else log(head / base)


@frozen(kw_only=True)
class Question:
    """Whether the head is worse in one quantity of one subject, by more than is tolerated."""

    subject: str
    quantity: Quantity
    tolerance: float = field(validator=[gt(0.0), le(10.0)])
    """The share by which the head may be worse."""


@frozen(kw_only=True)
class Verdict:
    """The answer to a question, from all of its pairs."""

    question: Question
    outcome: Outcome
    pairs: int = field(validator=ge(0))
    ratio: float | None = None
    """Head over base, at its most likely; None without a pair."""
    low: float | None = None
    """The ratio is above this but for an error of `alpha`; None where nothing is known."""
    high: float | None = None
    """The ratio is below this but for an error of `beta`, of `alpha` where it is better; None where
    nothing is known."""
    alpha: float = field(validator=[gt(0.0), le(1.0)])
    """The error of this question that `worse` may be, whenever it is said."""
    beta: float = field(validator=[gt(0.0), le(1.0)])
    """The error of this question that `not worse` may be, whenever it is said."""
    more_pairs: int | None = None
    """About how many pairs more would decide it, if things stay as they are."""
    better: bool = False
    """Whether the head is shown to be better by more than the tolerance, but for `alpha`."""


@frozen(kw_only=True)
class SideFacts:
    """One side, as a report names it."""

    role: Role
    given: str
    """As the command line has it: a revision, an interpreter, `mode=compiled`."""
    meaning: str
    """What that is, in a few words: `revision 3f2a1b0`, `CPython 3.11.7 at .tox/old/bin/python`."""
    environment: Environment | None = None
    """The machine and the software of this side's interpreter; None where it was not asked."""


@frozen(kw_only=True)
class Difference:
    """Something exact that is not the same on both sides, and is wrong without any statistics."""

    subject: str
    what: str
    """`parameters`, `multiply-accumulates`, `output of conv2_1`, `function`."""
    base: str
    head: str
    allowed: bool = False
    """Whether it is shown only, because the sides were meant to differ in it."""


@frozen(kw_only=True)
class Broken:
    """A subject that could not be compared, and why."""

    subject: str
    reason: str
    role: Role | None = None
    """The side that failed; None if it is both, or neither."""


@frozen(kw_only=True)
class GateResult:
    """All that one run of the gate has found; every output is a pure function of it."""

    base: SideFacts
    head: SideFacts
    verdicts: tuple[Verdict, ...]
    pairs: tuple[Pair, ...]
    differences: tuple[Difference, ...] = ()
    broken: tuple[Broken, ...] = ()
    alpha: float
    """The error of `worse` over all questions together."""
    beta: float
    """The error of `not worse`, of each question."""
    seed: int
    """Of the order and the roles."""
    budget_s: Second = field(validator=SECONDS)
    spent_s: Second = field(validator=SECONDS)
    command: str
    """What repeats it."""
    notes: tuple[str, ...] = ()
    """What a reader must know, in sentences: other work on the machine, an interrupt."""
    interrupted: bool = False
    """Whether somebody ended it before all was decided or the budget was spent."""

    @property
    def worse(self) -> tuple[Verdict, ...]:
        """The questions that were answered with `worse`."""
        return tuple(v for v in self.verdicts if v.outcome == "worse")

    @property
    def status(self) -> int:
        """The exit status: 0 nothing is worse, 1 something is, 2 the gate could not do its work."""
        if self.worse or any(not d.allowed for d in self.differences):
            return 1
        return 2 if self.interrupted or self.broken or not self.measured else 0

    @property
    def measured(self) -> bool:
        """Whether any question has a pair."""
        return any(v.pairs for v in self.verdicts)
