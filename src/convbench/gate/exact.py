"""What needs no statistics: parameters, shapes, multiply-accumulates, and the function itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import TypeAlias

from attrs import define, evolve, field

from convbench.base.errors import BadRecord, ConvbenchError, WorkerFailed
from convbench.checks.structure import CheckReport
from convbench.checks.values import Value, as_text
from convbench.gate.pairs import Subject, Templates
from convbench.gate.sides.sides import shared
from convbench.gate.values import ROLES, Broken, Difference, Role
from convbench.measure.examine import Settings, parity
from convbench.measure.worker import messages
from convbench.measure.worker.launcher import Child
from convbench.measure.worker.messages import OwnModel
from convbench.networks.graph import NETWORK
from convbench.networks.zoo.names import architecture

MOST = 5
"""Differences of one network that are told one by one."""
STAGE = "checking its structure"

Fact: TypeAlias = tuple[str, str]
"""A place and a quantity there."""
Facts: TypeAlias = dict[Fact, Value]
"""What is known exactly of a model, the totals first."""


@define
class Found:
    """What a comparison of two networks has found."""

    differences: list[Difference] = field(factory=list)
    broken: list[Broken] = field(factory=list)
    notes: list[str] = field(factory=list)


def structures(subject: Subject, templates: Templates, tables: str) -> Found:
    """Where two sides' real models are not the same, layer by layer."""

    def ask(child: Child, role: Role) -> Facts:
        task = subject.tasks[role]
        request = messages.Check(task.architecture, tables, task.mode)
        return _facts(child.answer(request, messages.Checked, STAGE).report)

    return _compared(subject, templates, ask)


def outlines(subject: Subject, templates: Templates, own: Mapping[Role, OwnModel]) -> Found:
    """The same for models that are described nowhere; a note where neither can be followed.

    Where one side can and the other cannot, they are not the same, and nobody knows how.
    """
    made_in: dict[Role, dict[str, str]] = {}

    def ask(child: Child, role: Role) -> Facts:
        told = child.answer(messages.Outline(own[role]), messages.Outlined, STAGE)
        made_in[role] = {own[role].make.module: told.file}
        return {(fact.at, fact.quantity): fact.value for fact in told.facts}

    found = _compared(subject, templates, ask)
    if not made_in:  # what no side can tell is no difference
        return Found(notes=[f"The structure was not compared: {found.broken[0].reason}."])
    return evolve(found, notes=shared(templates.sides, made_in))


def _compared(subject: Subject, templates: Templates, ask: Callable[[Child, Role], Facts]) -> Found:
    """What both sides say of themselves; what differs is asked again, of fresh processes."""
    first, broken = _asked(subject, templates, ask)
    if broken:
        return Found(broken=broken)
    differences = [*_apart(subject.label, first["base"], first["head"])]
    if differences:
        second, broken = _asked(subject, templates, ask)
        for role in ROLES:
            if not broken and first[role] != second[role]:
                reason = (
                    f"two processes of the {role} have different models; fix its random choices"
                )
                broken.append(Broken(subject=subject.label, role=role, reason=reason))
    return Found(broken=broken) if broken else Found(differences)


def _asked(
    subject: Subject, templates: Templates, ask: Callable[[Child, Role], Facts]
) -> tuple[dict[Role, Facts], list[Broken]]:
    """The facts of each side that tells them, and why others do not."""
    facts: dict[Role, Facts] = {}
    broken: list[Broken] = []
    open_ = templates.for_pair(subject.served, subject.label)
    for role in ROLES:
        try:
            with open_(role) as child:
                facts[role] = ask(child, role)
        except ConvbenchError as error:
            broken.append(Broken(subject=subject.label, role=role, reason=str(error)))
    return facts, broken


def _facts(report: CheckReport) -> Facts:
    values = {
        (f.at, f.quantity): f.computed if f.observed is None else f.observed
        for f in report.findings
    }
    known = {fact: value for fact, value in values.items() if value is not None}
    return dict(sorted(known.items(), key=lambda item: item[0][0] != NETWORK))


def _apart(subject: str, base: Facts, head: Facts) -> Iterator[Difference]:
    """Every fact that is not the same on both sides, the first few by themselves."""
    unlike = [fact for fact in dict.fromkeys((*base, *head)) if base.get(fact) != head.get(fact)]
    for fact in unlike[:MOST]:
        at, quantity = fact
        what = quantity if at == NETWORK else f"{quantity} of {at}"
        yield Difference(subject=subject, what=what, base=_text(base, fact), head=_text(head, fact))
    if len(unlike) > MOST:
        what = f"{len(unlike) - MOST} more places"
        yield Difference(subject=subject, what=what, base="", head="")


def _text(facts: Facts, fact: Fact) -> str:
    return as_text(facts[fact]) if fact in facts else "not there"


def functions(subject: Subject, templates: Templates, settings: Settings) -> Found:
    """Whether both sides compute the same function: outputs, gradients, statistics, a step."""
    tasks = [subject.tasks[role] for role in ROLES]
    sides = ((tasks[0].framework, tasks[0].mode), (tasks[1].framework, tasks[1].mode))
    open_ = templates.for_pair(subject.served, subject.label)
    roles = iter(ROLES)

    def in_turn(*_: str) -> AbstractContextManager[Child]:
        return open_(next(roles))  # the base is examined first

    try:
        found = parity(architecture(tasks[0].architecture), sides, settings, in_turn)
    except (WorkerFailed, BadRecord) as error:
        return Found(broken=[Broken(subject=subject.label, reason=str(error))])
    if found.same:
        return Found()
    said = str(found.disagreement) if found.disagreement else "the losses of its steps"
    return Found([Difference(subject=subject.label, what=f"function at {said}", base="", head="")])
