"""Progress in a terminal and in a file: what runs, what came out, and the time left."""

from __future__ import annotations

import pytest
from attrs import define, field

from convbench.front.plugin.progress import Progress
from convbench.measure.records import Measurement, Task

FORWARD = "bench/test_forward.py::test_forward[{}]"
TESTS = [FORWARD.format(case) for case in ("lenet5-keras", "vgg16-keras", "zfnet-keras")]
OTHER = "bench/test_other.py::test_other"


@define
class FakeReporter:
    """Keeps what a terminal reporter would print."""

    isatty: bool = False
    verbosity: int = 0
    currentfspath: object = "before"
    written: list[str] = field(factory=list)
    rewritten: list[str] = field(factory=list)

    def write(self, text: str, *, flush: bool = False) -> None:
        assert not flush or text.endswith("\n")
        self.written.append(text)

    def rewrite(self, text: str, *, erase: bool) -> None:
        assert erase, "a longer line below would shine through"
        self.rewritten.append(text)


@define
class Session:
    """A session of tests that each take a minute."""

    reporter: FakeReporter = field(factory=FakeReporter)
    now_s: float = 0.0
    progress: Progress = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.progress = Progress(self.reporter, set(TESTS), now=lambda: self.now_s)

    def start(self, nodeid: str) -> None:
        for _ in self.progress.pytest_runtest_logstart(nodeid):
            pass  # where pytest prints its own

    def end(self, nodeid: str, outcome: str = "passed", why: object = "", when: str = "call"):
        self.now_s += 60
        for phase in dict.fromkeys(("setup", when, "teardown")):
            ends = outcome if phase == when else "passed"
            self.progress.pytest_runtest_logreport(report(nodeid, phase, ends, why))

    @property
    def lines(self) -> list[str]:
        return [text.strip() for text in self.reporter.written if text.strip()]


def report(nodeid: str, when: str, outcome: str, why: object = "") -> pytest.TestReport:
    return pytest.TestReport(nodeid, (nodeid, 0, nodeid), {}, outcome, why, when)


def measured(rounds_s: tuple[float, ...]) -> Measurement:
    task = Task(
        architecture="lenet5",
        framework="keras",
        pass_="forward",
        batch=4,
        device="cpu",
        threads=1,
    )
    return Measurement(task=task, outcome="measured", rounds_s=rounds_s)


def test_each_test_has_one_plain_line_where_nothing_can_be_rewritten():
    session = Session()
    for test in TESTS:
        session.start(test)
        assert not session.reporter.rewritten
        session.progress.note(test, measured((0.5, 0.495, 0.505)))
        session.end(test)
    result = "8.00 ± 1.0% (3 rounds) images/s, 500 ms a step"
    assert session.lines == [
        f"[1/3] lenet5-keras forward: {result} (about 2:00 left)",
        f"[2/3] vgg16-keras forward: {result} (about 1:00 left)",
        f"[3/3] zfnet-keras forward: {result}",
    ]


def test_a_terminal_shows_what_runs_and_rewrites_it_with_the_result():
    session = Session(FakeReporter(isatty=True))
    session.start(TESTS[0])
    assert session.reporter.rewritten[-1].strip() == "[1/3] lenet5-keras forward ..."
    session.end(TESTS[0])
    assert session.reporter.rewritten[-1] == "[1/3] lenet5-keras forward: as the papers have it"
    session.start(TESTS[1])
    assert session.reporter.rewritten[-1] == "[2/3] vgg16-keras forward ... about 2:00 left"
    assert "".join(session.reporter.written).strip() == "", "every line is a rewritten one"


def test_the_time_left_is_learned_from_what_was_done():
    session = Session()
    session.now_s = 1000.0  # what passed before the first test does not count
    session.start(TESTS[0])
    session.now_s += 30
    session.end(TESTS[0])
    assert session.lines[-1].endswith("(about 3:00 left)"), "90 s a test, two tests left"


ENDS = {
    "failure": ("failed", "it was killed\nhow sad", "call", "failed: it was killed"),
    "skip": (
        "skipped",
        ("file", 3, "Skipped: torch not installed"),
        "call",
        "skipped: torch not installed",
    ),
    "error before": ("failed", "no such fixture", "setup", "failed: no such fixture"),
    "no words": ("failed", "  ", "call", "failed: no reason given"),
    "error after": ("failed", "the disk is full", "teardown", "failed: the disk is full"),
}


@pytest.mark.parametrize(("outcome", "why", "when", "shown"), ENDS.values(), ids=ENDS)
def test_why_a_test_has_no_result_is_on_its_line_and_on_no_other(outcome, why, when, shown):
    session = Session()
    session.start(TESTS[0])
    session.end(TESTS[0], outcome, why, when)
    assert f"lenet5-keras forward: {shown}" in session.lines[0]
    assert "how sad" not in session.lines[0]
    session.start(TESTS[1])
    session.end(TESTS[1])
    assert "vgg16-keras forward: as the papers have it" in session.lines[1]


def test_a_failed_measurement_has_no_figures_to_show():
    session = Session()
    session.progress.note(TESTS[0], measured(()))
    assert not session.progress.notes


def test_other_tests_are_neither_shown_nor_counted():
    session = Session(FakeReporter(isatty=True))
    session.start(OTHER)
    session.end(OTHER)
    assert not session.reporter.written
    assert not session.reporter.rewritten
    assert session.progress.done == 0
    assert session.reporter.currentfspath == "before", "pytest's own line goes on"


@pytest.mark.parametrize(
    ("nodeid", "when", "outcome", "silenced"),
    [
        (TESTS[0], "call", "passed", True),
        (TESTS[0], "call", "failed", True),
        (TESTS[0], "setup", "failed", True),
        (TESTS[0], "setup", "passed", False),
        (OTHER, "call", "passed", False),
        (OTHER, "setup", "failed", False),
    ],
)
def test_letters_are_silenced_for_own_tests_alone(nodeid, when, outcome, silenced):
    status = Session().progress.pytest_report_teststatus(report(nodeid, when, outcome))
    word = "FAILED" if outcome == "failed" else ""
    assert status == ((outcome, "", word) if silenced else None)


def test_a_verbose_run_keeps_its_words():
    progress = Session(FakeReporter(verbosity=1)).progress
    shown = progress.pytest_report_teststatus(report(TESTS[0], "call", "passed"))
    assert shown == ("passed", "", "PASSED")
