"""One pair: a fresh process of each side, alive together, their rounds interleaved by chance.

Who is opened first, who runs first in each round, and which template serves which side is drawn
anew each time: a role that is fixed at any level is a bias that no number of pairs takes away.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from math import ceil
from random import Random
from time import perf_counter
from typing import TypeAlias

from attrs import define

from convbench.base.units import Second
from convbench.gate.values import ROLES, Pair, Role, Sample
from convbench.measure.sampling import ROUND, usual
from convbench.measure.worker import messages
from convbench.measure.worker.launcher import Child

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
