"""One run: opens workers, checks and times tasks with them, and journals what comes back.

It knows neither pytest nor the terminal; the plugin and the command line drive it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import attrs
from attrs import define, evolve, field

from convbench.base.errors import ConvbenchError, FrameworkMissing, OutOfMemory, WorkerFailed
from convbench.base.processes.interrupts import deferred
from convbench.base.units import Second
from convbench.checks.parity import Parity
from convbench.checks.structure import CheckReport, condensed
from convbench.frameworks.modes import DEFAULT, variant
from convbench.frameworks.registry import Variables, variables
from convbench.measure import sampling
from convbench.measure.batch_search import Found, largest, smaller_than
from convbench.measure.examine import Settings, Side, parity
from convbench.measure.journal import Journal
from convbench.measure.machine import environment as machine
from convbench.measure.machine import memory_needs
from convbench.measure.machine.cpu import CpuUse
from convbench.measure.machine.gpu import Watch
from convbench.measure.records import Attainable, Entry, Environment, Measurement, Task, Unchecked
from convbench.measure.resume import Kept, Lock, Resumed, lock
from convbench.measure.sampling import Budget, Rounds, usual
from convbench.measure.worker import messages
from convbench.measure.worker.launcher import Child, Launcher
from convbench.measure.worker.messages import OwnModel
from convbench.networks.graph import Graph
from convbench.networks.zoo.names import architecture

SEARCHING = "searching the largest batch"
SMALLER = 3
"""How often a batch that was seen to fit and then does not is made smaller."""
VERIFYING, BUILDING = "building, verifying and warming up", "building and warming up"
ONCE = Budget(seconds=1e-6, precision=1.0)
"""For who wants to see that a task can be timed, and no figure."""


@define
class Run:
    """Everything that one invocation checks and times."""

    tables: Path
    budget: Budget
    timeout_s: Second
    journal: Journal | None
    """Where entries go as they come; None keeps them in memory alone."""
    folder: Path
    """Whose commit the environment names."""
    launch: Callable[..., Launcher] = Launcher
    asked: Mapping[str, Any] = field(factory=dict)
    """What the environment is to say of the options."""
    kept: Kept = field(factory=Kept)
    """What an earlier part of this run has done, which is not done again."""
    entries: list[Entry] = field(factory=list)
    lock: Lock | None = None
    """Keeps others from continuing this run at the same time."""
    lost: str | None = None
    """Why entries are not on disk, once the journal could not be written."""
    _launchers: dict[tuple[str, Variables], Launcher] = field(factory=dict)
    _largest: dict[Task, Found] = field(factory=dict)
    _unusable: dict[str, FrameworkMissing] = field(factory=dict)
    _attained: set[tuple[str, messages.Attain]] = field(factory=set)
    _doubted: set[str] = field(factory=set)
    """Frameworks that could not be imported once: by chance perhaps, so they get one more."""

    def close(self) -> None:
        """Ends every process of this run."""
        for launcher in self._launchers.values():
            launcher.close()
        self._launchers.clear()
        if self.lock is not None:
            self.lock.close()

    def resume(self, begun: Resumed) -> None:
        """Goes on where an earlier part of this run has ended."""
        self.journal, self.kept, self.lock = begun.journal, begun.kept, begun.lock
        self.entries += begun.kept.entries
        peaks = (entry for entry in self.entries if isinstance(entry, Attainable))
        self._attained = {
            (peak.framework, messages.Attain(peak.device, peak.threads, peak.dtype))
            for peak in peaks
        }
        self.keep(begun.now)

    def check(self, architecture: str, framework: str, mode: str = DEFAULT) -> CheckReport:
        """The report on one architecture's model, built without weights.

        Raises FrameworkMissing, WorkerFailed.
        """
        what = variant(framework, mode)
        known = self.kept.check(architecture, what)
        if known is not None:
            return known
        with (
            self._noting(architecture, what, "structure"),
            self._open(framework, f"{architecture} {what} structure", mode) as child,
        ):
            report = ask_check(child, architecture, self.tables, mode)
        self.keep(condensed(report))
        return report

    def parity(self, graph: Graph, sides: tuple[Side, Side], settings: Settings) -> Parity:
        """Whether two sides compute the same function on one network.

        Raises FrameworkMissing, WorkerFailed.
        """
        known = self.kept.parity(graph.name, [variant(*side) for side in sides], settings.steps)
        if known is not None:
            return known
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
        except (ConvbenchError, KeyboardInterrupt) as error:
            reason = sampling.why(error)
            unchecked = Unchecked(
                architecture=architecture, framework=framework, reason=reason, what=what
            )
            self.keep(unchecked)
            raise

    def time_largest(self, task: Task) -> Measurement:
        """What came of one task with the largest batch that fits, whatever batch it has.

        Raises as `time` does.
        """
        known = self.kept.largest(task)
        if known is not None:
            return known
        begun = sampling.begun(task, self.budget)
        try:
            found = self._largest_batch(task)
            if found.batch is None:
                raise OutOfMemory(task.label, SEARCHING, found.stopped)
            task = evolve(task, batch=found.batch)
            begun = evolve(begun, task=task, batch_search=found.stopped)
            measurement = self._time_at_most(begun, found.batch)
        except (ConvbenchError, KeyboardInterrupt) as error:
            self.keep(sampling.unfinished(begun, error))
            raise
        self.keep(measurement)
        return measurement

    def _time_at_most(self, begun: Measurement, batch: int) -> Measurement:
        """A measurement with this batch, or with the next smaller ones if that is too large.

        Rounds may need a little more than the few steps that were tried.
        """
        failure: OutOfMemory | None = None
        for this in (batch, *islice(smaller_than(batch), SMALLER)):
            try:
                task = evolve(begun.task, batch=this)
                return self._measured(evolve(begun, task=task), self.budget)
            except OutOfMemory as error:
                told = f"while timing {this:,} did not: {error.shortage}"
                begun = evolve(begun, batch_search=f"{begun.batch_search}; {told}")
                failure = error
        assert failure is not None
        raise failure

    def _largest_batch(self, task: Task) -> Found:
        """What the search for it came to; one search does for all processes that repeat a task."""
        first = 2 if task.goes_backward else 1  # one value a channel cannot be normalized
        key = evolve(task, batch=first, process=1)
        if key not in self._largest:
            self._largest[key] = largest(partial(self._why_not, key), first=first)
        return self._largest[key]

    def _why_not(self, task: Task, batch: int) -> str | None:
        """Why a batch does not fit, if a child that takes four steps with it finds that out.

        In its third, PyTorch on a CPU takes a fifth more than in the first two.
        """
        try:
            with self._open(task.framework, task.label, task.mode) as child:
                wanted = evolve(task, batch=batch)
                child.needed_bytes = memory_needs.of_task(architecture(task.architecture), wanted)
                request = messages.Prepare(wanted, str(self.tables), 0.0)
                stages = ((request, messages.Prepared), (messages.Rounds(2, 1), messages.Timed))
                for asked, answer in stages:
                    child.answer(asked, answer, SEARCHING)
        except OutOfMemory as error:
            return str(error.shortage)
        except WorkerFailed as error:
            if batch == task.batch:  # it is no matter of the batch
                raise
            return error.reason
        return None

    def time(self, task: Task, *, keep: bool = True) -> Measurement:
        """What came of one task; that, or why nothing came of it, is kept.

        With `keep` off, one step is enough. Raises FrameworkMissing; WorkerFailed for what went
        wrong with this task alone.
        """
        known = self.kept.measurement(task)
        if keep and known is not None:
            return known
        budget = self.budget if keep else ONCE
        begun = sampling.begun(task, budget)
        try:
            measurement = self._measured(begun, budget, keep=keep)
        except (ConvbenchError, KeyboardInterrupt) as error:
            if keep:
                self.keep(sampling.unfinished(begun, error))
            raise
        if keep:
            self.keep(measurement)
        return measurement

    def _measured(self, begun: Measurement, budget: Budget, *, keep: bool = True) -> Measurement:
        """A measurement that has begun, with its rounds."""
        task = begun.task
        if keep and self.journal is not None:
            self._attain(task)
        request = messages.Prepare(task, str(self.tables), budget.warmup_s)
        measurement, gpu = begun, Watch.begin(task.device)
        try:
            with self._open(task.framework, task.label, task.mode) as child:
                child.needed_bytes = memory_needs.of_task(architecture(task.architecture), task)
                reply = child.ask(request, messages.Prepared, VERIFYING)
                if reply.report is not None and keep:
                    self._keep_report(reply.report)
                measurement = _timed(child, begun, reply, VERIFYING, budget, gpu)
        except KeyboardInterrupt:
            if measurement.outcome == "measured":
                raise sampling.Leaving(measurement) from None
            raise
        return measurement

    def _attain(self, task: Task) -> None:
        """Keeps what the machine attains with a task's framework and precision, measured once.

        A framework that cannot tell, or a worker that fails at it, leaves the tasks unharmed.
        """
        request = messages.Attain(task.device, task.threads, task.dtype)
        if (task.framework, request) in self._attained:
            return
        self._attained.add((task.framework, request))
        cpu, label = CpuUse(), f"{task.framework} peaks"
        with contextlib.suppress(WorkerFailed), self._open(task.framework, label, DEFAULT) as child:
            with cpu.watched() as used:
                stage = "measuring what the machine attains"
                reply = child.ask(request, messages.Attained, stage)
                if isinstance(reply, messages.Refused):
                    return
                used(reply.cpu_s)
            peak = Attainable(
                framework=task.framework,
                **attrs.asdict(request),
                **attrs.asdict(reply, filter=attrs.filters.exclude("cpu_s")),
                others_cores=cpu.others_cores,
                stolen_cores=cpu.stolen_cores,
            )
            self.keep(peak)

    def time_own(self, task: Task, own: OwnModel, seconds: Second | None = None) -> Measurement:
        """What came of one pass of a model of one's own; none of it is kept.

        Raises FrameworkMissing; OtherFramework if the model is not of the task's; WorkerFailed.
        """
        budget = evolve(self.budget, seconds=seconds or self.budget.seconds)
        request, gpu = messages.PrepareOwn(task, own, budget.warmup_s), Watch.begin(task.device)
        with self._open(task.framework, task.label, task.mode) as child:
            reply = child.ask(request, messages.Prepared, BUILDING)
            return _timed(child, sampling.begun(task, budget), reply, BUILDING, budget, gpu)

    def keep(self, entry: Entry) -> None:
        """Remembers an entry and puts it on disk; a disk that refuses is noted, once."""
        with deferred():  # what is known is not lost to a signal that comes just now
            if not self.entries:
                self.entries.append(self.environment())
                self._write(self.entries[0])
            self.entries.append(entry)
            self._write(entry)

    def environment(self) -> Environment:
        """Where the run is made, as it is now; reports of runs are no changes of the code."""
        reports = [self.journal.path.parent.parent] if self.journal else []
        return evolve(machine.environment(self.folder, *reports), **self.asked)

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
            if self.lock is None:
                self.lock = lock(self.journal.path)
        except OSError as error:
            self.lost = f"{self.journal.path} cannot be written: {error.strerror or error}"

    def _open(self, framework: str, label: str, mode: str) -> Child:
        """A fresh child; what could not be imported twice is not imported again."""
        if framework in self._unusable:
            raise self._unusable[framework]
        needs = variables(framework, mode)
        if (framework, needs) not in self._launchers:
            started = self.launch(framework, timeout_s=self.timeout_s, variables=needs)
            self._launchers[framework, needs] = started
        try:
            child = self._launchers[framework, needs].open(label)
        except FrameworkMissing as error:
            if framework in self._doubted:
                self._unusable[framework] = error
            self._doubted.add(framework)
            raise
        with contextlib.ExitStack() as stack:
            stack.enter_context(child)
            self.kept.refuse_other_version(framework, child.launcher.version)
            self.kept.refuse_other_libraries((framework, mode), child.launcher.libraries)
            stack.pop_all()
        return child


def _timed(
    child: Child,
    measurement: Measurement,
    reply: messages.Prepared | messages.Refused,
    stage: str,
    budget: Budget,
    gpu: Watch | None,
) -> Measurement:
    """The measurement of a child that has answered; raises WorkerFailed if it refused."""
    if isinstance(reply, messages.Refused):
        raise reply.as_error(child.task, stage)
    rounds = Rounds(child, budget, usual(reply.warmup_s), gpu=gpu)
    rounds.take()
    stage = "reading its memory"
    peaks = child.ask(messages.Peak(), messages.Peaks, stage)
    if isinstance(peaks, messages.Refused):
        raise WorkerFailed(child.task, stage, peaks.why)
    warm = evolve(
        measurement,
        version=child.launcher.version,
        libraries=child.launcher.libraries,
        build_s=reply.build_s,
        first_s=reply.first_s,
        warmup_s=reply.warmup_s,
    )
    return evolve(rounds.measured(warm), memory=peaks.memory, load_after=machine.load())


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
