"""How long a task is timed: until its figure is precise enough, or the time for it is over."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from math import ceil
from statistics import median

from attrs import define, evolve, field, frozen

from convbench.base.errors import TaskRefused, WorkerFailed
from convbench.base.stats import FEW, JUDGED, median_of, steady_from
from convbench.base.units import Second
from convbench.measure.machine import environment
from convbench.measure.machine.cpu import CpuUse
from convbench.measure.machine.gpu import Watch
from convbench.measure.records import GpuUse, Measurement, Outcome, Task
from convbench.measure.worker import messages
from convbench.measure.worker.launcher import Child

MIN_ROUNDS = FEW
MIN_LONG_ROUNDS = 2
"""For a step that alone takes longer than all rounds were to take."""
MAX_ROUNDS = 1000
ENOUGH: Second = 0.5
"""No figure is precise before so much was timed: a lucky start is narrow too."""
WARMUP: Second = 0.3
ROUND: Second = 0.002
"""A round of a faster step holds several, so that the clock's own cost does not count."""
CLOCK: Second = 1e-9
"""No step is taken to be faster, whatever a coarse clock says."""
BLOCK: Second = 0.25
"""Rounds are timed back to back for about so long between two messages."""
STAGE = "timing rounds"


@frozen
class Budget:
    """What the rounds of one task may take, and when they are enough."""

    seconds: Second
    """Timed seconds at the most, but for the fewest rounds."""
    precision: float
    """The share of the median within which its interval is to end on either side."""

    @property
    def warmup_s(self) -> Second:
        """Seconds of steps before the first round."""
        return min(WARMUP, self.seconds)


@define
class Rounds:
    """The rounds of one warm child, block by block."""

    child: Child
    budget: Budget
    usual_s: Second
    """Seconds of a step, as the warm-up had it."""
    taken: list[Second] = field(factory=list)
    """Seconds of one step in each round."""
    host_s: list[Second] = field(factory=list)
    """The same by the host's clock, where those are by the device's own."""
    cpu: CpuUse = field(factory=CpuUse)
    """What the machine's processors did meanwhile."""
    gpu: Watch | None = None
    """What its GPU did meanwhile, if the child uses one."""

    @property
    def iterations(self) -> int:
        """Steps in one round; a round's value is their mean."""
        return max(1, ceil(ROUND / self.usual_s))

    @property
    def spent_s(self) -> Second:
        """Seconds that the rounds took so far."""
        return sum(self.taken) * self.iterations

    def take(self) -> None:
        """Times rounds until they are precise, or the budget is spent."""
        least = MIN_LONG_ROUNDS if self.usual_s > self.budget.seconds else MIN_ROUNDS
        with self.gpu.watching(self.child.pid) if self.gpu else nullcontext():
            while len(self.taken) < MAX_ROUNDS and not self._enough(least):
                self._block(least)

    def _enough(self, least: int) -> bool:
        if len(self.taken) < least or self.spent_s < min(ENOUGH, self.budget.seconds):
            return False
        return self.spent_s >= self.budget.seconds or self._precise()

    def _precise(self) -> bool:
        transient = steady_from(self.taken)
        if transient is None:
            return False
        found = median_of(self.taken[transient:])
        return found.known and found.relative <= self.budget.precision

    def _block(self, least: int) -> None:
        """Times as many rounds as fit between two messages, and into what is left."""
        round_s = self.usual_s * self.iterations
        left = max(least - len(self.taken), ceil((self.budget.seconds - self.spent_s) / round_s), 1)
        count = min(left, MAX_ROUNDS - len(self.taken), max(1, round(BLOCK / round_s)))
        with self.cpu.watched() as used:
            request = messages.Rounds(count, self.iterations)
            reply = self.child.answer(request, messages.Timed, STAGE)
            used(reply.cpu_s)
        if len(reply.rounds_s) != count:
            why = f"timed {len(reply.rounds_s)} rounds, not {count}"
            raise WorkerFailed(self.child.task, STAGE, why)
        self.taken += reply.rounds_s
        self.host_s += reply.host_s

    def measured(self, warm: Measurement) -> Measurement:
        """The measurement with its rounds; those that were not steady yet join its warm-up."""
        transient = steady_from(self.taken)
        first = transient or 0
        judged = len(self.taken) >= JUDGED
        return evolve(
            warm,
            outcome="measured",
            warmup_s=(*warm.warmup_s, *self.taken[:first]),
            rounds_s=tuple(self.taken[first:]),
            iterations=self.iterations,
            steady=transient is not None if judged else None,
            precision=self.budget.precision,
            others_cores=self.cpu.others_cores,
            stolen_cores=self.cpu.stolen_cores,
            gpu=self._gpu_use(warm.task.batch, first),
        )

    def _gpu_use(self, batch: int, first: int) -> GpuUse | None:
        """What the GPU did in all rounds; the host's clock is of those from the `first` one."""
        if self.gpu is None:
            return None
        return self.gpu.use(len(self.taken) * self.iterations * batch, self.host_s[first:])


def usual(warmup_s: Sequence[Second]) -> Second:
    """Seconds of a step, as the warm-up has it."""
    return max(median(warmup_s), CLOCK)


def begun(task: Task, budget: Budget) -> Measurement:
    """A measurement of which nothing is known yet."""
    return Measurement(
        task=task,
        outcome="failed",
        budget_s=budget.seconds,
        precision=budget.precision,
        load_before=environment.load(),
    )


def unfinished(measurement: Measurement, error: BaseException) -> Measurement:
    """What is kept of a task without a result."""
    if isinstance(error, Leaving):
        return error.measurement
    outcome: Outcome = "refused" if isinstance(error, TaskRefused) else "failed"
    return evolve(measurement, outcome=outcome, reason=why(error))


def why(error: BaseException) -> str:
    """The reason that is kept of a task without a result."""
    match error:
        case WorkerFailed():
            return error.reason
        case KeyboardInterrupt():
            return "interrupted"
        case _:
            return str(error)


class Leaving(KeyboardInterrupt):
    """Ctrl-C when a task had been timed, and its child was only to leave."""

    def __init__(self, measurement: Measurement) -> None:
        super().__init__()
        self.measurement = measurement
