"""What the gate compares: one task of each side, as its configuration changes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, TypeAlias

from attrs import evolve, frozen

from convbench.frameworks.registry import variables
from convbench.gate import pairs
from convbench.gate.sides import Side
from convbench.gate.templates import Served, Templates
from convbench.gate.values import QUANTITIES, ROLES, Pair, Quantity, Question, Role
from convbench.measure.records import Task

RequestOf: TypeAlias = Callable[[Task, Role], pairs.Request]
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
        return pairs.take(self.label, number, requests, open_, chance)


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
