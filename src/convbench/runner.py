"""One run: opens workers, checks and times tasks with them, and journals what comes back.

It knows neither pytest nor the terminal; the plugin and the command line drive it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from math import ceil
from pathlib import Path
from statistics import median
from typing import Literal

from attrs import define, evolve, field, frozen

from convbench import machine, messages
from convbench.check import CheckReport
from convbench.errors import FrameworkMissing, WorkerFailed
from convbench.examination import Settings, Side, parity
from convbench.graph import Graph
from convbench.launcher import Child, Launcher
from convbench.modes import DEFAULT, variant
from convbench.own import OwnModel
from convbench.parity import Parity
from convbench.record import Entry, Journal, Measurement, Task, Unchecked, condensed
from convbench.units import Second

MIN_ROUNDS = 5
MIN_LONG_ROUNDS = 2
"""For a step that alone takes longer than all rounds were to take."""
MAX_ROUNDS = 1000
WARMUP: Second = 0.3
ROUND: Second = 0.002
"""A round of a faster step holds several, so that the clock's own cost does not count."""
CLOCK: Second = 1e-9
"""No step is taken to be faster, whatever a coarse clock says."""
BLOCK: Second = 0.25
"""Rounds are timed back to back for about so long between two messages."""
VERIFYING, BUILDING = "building, verifying and warming up", "building and warming up"


class WorkerClock:
    """Seconds that the child says it has spent in steps: pytest-benchmark's timer.

    The time on the pipe between parent and child is in no figure.
    """

    def __init__(self) -> None:
        self.spent_s: Second = 0.0

    def __call__(self) -> Second:
        """What the child has reported so far."""
        return self.spent_s


@define
class Timing:
    """A task whose child is warm: each call of `step` accounts for one step on the clock."""

    child: Child
    clock: WorkerClock
    measurement: Measurement
    rounds: int
    iterations: int
    _pending: list[Second] = field(factory=list)
    _taken: list[Second] = field(factory=list)
    _steps: int = 0

    def step(self) -> None:
        """Puts the next step's seconds on the clock; asks the child for more rounds if needed.

        pytest-benchmark calls once more than there are rounds, for a value that is not there.
        """
        if self._steps == self.rounds * self.iterations:
            return
        if self._steps % self.iterations == 0:
            if not self._pending:
                self._pending = self._block()
            self._taken.append(self._pending.pop(0))
        self._steps += 1
        self.clock.spent_s += self._taken[-1]

    def _block(self) -> list[Second]:
        expected = max(median(self.measurement.warmup_s), CLOCK) * self.iterations
        left = self.rounds - len(self._taken)
        count = max(1, min(left, round(BLOCK / expected)))
        reply = self.child.ask(
            messages.Rounds(count, self.iterations), messages.Timed, "timing rounds"
        )
        if isinstance(reply, messages.Refused):
            raise WorkerFailed(self.child.task, "timing rounds", reply.why)
        return list(reply.rounds_s)

    def finish(self) -> Measurement:
        """The measurement with its rounds and peaks of memory."""
        peaks = self.child.ask(messages.Peak(), messages.Peaks, "reading its memory")
        if isinstance(peaks, messages.Refused):
            raise WorkerFailed(self.child.task, "reading its memory", peaks.why)
        return evolve(
            self.measurement,
            outcome="measured",
            rounds_s=tuple(self._taken),
            iterations=self.iterations,
            memory=peaks.memory,
            load_after=machine.load(),
        )


