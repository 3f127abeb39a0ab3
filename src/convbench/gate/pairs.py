"""One pair: a fresh process of each side, alive together, their rounds interleaved by chance.

Who is opened first, who runs first in each round, and which template serves which side is drawn
anew each time: a role that is fixed at any level is a bias that no number of pairs takes away.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from math import ceil
from random import Random
from time import perf_counter
from typing import Any, TypeAlias

from attrs import define, evolve, field, frozen

from convbench.base.units import Second
from convbench.frameworks.registry import Variables, variables
from convbench.gate.sides.sides import Side
from convbench.gate.values import QUANTITIES, ROLES, Pair, Quantity, Question, Role, Sample
from convbench.measure.records import Task
from convbench.measure.sampling import ROUND, usual
from convbench.measure.worker import messages
from convbench.measure.worker.launcher import Child, Launcher

FEWEST = 9
"""Rounds of each side in a pair, at least."""
MOST = 60
"""Rounds of each side in a pair, at most: more say nothing of the next process."""
PATIENCE = 3
"""Rounds that take so many times as long as was planned are cut short."""
WARMUP: Second = 0.05
"""Seconds of steps before the first round, and at least one step after the first."""
PREPARING, TIMING, READING = "building, verifying and warming up", "timing rounds", "reading memory"

Request: TypeAlias = messages.Prepare | messages.PrepareOwn
Open: TypeAlias = Callable[[Role], AbstractContextManager[Child]]
"""Opens a fresh process of a side."""


@define
class Duet:
    """Both sides of one pair, ready to be timed."""

    children: dict[Role, Child]
    prepared: dict[Role, messages.Prepared]
    chance: Random

    def rounds(self, seconds: Second) -> dict[Role, list[Second]]:
        """Seconds of a step in each round of each side; all rounds take about `seconds`."""
        step_s = max(usual(reply.warmup_s) for reply in self.prepared.values())
        iterations = max(1, ceil(ROUND / step_s))
        each = seconds / (2 * step_s * iterations)
        taken: dict[Role, list[Second]] = {role: [] for role in ROLES}
        until = perf_counter() + PATIENCE * seconds
        for number in range(min(MOST, max(FEWEST, ceil(each)))):
            if number >= FEWEST and perf_counter() > until:
                break  # something else has the processors: the next pair may be luckier
            for role in self.chance.sample(ROLES, 2):
                request = messages.Rounds(1, iterations)
                timed = self.children[role].answer(request, messages.Timed, TIMING)
                taken[role] += timed.rounds_s
        return taken

    def peak(self, role: Role) -> int | None:
        """The peak of a side: the device's where it is one, else the host's."""
        memory = self.children[role].answer(messages.Peak(), messages.Peaks, READING).memory
        device = memory.device_allocated_bytes
        return device if device is not None else memory.host_bytes


def take(
    subject: str, number: int, requests: dict[Role, Request], open_: Open, chance: Random
) -> Pair:
    """One pair; raises WorkerFailed, whose task names the side.

    About as long is timed as building took: a pair is worth one observation, however many rounds
    it has, and costs its building.
    """
    began = perf_counter()
    order = chance.sample(ROLES, 2)
    with ExitStack() as stack:
        children: dict[Role, Child] = {}
        prepared: dict[Role, messages.Prepared] = {}
        for role in order:
            children[role] = stack.enter_context(open_(role))
            prepared[role] = children[role].answer(requests[role], messages.Prepared, PREPARING)
        duet = Duet(children, prepared, chance)
        rounds = duet.rounds(perf_counter() - began)
        samples = {role: _sample(duet, role, rounds[role]) for role in order}
    return Pair(
        subject=subject,
        number=number,
        base=samples["base"],
        head=samples["head"],
        first=order[0],
        taken_s=perf_counter() - began,
    )


def _sample(duet: Duet, role: Role, rounds_s: list[Second]) -> Sample:
    prepared = duet.prepared[role]
    return Sample(
        rounds_s=tuple(rounds_s),
        first_result_s=prepared.build_s + prepared.first_s,
        memory_bytes=duet.peak(role),
    )


Served: TypeAlias = tuple[str, Variables]
"""A framework, and what its template's environment must have besides the side's."""

Start: TypeAlias = Callable[[Side, str, Variables], Launcher]
"""A template of a side's interpreter for a framework, which starts when it is first used."""


