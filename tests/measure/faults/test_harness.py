"""The harness objects to whatever is lost or left: it could not tell otherwise."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from convbench.base.errors import WorkerFailed
from convbench.measure.journal import Journal
from convbench.measure.records import Measurement
from convbench.measure.run import Run
from tests.measure.faults.harness import Harness
from tests.measure.faults.plans import Plan, plan

pytestmark = pytest.mark.processes

HARMLESS = Plan(0, "", "nowhere", (("time", "lenet5"), ("check", "lenet1"), ("time", "lenet1")), 0)


@pytest.fixture
def whole(harness) -> Harness:
    """A run that nothing has struck."""
    run = harness(HARMLESS)
    run.run()
    assert run.audit() == [NOT_STRUCK]
    return run


NOT_STRUCK = "the fault has not struck"


def only(harness: Harness) -> str:
    """The one objection, but for that nothing has struck."""
    (found,) = (words for words in harness.audit() if words != NOT_STRUCK)
    return found


def test_a_line_that_is_cut_off_is_seen(whole):
    path = whole.journal.path
    path.write_bytes(path.read_bytes() + b'{"schema": 1, "kind"')
    assert only(whole) == "the journal's last line is cut off"


def test_a_line_that_is_cut_in_the_middle_is_seen(whole):
    lines = whole.journal.path.read_bytes().splitlines(keepends=True)
    whole.journal.path.write_bytes(b"".join([lines[0], lines[1][:50] + b"\n", *lines[2:]]))
    assert only(whole).startswith("the journal cannot be read: measurements.jsonl, line 2")


def test_an_entry_that_is_missing_is_seen(whole):
    kept = [e for e in whole.journal.entries() if not is_timed(e, "lenet1")]
    rewrite(whole, kept)
    assert only(whole) == "job 2 (time lenet1) went otherwise than the journal says: []"


def test_an_entry_that_is_there_twice_is_seen(whole):
    entries = list(whole.journal.entries())
    rewrite(whole, [*entries, next(e for e in entries if is_timed(e, "lenet5"))])
    assert only(whole).startswith("job 0 (time lenet5) went otherwise than the journal says")


def is_timed(entry: object, name: str) -> bool:
    return isinstance(entry, Measurement) and entry.task.architecture == name


def rewrite(harness: Harness, entries: list) -> None:
    harness.journal.path.unlink()
    for entry in entries:
        Journal(harness.journal.path).append(entry)


def test_a_task_that_is_dropped_is_seen(harness, monkeypatch):
    usual = Run.time
    monkeypatch.setattr(
        Run, "time", lambda run, task: task.architecture == "lenet1" or usual(run, task)
    )
    run = harness(HARMLESS)
    run.run()
    assert only(run) == "job 2 (time lenet1) went otherwise than the journal says: []"


def test_a_second_task_that_fails_is_seen(harness, monkeypatch):
    usual = Run.time

    def time(run, task):
        if task.architecture == "lenet1":
            raise WorkerFailed(task.label, "timing", "was lost")
        return usual(run, task)

    monkeypatch.setattr(Run, "time", time)
    run = harness(HARMLESS)
    run.run()
    assert any("job 2 was lost beside the one that was struck" in words for words in run.audit())


def test_what_is_raised_and_is_no_sentence_is_seen(harness, monkeypatch):
    def time(*_):
        raise IndexError("pop from empty list")

    monkeypatch.setattr(Run, "time", time)
    run = harness(HARMLESS)
    run.run()
    assert "job 0 raises IndexError('pop from empty list')" in run.audit()


def test_a_file_that_is_left_is_seen(whole):
    (whole.folder / "reports" / "run" / ".report.md.17").write_text("half", encoding="ascii")
    (Path(tempfile.gettempdir()) / "convbench-left").mkdir()
    first, second = (words for words in whole.audit() if words != NOT_STRUCK)
    assert first == "reports/run/.report.md.17 is left"
    assert second.endswith("convbench-left is left in the folder for temporary files")


@pytest.mark.parametrize("session", [False, True], ids=["in the group", "in a session"])
def test_an_orphan_is_seen_and_ended(harness, session):
    run = harness(HARMLESS)
    program = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; "
    program += f"time.sleep(600)'], start_new_session={session})"
    subprocess.run([sys.executable, "-c", program], check=True)
    run.run()
    assert any(words.startswith("processes are left after job 0: [") for words in run.audit())
    with contextlib.suppress(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


@pytest.mark.parametrize("what", ["grandchild", "daemon"])
def test_without_what_ends_them_grandchildren_are_seen(harness, monkeypatch, what):
    """A template that does not look for what its children leave, as it was once."""
    folder = Path(os.environ["CONVBENCH_FAKE_FAULT"]).parent / "careless"
    folder.mkdir(exist_ok=True)
    careless = (
        "from convbench.base.processes import descendants\ndescendants.end = lambda kept=(): None\n"
    )
    (folder / "sitecustomize.py").write_text(careless, encoding="ascii")
    monkeypatch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{os.environ['PYTHONPATH']}")
    struck = harness(plan(0, what, "warming"))
    struck.run()
    assert any(words.startswith("processes are left after job") for words in struck.audit())
