"""What is kept of a task: before it is timed, and where nothing came of it."""

from __future__ import annotations

from attrs import evolve

from convbench import machine
from convbench.base.errors import TaskRefused, WorkerFailed
from convbench.record import Measurement, Outcome, Task
from convbench.timing import Budget


def begun(task: Task, budget: Budget) -> Measurement:
    """A measurement of which nothing is known yet."""
    return Measurement(
        task=task,
        outcome="failed",
        budget_s=budget.seconds,
        precision=budget.precision,
        load_before=machine.load(),
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