@define
class Templates:
    """Both sides' templates of every framework that was asked for."""

    sides: Mapping[Role, Side]
    start: Start
    chance: Random
    _kept: dict[tuple[Served, Served], list[Launcher]] = field(factory=dict)

    def for_pair(self, served: Mapping[Role, Served], label: str) -> Open:
        """What opens the two processes of the next pair of these frameworks."""
        key = (served["base"], served["head"])
        swapped = key[0] == key[1] and self._alike
        if not swapped:
            _close(self._kept.pop(key, []))
        if key not in self._kept:
            self._kept[key] = [self.start(self.sides[r], *served[r]) for r in ROLES]
        launchers = self.chance.sample(self._kept[key], 2) if swapped else self._kept[key]
        by_role = dict(zip(ROLES, launchers, strict=True))

        def open_(role: Role) -> Child:
            return by_role[role].open(f"{label} ({role})")

        return open_

    @property
    def _alike(self) -> bool:
        """Whether a template of one side can serve the other as well."""
        return self.sides["base"].interpreter == self.sides["head"].interpreter

    def close(self) -> None:
        """Ends every template."""
        for launchers in self._kept.values():
            _close(launchers)
        self._kept.clear()


def _close(launchers: list[Launcher]) -> None:
    for launcher in launchers:
        launcher.close()


RequestOf: TypeAlias = Callable[[Task, Role], Request]
"""What prepares a task in a fresh process of a side."""


@frozen
class Subject:
    """One task on both sides."""

    tasks: Mapping[Role, Task]
    several_batches: bool = False

    @property
    def label(self) -> str:
        """The task as tables name it; where the sides differ in framework or mode, both."""
        base, head = self.tasks["base"], self.tasks["head"]
        variants = dict.fromkeys((base.variant, head.variant))
        batch = f" batch {base.batch}" if self.several_batches else ""
        return f"{base.architecture} {' → '.join(variants)} {base.pass_}{batch}"

    @property
    def served(self) -> dict[Role, Served]:
        """What either side's template must have."""
        tasks = self.tasks
        return {
            r: (tasks[r].framework, variables(tasks[r].framework, tasks[r].mode)) for r in ROLES
        }

    @property
    def network(self) -> tuple[str, ...]:
        """What has one structure and one function, whatever is done with it."""
        base, head = self.tasks["base"], self.tasks["head"]
        return base.architecture, base.side, head.side

    def questions(self, tolerances: Mapping[Quantity, float]) -> list[Question]:
        """What is asked of it: whatever has a tolerance."""
        return [
            Question(subject=self.label, quantity=quantity, tolerance=tolerances[quantity])
            for quantity in QUANTITIES
            if quantity in tolerances
        ]

    def pair(self, number: int, templates: Templates, request: RequestOf, chance: Random) -> Pair:
        """One pair of it; raises WorkerFailed, FrameworkMissing."""
        open_ = templates.for_pair(self.served, self.label)
        requests = {role: request(self.tasks[role], role) for role in ROLES}
        return take(self.label, number, requests, open_, chance)


def subjects(tasks: Sequence[Task], sides: Mapping[Role, Side]) -> list[Subject]:
    """Each task as either side runs it, those that become alike once."""
    batches = {task.batch for task in tasks}
    found = [
        Subject({role: _on(sides[role], task) for role in ROLES}, len(batches) > 1)
        for task in tasks
    ]
    return list({subject.label: subject for subject in found}.values())


def _on(side: Side, task: Task) -> Task:
    changes: Mapping[str, Any] = side.changes
    return evolve(task, **changes)
