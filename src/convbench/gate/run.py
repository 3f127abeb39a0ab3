"""One run of the gate: proves both sides, takes pairs until all is decided, and sums up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from random import Random
from time import monotonic

from attrs import define, evolve, field, frozen

from convbench.base.units import Second
from convbench.gate import exact
from convbench.gate.loop import Loop, TakePair
from convbench.gate.pairs import WARMUP, Request, Start, Subject, Templates
from convbench.gate.sides.sides import Side
from convbench.gate.statistics.judging import ALPHA, BETA, level
from convbench.gate.values import (
    ROLES,
    Broken,
    Difference,
    GateResult,
    Quantity,
    Question,
    Role,
    SideFacts,
    Verdict,
)
from convbench.measure.examine import Settings
from convbench.measure.records import Task
from convbench.measure.worker import messages
from convbench.measure.worker.messages import OwnModel


@frozen(kw_only=True)
class Plan:
    """What one run is to compare, and how long it may take."""

    subjects: tuple[Subject, ...]
    tolerances: Mapping[Quantity, float]
    budget_s: Second
    seed: int
    tables: str
    command: str
    alpha: float = ALPHA
    extra: float = 0.0
    """The share of its time by which each step of the head is longer, to see if that is found."""
    own: OwnModel | None = None
    """A model of the user's own that every task times, instead of a described network."""
    settings: Settings | None = None
    """How to compare the function of both sides; None to leave that out."""
    notes: tuple[str, ...] = ()
    """What a reader must know of what was chosen, in sentences."""
    tests: Mapping[str, TakePair] = field(factory=dict)
    """Subjects that take their pairs themselves: tests of the user's own suite."""

    @property
    def questions(self) -> tuple[Question, ...]:
        """What is asked, of tests their step time alone."""
        asked = [q for subject in self.subjects for q in subject.questions(self.tolerances)]
        tolerance = self.tolerances["step time"]
        asked += [
            Question(subject=name, quantity="step time", tolerance=tolerance) for name in self.tests
        ]
        return tuple(asked)


@define
class Gate:
    """A run that goes on; `result` may be asked for at any time."""

    plan: Plan
    sides: Mapping[Role, Side]
    facts: Mapping[Role, SideFacts]
    start: Start
    show: Callable[[Loop], None] = lambda _: None
    now: Callable[[], Second] = monotonic
    differences: list[Difference] = field(factory=list)
    broken: list[Broken] = field(factory=list)
    notes: list[str] = field(factory=list)
    interrupted: bool = False
    loop: Loop | None = None
    _began: Second = 0.0
    _apart: set[tuple[str, ...]] = field(factory=set)
    """Networks that are not the same on both sides, or could not be compared."""

    def run(self) -> None:
        """Proves what can be proven, then takes pairs; raises KeyboardInterrupt as it comes."""
        self._began = self.now()
        chance = Random(self.plan.seed)
        templates = Templates(self.sides, self.start, chance)
        try:
            self._prove(templates)
            self._compare(templates, chance)
        finally:
            templates.close()

    def _prove(self, templates: Templates) -> None:
        """Structure of each network and variant once, and the function where it was asked for."""
        by_network = {subject.network: subject for subject in reversed(self.plan.subjects)}
        for network, subject in reversed(by_network.items()):
            for step in self._proofs(subject, templates):
                found = step()
                self.differences += [evolve(d, allowed=self._allowed) for d in found.differences]
                self.broken += found.broken
                self.notes += found.notes
                if found.broken or (found.differences and self.plan.own is None):
                    self._apart.add(network)
                if found.differences or found.broken:
                    break  # what is another network is no other function

    @property
    def _allowed(self) -> bool:
        """Whether the sides may be other networks: models of one's own, where so was said."""
        return self.plan.own is not None and self.plan.settings is None

    def _proofs(
        self, subject: Subject, templates: Templates
    ) -> Sequence[Callable[[], exact.Found]]:
        """What proves that both sides of a subject are the same network."""
        if self.plan.own is not None:
            own = {role: self._own(self.plan.own, role) for role in ROLES}
            return [partial(exact.outlines, subject, templates, own)]
        proofs = [partial(exact.structures, subject, templates, self.plan.tables)]
        if self.plan.settings is not None:
            proofs.append(partial(exact.functions, subject, templates, self.plan.settings))
        return proofs

    def _compare(self, templates: Templates, chance: Random) -> None:
        subjects: dict[str, TakePair] = {
            subject.label: partial(
                subject.pair, templates=templates, request=self._request, chance=chance
            )
            for subject in self.plan.subjects
            if subject.network not in self._apart
        }
        questions = self.plan.questions
        self.loop = Loop(
            subjects={**subjects, **self.plan.tests},
            questions=questions,
            alpha=level(len(questions), self.plan.alpha),
            budget_s=max(0.0, self.plan.budget_s - (self.now() - self._began)),
            chance=chance,
            now=self.now,
            told=self.show,
        )
        self.loop.run()

    def _request(self, task: Task, role: Role) -> Request:
        if self.plan.own is None:
            extra = self.plan.extra if role == "head" else 0.0
            return messages.Prepare(task, self.plan.tables, WARMUP, extra)
        return messages.PrepareOwn(task, self._own(self.plan.own, role), WARMUP)

    def _own(self, own: OwnModel, role: Role) -> OwnModel:
        """A model of the user's own as a side has it."""
        side = self.sides[role]
        return evolve(own, path=side.model_path, not_from=str(side.tree or ""))

    def result(self) -> GateResult:
        """What is known so far."""
        loop = self.loop
        verdicts: Sequence[Verdict] = list(loop.verdicts.values()) if loop else []
        return GateResult(
            base=self.facts["base"],
            head=self.facts["head"],
            verdicts=tuple(verdicts),
            pairs=tuple(loop.pairs) if loop else (),
            differences=tuple(self.differences),
            broken=(*self.broken, *(loop.broken if loop else ())),
            alpha=self.plan.alpha,
            beta=BETA,
            seed=self.plan.seed,
            budget_s=self.plan.budget_s,
            spent_s=self.now() - self._began,
            command=self.plan.command,
            notes=(*self.plan.notes, *self.notes),
            interrupted=self.interrupted,
        )
