"""Which fault strikes where: every one at every stage, with the rest drawn from a seed."""

from __future__ import annotations

import random
from typing import Literal, TypeAlias

from attrs import frozen

from convbench.measure.worker import messages
from convbench.measure.worker.messages import Request
from tests.measure.faults import framework

Job: TypeAlias = tuple[Literal["check", "time", "parity"], str]
"""What is done with which architecture."""

ARCHITECTURES = ("lenet5", "lenet5_keras", "mnist_convnet", "lenet1")

HOOKS: dict[str, tuple[type[Request], str]] = {
    "checking": (messages.Check, "build"),
    "building": (messages.Prepare, "build"),
    "warming": (messages.Prepare, "step"),
    "timing": (messages.Rounds, "step"),
    "memory": (messages.Peak, "memory"),
    "examining": (messages.Examine, "examine"),
}
"""For a stage: the request with which the fault is armed, and where the framework is struck."""

FROM_OUTSIDE: dict[str, type[Request]] = {"starting": messages.Start, "leaving": messages.Stop}
"""Stages in which no line of a framework runs: the request before which a process is signalled."""

OUTSIDE_FAULTS = tuple(name for name in framework.SIGNALLED if not name.startswith("guard-SIGSTOP"))

IMPORT_FAULTS = (
    *(name for name in framework.SIGNALLED if name.startswith("child-")),
    *framework.STARVED,
    *framework.CUT,
    *framework.SAID,
    *framework.FORKED,
)

KINDS = {"checking": "check", "examining": "parity"}
"""The kind of job that has a stage; all others are stages of timing."""


@frozen
class Plan:
    """One fault, at one stage of one of several jobs."""

    seed: int
    fault: str
    stage: str
    jobs: tuple[Job, ...]
    struck: int
    """The job in which the fault strikes."""

    @property
    def name(self) -> str:
        """What a test is called by, and can be run again by."""
        return f"seed-{self.seed}-{self.fault}-{self.stage}"

    @property
    def silent(self) -> bool:
        """Whether only a time-out can end it."""
        words = {"sleep", "half-a-line", "close-reading"}
        return "STOP" in self.fault or self.fault in words

    @property
    def often(self) -> bool:
        """Whether it is one of the fifth that is tried whenever tests are run."""
        return random.Random(self.seed).random() < 1 / 5


def plan(seed: int, fault: str, stage: str) -> Plan:
    """Three to five jobs in an order of their own, and a fault in one of them."""
    random_ = random.Random(seed)
    kind = KINDS.get(stage, "time")
    architectures = random_.sample(ARCHITECTURES, 3)
    jobs: list[Job] = [("time", name) for name in architectures]
    jobs += [(what, random_.choice(architectures)) for what in ("check", "parity")]
    jobs = random_.sample(jobs, random_.randint(3, len(jobs)))
    if not any(job[0] == kind for job in jobs):
        jobs[random_.randrange(len(jobs))] = (kind, architectures[0])  # type: ignore[call-overload]
    suited = [number for number, job in enumerate(jobs) if job[0] == kind]
    struck = 0 if stage == "importing" else random_.choice(suited)
    return Plan(seed, fault, stage, tuple(jobs), struck)


def plans() -> list[Plan]:
    """One for each fault and stage that go together; the number is the seed."""
    pairs = [(name, stage) for name in framework.FAULTS for stage in HOOKS]
    pairs += [(name, stage) for name in OUTSIDE_FAULTS for stage in FROM_OUTSIDE]
    pairs += [(name, "importing") for name in IMPORT_FAULTS]
    pairs = [(name, stage) for name, stage in pairs if (name, stage) not in MEANINGLESS]
    return [plan(seed, *pair) for seed, pair in enumerate(pairs)]


MEANINGLESS = {
    *((f"child-{name}", "starting") for name in framework.SIGNALS),  # there is no child yet
    *(("full", stage) for stage in (*HOOKS, "importing") if stage != "examining"),  # of no interest
    ("starve", "importing"),  # it lasts: who comes from this template starves as well
}
