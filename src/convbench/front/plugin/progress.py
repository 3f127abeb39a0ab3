"""The progress line: what runs, how many of how many, what came out, and the time left.

In a terminal the line of the running test is rewritten; elsewhere each finished test gets one.
Known to pytest by its hooks' names alone.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from time import monotonic
from typing import Any

from pluggy import HookimplMarker

from convbench.base.units import Second, clock, seconds
from convbench.checks.parity import Parity
from convbench.measure.estimates import estimates
from convbench.measure.records import Entry, Measurement

hookimpl = HookimplMarker("pytest")


class Progress:
    """Shows the benchmarks of one session as they come and go."""

    def __init__(
        self, reporter: Any, tests: set[str], now: Callable[[], Second] = monotonic
    ) -> None:
        self.reporter, self.tests, self.now = reporter, tests, now
        self.done = 0
        self.began: Second | None = None
        self.notes: dict[str, str] = {}
        self._file = ""
        self._reason = ""

    def note(self, test: str, entry: Entry) -> None:
        """What came out of a test, to be shown when it is over."""
        if isinstance(entry, Measurement) and entry.rounds_s:
            from convbench.report.throughput import figure  # noqa: PLC0415  (imports pandas)

            (found,) = estimates([entry])
            usual = seconds(found.step_s.median)
            self.notes[test] = f"{figure(found)} images/s, {usual} a step"
        elif isinstance(entry, Parity):
            self.notes[test] = f"the same to {entry.error:.0e}, at {entry.worst_node}"

    @hookimpl(wrapper=True)
    def pytest_runtest_logstart(self, nodeid: str) -> Generator[None, None, None]:
        """Shows what begins, where a line can be rewritten, below the path of a new file."""
        file = nodeid.partition("::")[0]
        begins = nodeid in self.tests and file != self._file
        if begins:
            self._file = file
            self.reporter.currentfspath = None  # no percentage after the lines of the last file
        yield
        if nodeid not in self.tests:
            return
        if begins:
            self.reporter.write("\n")
        if self.began is None:
            self.began = self.now()
        if self.reporter.isatty:
            text = f"[{self.done + 1}/{len(self.tests)}] {_name(nodeid)} ... {self._left()}"
            self.reporter.rewrite(text, erase=True)

    @hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: Any) -> None:
        """Shows what has ended, with its result or the reason why there is none."""
        if report.nodeid not in self.tests:
            return
        if report.outcome != "passed":
            self._reason = f"{report.outcome}: {_reason(report)}"
        if report.when != "teardown":
            return
        self.done += 1
        result = self._reason or self.notes.get(report.nodeid, "as the papers have it")
        self._reason = ""
        width = len(str(len(self.tests)))
        text = f"[{self.done:{width}}/{len(self.tests)}] {_name(report.nodeid)}: {result}"
        left = self._left()
        if self.reporter.isatty:
            self.reporter.rewrite(text, erase=True)
            self.reporter.write("\n")
        else:
            self.reporter.write(f"{text}{f' ({left})' if left else ''}\n", flush=True)

    @hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: Any) -> tuple[str, str, str] | None:
        """Silences pytest's letters for the tests that have lines of their own."""
        if report.nodeid not in self.tests or (report.when != "call" and report.passed):
            return None
        shown = report.failed or self.reporter.verbosity > 0
        return report.outcome, "", report.outcome.upper() if shown else ""

    def _left(self) -> str:
        """How long the rest takes if it goes on like this."""
        if not self.done or self.began is None or self.done == len(self.tests):
            return ""
        each = (self.now() - self.began) / self.done
        return f"about {clock(each * (len(self.tests) - self.done))} left"


def _name(nodeid: str) -> str:
    """`resnet50-keras forward` for `bench/test_forward.py::test_forward[resnet50-keras]`."""
    function, _, case = nodeid.rpartition("::")[2].partition("[")
    return f"{case.rstrip(']')} {function.removeprefix('test_')}"


def _reason(report: Any) -> str:
    """The first line of why a test did not pass."""
    longrepr = report.longrepr
    text = longrepr[2] if isinstance(longrepr, tuple) else str(longrepr)
    text = text.removeprefix("Skipped: ")
    return text.strip().splitlines()[0] if text.strip() else "no reason given"