@define
class Run:
    """Everything that one invocation checks and times."""

    tables: Path
    seconds: Second
    timeout_s: Second
    journal: Journal | None
    """Where entries go as they come; None keeps them in memory alone."""
    folder: Path
    """Whose commit the environment names."""
    launch: Callable[..., Launcher] = Launcher
    entries: list[Entry] = field(factory=list)
    lost: str | None = None
    """Why entries are not on disk, once the journal could not be written."""
    _launchers: dict[str, Launcher] = field(factory=dict)
    _unusable: dict[str, FrameworkMissing] = field(factory=dict)

    def close(self) -> None:
        """Ends every process of this run."""
        for launcher in self._launchers.values():
            launcher.close()
        self._launchers.clear()

    def check(self, architecture: str, framework: str, mode: str = DEFAULT) -> CheckReport:
        """The report on one architecture's model, built without weights.

        Raises FrameworkMissing, WorkerFailed.
        """
        what = variant(framework, mode)
        with (
            self._noting(architecture, what, "structure"),
            self._open(framework, f"{architecture} {what} structure") as child,
        ):
            report = ask_check(child, architecture, self.tables, mode)
        self.keep(condensed(report))
        return report

    def parity(self, graph: Graph, sides: tuple[Side, Side], settings: Settings) -> Parity:
        """Whether two sides compute the same function on one network.

        Raises FrameworkMissing, WorkerFailed.
        """
        names = " and ".join(variant(*side) for side in sides)
        with self._noting(graph.name, names, "parity"):
            found = parity(graph, sides, settings, self._open)
        self.keep(found)
        return found

    @contextlib.contextmanager
    def _noting(
        self, architecture: str, framework: str, what: Literal["structure", "parity"]
    ) -> Iterator[None]:
        """Keeps the reason why something could not be compared, and lets it through."""
        try:
            yield
        except (WorkerFailed, FrameworkMissing, KeyboardInterrupt) as error:
            self.keep(
                Unchecked(
                    architecture=architecture, framework=framework, reason=_why(error), what=what
                )
            )
            raise

    @contextlib.contextmanager
    def timing(self, task: Task, clock: WorkerClock, *, keep: bool = True) -> Iterator[Timing]:
        """A warmed-up child for one task; its measurement, or its failure, is kept.

        Raises FrameworkMissing; WorkerFailed for what went wrong with this task alone.
        """
        measurement = Measurement(
            task=task, outcome="failed", budget_s=self.seconds, load_before=machine.load()
        )
        request = messages.Prepare(task, str(self.tables), min(WARMUP, self.seconds))
        try:
            with self._open(task.framework, task.label) as child:
                reply = child.ask(request, messages.Prepared, VERIFYING)
                if reply.report is not None and keep:
                    self._keep_report(reply.report)
                timing = _warm(child, clock, measurement, reply, VERIFYING)
                yield timing
                measurement = timing.finish()
        except (WorkerFailed, FrameworkMissing, KeyboardInterrupt) as error:
            refused = isinstance(error, TaskRefused)
            outcome = evolve(
                measurement, outcome="refused" if refused else "failed", reason=_why(error)
            )
            if keep:
                self.keep(outcome)
            raise
        if keep:
            self.keep(measurement)

    def time_own(self, task: Task, own: OwnModel, seconds: Second | None = None) -> Measurement:
        """What came of one pass of a model of one's own; none of it is kept.

        Raises FrameworkMissing; OtherFramework if the model is not of the task's; WorkerFailed.
        """
        budget_s = seconds or self.seconds
        measurement = Measurement(
            task=task, outcome="failed", budget_s=budget_s, load_before=machine.load()
        )
        request = messages.PrepareOwn(task, own, min(WARMUP, budget_s))
        with self._open(task.framework, task.label) as child:
            reply = child.ask(request, messages.Prepared, BUILDING)
            timing = _warm(child, WorkerClock(), measurement, reply, BUILDING)
            for _ in range(timing.rounds * timing.iterations):
                timing.step()
            return timing.finish()

    def keep(self, entry: Entry) -> None:
        """Remembers an entry and puts it on disk; a disk that refuses is noted, once."""
        if not self.entries:
            self.entries.append(machine.environment(self.folder))
            self._write(self.entries[0])
        self.entries.append(entry)
        self._write(entry)

    def _keep_report(self, report: CheckReport) -> None:
        known = (
            (entry.name, entry.framework)
            for entry in self.entries
            if isinstance(entry, CheckReport)
        )
        if (report.name, report.framework) not in known:
            self.keep(report)

    def _write(self, entry: Entry) -> None:
        if self.journal is None or self.lost is not None:
            return
        try:
            self.journal.append(entry)
        except OSError as error:
            self.lost = f"{self.journal.path} cannot be written: {error.strerror or error}"

    def _open(self, framework: str, label: str) -> Child:
        """A fresh child; what failed to import once is not imported again."""
        if framework in self._unusable:
            raise self._unusable[framework]
        if framework not in self._launchers:
            self._launchers[framework] = self.launch(framework, timeout_s=self.timeout_s)
        try:
            return self._launchers[framework].open(label)
        except FrameworkMissing as error:
            self._unusable[framework] = error
            raise


def _warm(
    child: Child,
    clock: WorkerClock,
    measurement: Measurement,
    reply: messages.Prepared | messages.Refused,
    stage: str,
) -> Timing:
    """How a task whose child has answered is to be timed; raises WorkerFailed if it refused."""
    task, budget_s = measurement.task, measurement.budget_s or 0.0
    if isinstance(reply, messages.Refused):
        if reply.framework is not None:
            raise OtherFramework(task.label, stage, reply.why, reply.framework)
        kind = TaskRefused if reply.outcome == "refused" else WorkerFailed
        raise kind(task.label, stage, reply.why)
    usual = max(median(reply.warmup_s), CLOCK)
    iterations = max(1, ceil(ROUND / usual))
    least = MIN_LONG_ROUNDS if usual > budget_s else MIN_ROUNDS
    rounds = min(MAX_ROUNDS, max(least, ceil(budget_s / (usual * iterations))))
    warm = evolve(
        measurement,
        version=child.launcher.version,
        build_s=reply.build_s,
        first_s=reply.first_s,
        warmup_s=reply.warmup_s,
    )
    return Timing(child, clock, warm, rounds, iterations)


def ask_check(child: Child, architecture: str, tables: Path, mode: str = DEFAULT) -> CheckReport:
    """The report of an open child on one architecture's model, built without weights.

    Raises WorkerFailed.
    """
    stage = "checking its structure"
    child.task = f"{architecture} {variant(child.launcher.framework, mode)}"
    reply = child.ask(messages.Check(architecture, str(tables), mode), messages.Checked, stage)
    if isinstance(reply, messages.Refused):
        raise WorkerFailed(child.task, stage, reply.why)
    return reply.report


def _why(error: BaseException) -> str:
    """The reason that is kept of a task without a result."""
    match error:
        case WorkerFailed():
            return error.reason
        case KeyboardInterrupt():
            return "interrupted"
        case _:
            return str(error)


class TaskRefused(WorkerFailed):
    """A task that is not run for a good reason: it does not fit, or is not the paper's."""

    @property
    def reason(self) -> str:
        """Why it is not run."""
        return self.why


@frozen(str=False, eq=False)
class OtherFramework(TaskRefused):
    """A task with a model of one's own that belongs to another framework."""

    framework: str
