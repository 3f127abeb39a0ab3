"""What needs no statistics: parameters, shapes, multiply-accumulates, and the function itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager

from convbench import messages
from convbench.architectures import architecture
from convbench.check import CheckReport
from convbench.errors import BadRecord, ConvbenchError, WorkerFailed
from convbench.examination import Settings, parity
from convbench.gate.subjects import Subject
from convbench.gate.templates import Templates
from convbench.gate.values import ROLES, Broken, Difference, Role
from convbench.launcher import Child

MOST = 5
"""Differences of one network that are told one by one."""
STAGE = "checking its structure"


def structures(
    subject: Subject, templates: Templates, tables: str
) -> tuple[list[Difference], list[Broken]]:
    """Where two sides' real models are not the same, layer by layer, and what cannot be told."""
    reports: dict[Role, CheckReport] = {}
    frameworks = {role: subject.tasks[role].framework for role in ROLES}
    open_ = templates.for_pair(frameworks, subject.label)
    for role in ROLES:
        task = subject.tasks[role]
        try:
            with open_(role) as child:
                request = messages.Check(task.architecture, tables, task.mode)
                reply = child.ask(request, messages.Checked, STAGE)
                if isinstance(reply, messages.Refused):
                    raise reply.as_error(child.task, STAGE)
                reports[role] = reply.report
        except ConvbenchError as error:
            return [], [Broken(subject=subject.label, role=role, reason=str(error))]
    found = list(_apart(subject.label, reports["base"], reports["head"]))
    more = len(found) - MOST
    if more > 0:
        rest = Difference(subject=subject.label, what=f"{more} more places", base="", head="")
        found = [*found[:MOST], rest]
    return found, []


def _apart(label: str, base: CheckReport, head: CheckReport) -> Iterator[Difference]:
    """Every quantity that is not the same, the network's totals first."""
    values = [
        {(f.at, f.quantity): f.observed or f.computed or "" for f in report.findings}
        for report in (base, head)
    ]
    places = dict.fromkeys((*values[0], *values[1]))
    totals = [place for place in places if place[0] == "network"]
    for at, quantity in dict.fromkeys((*totals, *places)):
        one, other = (found.get((at, quantity), "not there") for found in values)
        if one != other:
            what = quantity if at == "network" else f"{quantity} of {at}"
            yield Difference(subject=label, what=what, base=one, head=other)


def functions(
    subject: Subject, templates: Templates, settings: Settings
) -> tuple[list[Difference], list[Broken]]:
    """Whether both sides compute the same function: outputs, gradients, statistics, a step."""
    tasks = [subject.tasks[role] for role in ROLES]
    sides = ((tasks[0].framework, tasks[0].mode), (tasks[1].framework, tasks[1].mode))
    frameworks = {role: subject.tasks[role].framework for role in ROLES}
    open_ = templates.for_pair(frameworks, subject.label)
    roles = iter(ROLES)

    def in_turn(*_: str) -> AbstractContextManager[Child]:
        return open_(next(roles))  # the base is examined first

    try:
        found = parity(architecture(tasks[0].architecture), sides, settings, in_turn)
    except (WorkerFailed, BadRecord) as error:
        return [], [Broken(subject=subject.label, reason=str(error))]
    if found.same:
        return [], []
    said = str(found.disagreement) if found.disagreement else "the losses of its steps"
    return [Difference(subject=subject.label, what=f"function at {said}", base="", head="")], []
