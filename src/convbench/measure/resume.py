"""Continues a run from its journal: what it has measured and proven is not done again.

A journal is values, and reading it executes nothing. What is not of this machine and this
software, to the version, is refused: a report has one environment.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

from attrs import evolve, field, frozen

from convbench.base.errors import BadRecord, ConvbenchError
from convbench.checks.parity import Parity
from convbench.checks.structure import CheckReport
from convbench.measure.journal import JOURNAL, Journal, is_result, latest
from convbench.measure.records import CHANGED, Entry, Environment, Measurement, Task, Unchecked
from convbench.measure.sampling import Budget

try:
    import fcntl
except ImportError:  # Windows has none, and there nobody is kept from resuming a run twice
    fcntl = None  # type: ignore[assignment]

Libraries: TypeAlias = tuple[tuple[str, str], ...]
"""Names with their values, as journals hold them."""

NEWEST = "newest"
"""What stands for the newest run that has something of what is wanted."""
MUST_AGREE = (
    *("convbench", "cpu", "cores", "gpu", "driver", "system", "python", "packages"),
    *("commit", "order_seed", "variables"),
)
"""What two environments must share; memory differs by what a kernel keeps, and time passes."""
ANEW = "leave out --bench-resume to begin a new run"


@frozen(str=False, eq=False)
class NotResumable(ConvbenchError):
    """A run that cannot be continued, and why."""

    run: str
    why: str
    remedy: str = ANEW

    def __str__(self) -> str:
        return f"--bench-resume {self.run}: {self.why}; {self.remedy}"


@frozen
class Kept:
    """What a run that is continued has already: of each task and comparison the newest outcome."""

    run: str = ""
    entries: tuple[Entry, ...] = ()
    _measured: dict[Task, Measurement] = field(init=False)

    @_measured.default
    def _(self) -> dict[Task, Measurement]:
        return {e.task: e for e in self.entries if isinstance(e, Measurement) and e.rounds_s}

    def measurement(self, task: Task) -> Measurement | None:
        """What came of a task that was measured."""
        return self._measured.get(task)

    def largest(self, task: Task) -> Measurement | None:
        """What came of a task with the largest batch that fits, whichever that was."""
        found = (m for m in self._measured.values() if m.batch_search is not None)
        return next((m for m in found if evolve(m.task, batch=task.batch) == task), None)

    def check(self, architecture: str, variant_: str) -> CheckReport | None:
        """The report on a model."""
        reports = (entry for entry in self.entries if isinstance(entry, CheckReport))
        return next((r for r in reports if (r.name, r.framework) == (architecture, variant_)), None)

    def parity(self, name: str, sides: Collection[str], steps: int) -> Parity | None:
        """How far two sides are apart."""
        found = (entry for entry in self.entries if isinstance(entry, Parity))
        wanted = (name, tuple(sides), steps)
        return next((p for p in found if (p.name, p.sides, p.steps) == wanted), None)

    def refuse_other_version(self, framework: str, version: str | None) -> None:
        """Raises NotResumable if a framework is another than the one that was timed."""
        for task, measured in self._measured.items():
            if task.framework == framework and measured.version not in (None, version):
                why = f"it was timed with {measured.version}, and this is {version}"
                raise NotResumable(self.run, why)

    def refuse_other_libraries(self, side: tuple[str, str], found: Libraries) -> None:
        """Raises NotResumable if a framework in a mode uses its libraries in another way."""
        for task, measured in self._measured.items():
            then = measured.libraries
            if (task.framework, task.mode) == side and then and found and then != found:
                why = f"{task.side} was timed with {_listed(then)}, and now it has {_listed(found)}"
                raise NotResumable(self.run, why)


@frozen
class Lock:
    """What a process holds of a journal while it writes there."""

    descriptor: int

    def close(self) -> None:
        """Lets go of it."""
        os.close(self.descriptor)


@frozen
class Resumed:
    """A run to continue: its journal, what is in it, and the lock that nobody else has."""

    journal: Journal
    kept: Kept
    lock: Lock | None
    now: Environment
    """Where it goes on, which is where it began, at another time."""


def lock(journal: Path) -> Lock | None:
    """Keeps others from continuing a run until it is closed, or this process ends.

    Raises BlockingIOError if somebody else has it; None where the file system knows no locks.
    """
    if fcntl is None:
        return None
    held = Lock(os.open(journal, os.O_RDONLY | os.O_CLOEXEC))
    try:
        fcntl.flock(held.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        held.close()
        if isinstance(error, BlockingIOError):
            raise
        return None
    return held


def resumed(
    reports: Path, run: str, tasks: Sequence[Task], budget: Budget, now: Environment
) -> Resumed:
    """The run to continue, locked; raises NotResumable with what keeps it from that."""
    folder = _newest(reports, tasks) if run == NEWEST else _named(reports, run)
    path = folder / JOURNAL
    with contextlib.ExitStack() as stack:
        try:
            held = lock(path)
            stack.callback(held.close if held else int)
            entries = latest(Journal(path).entries())
        except BlockingIOError:
            raise NotResumable(
                folder.name, "it is going on at this moment", "wait for it"
            ) from None
        except OSError as error:
            why = f"{path} cannot be read: {error.strerror}"
            raise NotResumable(folder.name, why) from None
        except BadRecord as error:
            raise NotResumable(folder.name, str(error)) from None
        kept = Kept(folder.name, tuple(entry for entry in entries if is_result(entry)))
        _refuse_other_environment(folder.name, kept.entries, now)
        _refuse_other_budget(kept, budget, tasks)
        stack.pop_all()
        return Resumed(Journal(path), kept, held, now)


def _named(reports: Path, run: str) -> Path:
    for folder in (reports / run, Path(run)):
        if (folder / JOURNAL).is_file():
            return folder
    raise NotResumable(run, f"no run of this name is in {reports}", "give the name of its folder")


def _newest(reports: Path, tasks: Sequence[Task]) -> Path:
    """The newest run that has begun one of these tasks."""
    for path in sorted(reports.glob(f"*/{JOURNAL}"), reverse=True):
        with contextlib.suppress(OSError, BadRecord):
            if _has_any_of(Journal(path).entries(), tasks):
                return path.parent
    raise NotResumable(NEWEST, f"no run in {reports} has begun any of these tasks")


def _has_any_of(entries: Iterable[Entry], tasks: Sequence[Task]) -> bool:
    """Whether a run has begun to do what is wanted."""
    wanted = {*tasks}
    structures = {(task.architecture, task.side) for task in tasks}
    for entry in entries:
        match entry:
            case Measurement(task=task) if task in wanted:
                return True
            case CheckReport(name=name, framework=framework) if (name, framework) in structures:
                return True
            case Unchecked(architecture=name, framework=framework) if (
                name,
                framework,
            ) in structures:
                return True
    return False


def _refuse_other_environment(run: str, entries: Sequence[Entry], now: Environment) -> None:
    begun = next((entry for entry in entries if isinstance(entry, Environment)), None)
    if begun is None:
        raise NotResumable(run, "its journal does not say where it was made")
    for name in MUST_AGREE:
        then, is_now = _said(begun, name), _said(now, name)
        if name == "variables" and begun.variables is None:
            continue  # an older convbench did not look
        if then != is_now:
            raise NotResumable(run, f"its {name} is {then}, and now it is {is_now}")
    if (now.commit or "").endswith(CHANGED):
        why = f"its commit is {now.commit}, and nobody can tell whether the same ones"
        raise NotResumable(run, why, f"commit them, and {ANEW}")


def _said(environment: Environment, name: str) -> str:
    value = getattr(environment, name)
    if name in ("packages", "variables"):
        return _listed(value or ())
    return "none" if value is None else str(value)


def _listed(pairs: Libraries) -> str:
    return ", ".join(" ".join(pair) for pair in pairs) or "none"


def _refuse_other_budget(kept: Kept, budget: Budget, tasks: Sequence[Task]) -> None:
    """Refuses a run whose measurements were made in another way."""
    threads = {task.threads for task in tasks}
    for found in kept.entries:
        if not isinstance(found, Measurement):
            continue
        for option, then, now in (
            ("seconds", found.budget_s, budget.seconds),
            ("precision", found.precision, budget.precision),
            *(("threads", found.task.threads, now) for now in threads),
        ):
            if then != now:
                why = f"it was made with --bench-{option} {_option(option, then)}"
                raise NotResumable(kept.run, why, f"give that instead of {_option(option, now)}")


def _option(name: str, value: float | None) -> str:
    if value is None:
        return "unknown"
    return f"{100 * value:g}%" if name == "precision" else f"{value:g}"
