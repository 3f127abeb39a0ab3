"""Runs jobs while a fault strikes, and tells of everything that was lost or left behind."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from attrs import define, field

from convbench.base.errors import BadRecord, ConvbenchError
from convbench.checks.parity import Parity
from convbench.checks.structure import CheckReport
from convbench.measure.examine import Settings
from convbench.measure.journal import Journal
from convbench.measure.records import Entry, Environment, Measurement, Task, Unchecked
from convbench.measure.run import Run
from convbench.measure.sampling import Budget
from convbench.measure.worker import launcher as launcher_module
from convbench.measure.worker import messages
from convbench.measure.worker.launcher import Launcher
from convbench.networks.zoo.names import architecture
from convbench.papers.sources import tables_folder
from convbench.report.report import markdown
from tests.measure.faults import framework
from tests.measure.faults.plans import FROM_OUTSIDE, HOOKS, Job, Plan
from tests.support import fakes

PATIENT_S, HASTY_S, IMPORT_S = 60.0, 0.5, 2.0
LEAVING_S = 10.0
"""What a process may take to be gone, on the busiest machine."""
BUDGET = Budget(seconds=1e-3, precision=0.5)
MODES = ("default", fakes.OTHER_MODE)
PR_SET_CHILD_SUBREAPER = 36


@contextlib.contextmanager
def foster_home() -> Iterator[None]:
    """Makes this process the parent of its descendants' orphans, so that none is overlooked."""
    prctl = ctypes.CDLL(None).prctl
    assert prctl(PR_SET_CHILD_SUBREAPER, 1) == 0
    try:
        yield
    finally:
        prctl(PR_SET_CHILD_SUBREAPER, 0)


@define
class Harness:
    """A run in a folder of its own, into which one fault is put."""

    folder: Path
    plan: Plan | None
    disk: type[Journal] = Journal
    before: set[int] = field(init=False, factory=lambda: set(alive()))
    objections: list[str] = field(factory=list)
    sentences: dict[int, str] = field(factory=dict)
    """What the user is told of each job that failed."""
    interrupted: int | None = None
    """The job in which the run was told to end."""
    killed: bool = False
    current: int = 0
    launchers: list[Launcher] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.temporary.mkdir()

    @property
    def temporary(self) -> Path:
        return self.folder / "temporary"

    @property
    def journal(self) -> Journal:
        return self.disk(self.folder / "reports" / "run" / "measurements.jsonl")

    @property
    def jobs(self) -> tuple[Job, ...]:
        assert self.plan is not None
        return self.plan.jobs

    def launch(self, name: str, **settings: Any) -> Launcher:
        self.launchers.append(ArmedLauncher(name, **settings))
        self.launchers[-1].harness = self  # type: ignore[attr-defined]
        return self.launchers[-1]

    def arm(self, request: messages.Request, launcher: Launcher) -> None:
        """Puts the fault where the next line of the framework, or this one, is struck."""
        plan = self.plan
        if plan is None or self.current != plan.struck or fakes.struck(fault_file()).exists():
            return
        if plan.stage in HOOKS and isinstance(request, HOOKS[plan.stage][0]):
            self.patience(launcher, hasty=plan.silent)
            fault_file().write_text(f"{plan.fault}@{HOOKS[plan.stage][1]}", encoding="ascii")
        elif plan.stage in FROM_OUTSIDE and isinstance(request, FROM_OUTSIDE[plan.stage]):
            self.patience(launcher, hasty=plan.silent)
            self._signal(launcher)

    @staticmethod
    def patience(launcher: Launcher, *, hasty: bool) -> None:
        """How long to wait for whom only a time-out can end, and for everybody else."""
        launcher.timeout_s = HASTY_S if hasty else PATIENT_S
        launcher_module.EXIT_TIMEOUT = launcher.timeout_s
        launcher_module.IMPORT_TIMEOUT = PATIENT_S

    def _signal(self, launcher: Launcher) -> None:
        """Signals the child, its template, or the process that was started, from outside."""
        assert self.plan is not None
        who, _, name = self.plan.fault.partition("-")
        started = launcher._process
        assert started is not None
        family = [psutil.Process(started.pid)]
        while nested := family[-1].children():
            family.append(nested[0])
        depth = {"guard": 0, "template": 1, "child": 2}[who]
        fakes.struck(fault_file()).touch()
        os.kill(family[depth].pid, getattr(signal, name))

    def run(self) -> None:
        """All jobs, one after the other, as the plugin does them."""
        assert self.plan is not None
        if self.plan.stage == "importing":
            launcher_module.IMPORT_TIMEOUT = IMPORT_S if self.plan.silent else PATIENT_S
            fault_file().write_text(f"{self.plan.fault}@importing", encoding="ascii")
        run = Run(tables_folder(), BUDGET, PATIENT_S, self.journal, self.folder, launch=self.launch)
        try:
            for number, job in enumerate(self.jobs):
                self.current = number
                for launcher in self.launchers:
                    self.patience(launcher, hasty=False)
                self._do(run, job)
                if self.plan.stage != "importing":  # what that starts may be a helper
                    self._look_for_processes(f"after job {self.current}", workers=True)
        except KeyboardInterrupt:
            self.interrupted = self.current
        finally:
            run.close()
        self._look_for_processes("at the end", workers=False)

    def _do(self, run: Run, job: Job) -> None:
        what, name = job
        try:
            match what:
                case "check":
                    run.check(name, framework.NAME)
                case "parity":
                    one, other = ((framework.NAME, mode) for mode in MODES)
                    run.parity(architecture(name), (one, other), Settings(threads=1))
                case "time":
                    run.time(task(name))
        except ConvbenchError as error:
            self.sentences[self.current] = str(error)
            if "\n" in str(error) or len(str(error)) > 1000:
                self.objections.append(f"job {self.current} fails with more than a sentence")
        except Exception as error:  # as pytest would take it
            self.objections.append(f"job {self.current} raises {error!r:.300}")

    def _look_for_processes(self, when: str, *, workers: bool) -> None:
        """Objects to every process that is neither a worker that waits nor was there before."""
        allowed = set()
        for launcher in self.launchers if workers else ():
            if launcher._process is not None:
                allowed |= waiting(launcher._process.pid)
        until = time.monotonic() + LEAVING_S
        while left := [pid for pid in alive() if pid not in self.before | allowed]:
            if time.monotonic() > until:
                break
            time.sleep(0.01)
        if left:
            self.objections.append(f"processes are left {when}: {left}")
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def audit(self) -> list[str]:
        """Everything that was lost, left or half written, in sentences; empty is as it must be."""
        found = list(self.objections)
        if self.plan is not None and not fakes.struck(fault_file()).exists():
            found.append("the fault has not struck")
        found += left_files(self.folder)
        try:
            entries = list(self.journal.entries())
        except (OSError, BadRecord) as error:
            return [*found, f"the journal cannot be read: {error}"]
        if not self.journal.path.read_bytes().endswith(b"\n"):
            found.append("the journal's last line is cut off")
        found += self._lost(entries)
        try:
            markdown(entries, "run", tables_folder())
        except Exception as error:
            found.append(f"the report cannot be written: {error!r:.300}")
        return found

    def _lost(self, entries: list[Entry]) -> Iterator[str]:
        """Jobs that are not in the journal as they went."""
        assert self.plan is not None
        for number, (what, name) in enumerate(self.jobs):
            if self.interrupted is not None and number >= self.interrupted + (not self.killed):
                continue
            failed = number in self.sentences
            if failed and number != self.plan.struck:
                yield f"job {number} was lost beside the one that was struck: {self.sentences}"
            kept = [entry for entry in entries if is_about(entry, what, name)]
            good = [entry for entry in kept if succeeded(entry)]
            if what == "check":  # of which timing keeps a report as well
                bad = len(kept) - len(good)
                good = good[: 1 - bad]
                kept = kept[: len(good) + bad]
            asked = len(good) if number == self.interrupted else 1 - failed
            if (len(kept), len(good)) != (1, asked):
                yield f"job {number} ({what} {name}) went otherwise than the journal says: {kept}"


class ArmedLauncher(Launcher):
    """A launcher that tells the harness what is asked before it asks."""

    harness: Harness

    def send(self, request: messages.Request) -> None:
        self.harness.arm(request, self)
        super().send(request)

    def receive(self, timeout_s: float) -> messages.Message | None:
        """The next message; a hasty time-out begins when the fault strikes, however busy it is."""
        until = time.monotonic() + PATIENT_S
        while timeout_s in {HASTY_S, IMPORT_S} and time.monotonic() < until:
            if fakes.struck(fault_file()).exists() or not self._lines.empty():
                break
            time.sleep(0.01)
        return super().receive(timeout_s)


def fault_file() -> Path:
    return Path(os.environ[fakes.VARIABLE])


def task(name: str, framework_: str = framework.NAME) -> Task:
    return Task(
        architecture=name,
        framework=framework_,
        pass_="forward",
        batch=1,
        device="cpu",
        threads=1,
    )


def is_about(entry: Entry, what: str, name: str) -> bool:
    match entry:
        case Measurement():
            return what == "time" and entry.task.architecture == name
        case Parity():
            return what == "parity" and entry.name == name
        case Unchecked():
            kind = {"structure": "check", "parity": "parity"}[entry.what]
            return what == kind and entry.architecture == name
        case CheckReport():
            return what == "check" and entry.name == name
        case Environment():
            return False
    raise AssertionError(entry)


def succeeded(entry: Entry) -> bool:
    if isinstance(entry, Measurement):
        return entry.outcome == "measured"
    return isinstance(entry, Parity | CheckReport)


def alive() -> Iterator[int]:
    """Descendants of this process that have not ended; it buries those that have."""
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE:
                yield process.pid


def waiting(started: int) -> set[int]:
    """What a launcher may have between two tasks: the process that it started and its template."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return {started, *(child.pid for child in psutil.Process(started).children())}
    return set()


def left_files(folder: Path) -> Iterator[str]:
    """Objections to what lies about, and to a report that is not whole."""
    known = {"measurements.jsonl", "report.md", "throughput.png"}
    for path in (folder / "reports").rglob("*"):
        if path.is_file() and path.name not in known | {"README.md"}:
            yield f"{path.relative_to(folder)} is left"
    for path in Path(tempfile.gettempdir()).iterdir():
        yield f"{path} is left in the folder for temporary files"
