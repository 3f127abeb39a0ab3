"""Whatever a worker does, its own task fails with one sentence, and the next one is served."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator

import psutil
import pytest

from convbench.base.errors import FrameworkMissing, WorkerFailed
from convbench.base.processes.programs import Interpreter
from convbench.measure.records import Task
from convbench.measure.worker import launcher as launcher_module
from convbench.measure.worker import messages
from convbench.measure.worker.launcher import Child, Launcher
from convbench.papers.sources import tables_folder
from tests.conftest import gone, script
from tests.support import fakes

pytestmark = pytest.mark.processes

TABLES = str(tables_folder())
TASK = Task(
    architecture="lenet5",
    framework=fakes.NAME,
    pass_="forward",
    batch=1,
    device="cpu",
    threads=1,
)
PREPARE = messages.Prepare(TASK, TABLES, warmup_s=0.0)
PATIENT_S, HASTY_S = 120.0, 0.4

Fault = Callable[[str], None]


def prepare(child: Child) -> messages.Prepared | messages.Refused:
    return child.ask(PREPARE, messages.Prepared, "preparing")


def serves(launcher: Launcher) -> bool:
    """Whether a whole task succeeds."""
    with launcher.open(TASK.label) as child:
        prepared = prepare(child)
        timed = child.ask(messages.Rounds(2, 3), messages.Timed, "timing")
    return isinstance(prepared, messages.Prepared) and isinstance(timed, messages.Timed)


def offspring(launcher: Launcher | None = None) -> set[int]:
    """All that this process has started, but for what a launcher has between two tasks."""
    found = {process.pid for process in psutil.Process().children(recursive=True)}
    return found - (waiting(launcher) if launcher else set())


def waiting(launcher: Launcher) -> set[int]:
    """The process that the launcher has started, and the template below it."""
    with contextlib.suppress(psutil.NoSuchProcess, AttributeError):
        guard = psutil.Process(launcher._process.pid)
        return {guard.pid, *(child.pid for child in guard.children())}
    return set()


def template_of(launcher: Launcher) -> int:
    (template,) = psutil.Process(launcher._process.pid).children()
    return template.pid


@pytest.fixture(scope="module")
def shared() -> Iterator[Launcher]:
    """One template for many tests: what one task does is no other task's business."""
    with Launcher(fakes.NAME, timeout_s=PATIENT_S) as launcher:
        yield launcher


@pytest.fixture
def launcher(shared: Launcher) -> Iterator[Launcher]:
    shared.timeout_s = PATIENT_S
    before = offspring(shared)
    yield shared
    left = offspring(shared) - before
    assert all(map(gone, left)), f"processes are left behind: {left}"


def test_a_task_is_checked_prepared_timed_and_its_memory_read(launcher):
    with launcher.open(TASK.label) as child:
        checked = child.ask(messages.Check("lenet5", TABLES), messages.Checked, "checking")
        prepared = prepare(child)
        timed = child.ask(messages.Rounds(4, 5), messages.Timed, "timing")
        peaks = child.ask(messages.Peak(), messages.Peaks, "reading")
    assert checked.report.proven
    assert checked.report.framework == fakes.NAME
    assert prepared.report.proven
    assert prepared.build_s >= 0 < prepared.first_s
    assert len(timed.rounds_s) == 4
    assert min(timed.rounds_s) > 0
    assert peaks.memory.host_bytes > 0
    assert peaks.memory.device_allocated_bytes is None, "a machine without a device has no 0"
    assert launcher.version == fakes.VERSION


def test_the_template_stays_and_each_task_has_its_own_child(launcher):
    pids, templates = [], set()
    for _ in range(3):
        with launcher.open(TASK.label) as child:
            pids.append(child.pid)
            templates.add(psutil.Process(child.pid).ppid())
        assert gone(child.pid)
    assert len(set(pids)) == 3
    assert templates == {template_of(launcher)}


# What a worker does, and what the user is told.
DEATHS = {
    "exit": "ended with exit code 3",
    "sys.exit": "ended with exit code",
    "sigkill": "was killed by SIGKILL",
    "close": "ended with exit code 1",
    "garbage": "answered nonsense",
    "flood": "answered nonsense",
}
SILENCES = {"hang": "gave no answer for", "stop": "gave no answer for"}
REFUSALS = {
    "RuntimeError": "RuntimeError: the kernel is unhappy",
    "MemoryError": "does not fit: needs at least ",
    "oom": "does not fit: needs at least 2,048 GiB of memory; choose a smaller batch",
}


@pytest.mark.parametrize("stage", fakes.STAGES)
@pytest.mark.parametrize("what", [*DEATHS, *SILENCES])
def test_a_worker_that_dies_or_is_silent_fails_its_task_alone(
    launcher, fault, monkeypatch, what, stage
):
    monkeypatch.setattr(launcher_module, "MAX_MESSAGE", fakes.FLOOD_BYTES // 4)
    launcher.close()  # a reader that knows the new limit
    fault(f"{what}@{stage}")
    with launcher.open(TASK.label) as child:
        launcher.timeout_s = HASTY_S if what in SILENCES else PATIENT_S
        with pytest.raises(WorkerFailed) as failed:
            prepare(child)
    sentence = str(failed.value)
    assert (DEATHS | SILENCES)[what] in sentence
    assert sentence.startswith(TASK.label)
    assert "while preparing" in sentence
    assert "\n" not in sentence
    assert gone(child.pid)
    fault("")
    launcher.timeout_s = PATIENT_S
    template = launcher._process.pid
    assert serves(launcher)
    assert launcher._process.pid == template, "only the child had to go"


@pytest.mark.parametrize("stage", fakes.STAGES)
@pytest.mark.parametrize("what", REFUSALS)
def test_what_a_framework_raises_is_a_refusal_in_one_line(launcher, fault, what, stage):
    fault(f"{what}@{stage}")
    with launcher.open(TASK.label) as child:
        refused = prepare(child)
    memory = what != "RuntimeError"
    outcome = "refused" if memory else "failed"
    expected = messages.Refused(refused.why, outcome=outcome, shortage=refused.shortage)
    assert refused == expected
    assert (refused.shortage is not None) == memory
    assert refused.why.startswith(REFUSALS[what])
    assert "\n" not in refused.why
    fault("")
    assert serves(launcher)


@pytest.mark.parametrize(("what", "error"), [*DEATHS.items(), *SILENCES.items()])
def test_a_worker_that_fails_between_rounds_fails_its_task_alone(launcher, fault, what, error):
    with launcher.open(TASK.label) as child:
        assert isinstance(prepare(child), messages.Prepared)
        fault(f"{what}@step")
        launcher.timeout_s = HASTY_S if what in SILENCES else PATIENT_S
        with pytest.raises(WorkerFailed, match=error):
            child.ask(messages.Rounds(3, 1), messages.Timed, "timing rounds")
    fault("")
    launcher.timeout_s = PATIENT_S
    assert serves(launcher)


def test_a_worker_killed_from_outside_is_told_from_one_that_ends(launcher):
    with launcher.open(TASK.label) as child:
        os.kill(child.pid, signal.SIGSEGV)
        with pytest.raises(WorkerFailed, match="was killed by SIGSEGV") as failed:
            prepare(child)
    assert "want of memory" not in str(failed.value)
    assert serves(launcher)


def test_half_a_message_at_the_end_costs_the_template_and_nothing_more(
    launcher, fault, monkeypatch
):
    monkeypatch.setattr(launcher_module, "EXIT_TIMEOUT", HASTY_S)
    fault("mumble@build")
    with launcher.open(TASK.label) as child, pytest.raises(WorkerFailed, match="nonsense"):
        prepare(child)
    fault("")
    assert serves(launcher)


def test_a_template_that_is_killed_fails_one_task(launcher):
    with launcher.open(TASK.label) as child:
        os.kill(template_of(launcher), signal.SIGKILL)
        with pytest.raises(WorkerFailed, match="the worker ended"):
            prepare(child)
    assert gone(child.pid), "a child leaves with its template"
    assert serves(launcher)


@pytest.mark.parametrize("noticed", [True, False], ids=["noticed", "unnoticed"])
def test_a_template_that_died_between_tasks_is_replaced_without_a_word(launcher, noticed):
    assert serves(launcher)
    guard = launcher._process
    os.kill(template_of(launcher), signal.SIGKILL)
    if noticed:
        guard.wait()
    assert serves(launcher)


def test_a_child_that_does_not_leave_is_killed(launcher, monkeypatch):
    monkeypatch.setattr(launcher_module, "EXIT_TIMEOUT", HASTY_S)
    with launcher.open(TASK.label) as child:
        os.kill(child.pid, signal.SIGSTOP)
    assert gone(child.pid)
    assert serves(launcher)


def test_an_answer_out_of_turn_ends_the_child(launcher):
    with launcher.open(TASK.label) as child:
        with pytest.raises(WorkerFailed, match="answered Checked out of turn"):
            child.ask(messages.Check("lenet5", TABLES), messages.Peaks, "reading")
        assert gone(child.pid)
    assert serves(launcher)


def test_last_words_are_in_the_sentence_and_only_the_tasks_own(launcher, fault):
    fault("chatter@build")
    assert serves(launcher)
    fault("exit@build")
    with launcher.open(TASK.label) as child, pytest.raises(WorkerFailed) as failed:
        prepare(child)
    assert "an earlier task" not in str(failed.value)
    with launcher.open(TASK.label) as child:
        fault("no-such-fault@build")  # KeyError is raised, and told by the child itself
        refused = prepare(child)
    assert refused.why == "KeyError: 'no-such-fault'"


def test_a_log_is_nobodys_last_words(launcher, fault):
    fault("log@build")
    with launcher.open(TASK.label) as child, pytest.raises(WorkerFailed) as failed:
        prepare(child)
    assert failed.value.why == "ended with exit code 3; its last words: the kernel is gone"


def test_the_time_out_is_told_as_it_was_given(launcher, fault):
    fault("hang@build")
    with launcher.open(TASK.label) as child:
        launcher.timeout_s = 0.5
        with pytest.raises(WorkerFailed, match=r"0\.5 s"):
            prepare(child)


IMPORT_FAULTS = {
    "exit": "its process ended while importing",
    "sys.exit": "its process ended while importing",
    "sigkill": "its process ended while importing",
    "garbage": "message: wanted",
    "close": "its process ended while importing",
    "hang": "its import takes more than",
    "stop": "its import takes more than",
    "RuntimeError": "importing tests.support.fakes fails with RuntimeError: the kernel is unhappy",
    "MemoryError": "importing tests.support.fakes fails with MemoryError",
}


@pytest.mark.parametrize("what", IMPORT_FAULTS)
def test_a_framework_that_does_not_import_is_missing(fault, monkeypatch, what):
    monkeypatch.setattr(launcher_module, "IMPORT_TIMEOUT", 1 if what in SILENCES else PATIENT_S)
    fault(f"{what}@import")
    with Launcher(fakes.NAME, timeout_s=PATIENT_S) as launcher:
        before = offspring()
        with pytest.raises(FrameworkMissing) as missing:
            launcher.open(TASK.label)
        sentence = str(missing.value)
        assert sentence.startswith(f"{fakes.NAME} cannot be used: {IMPORT_FAULTS[what]}")
        assert "\n" not in sentence
        assert offspring() <= before
        fault("")
        monkeypatch.setattr(launcher_module, "IMPORT_TIMEOUT", PATIENT_S)
        assert serves(launcher), "mended, it can be used"


def test_a_module_that_is_not_there_is_named_with_what_to_do():
    launcher = Launcher("nowhere.at_all", timeout_s=PATIENT_S)
    with launcher, pytest.raises(FrameworkMissing) as missing:
        launcher.open(TASK.label)
    assert str(missing.value) == (
        "nowhere.at_all cannot be used: importing nowhere.at_all fails with ModuleNotFoundError: "
        "No module named 'nowhere'; put nowhere.at_all on the Python path"
    )


def test_spawning_gives_each_task_a_process_of_its_own(fault):
    pids = []
    with Launcher(fakes.NAME, timeout_s=PATIENT_S, spawn=True) as launcher:
        for _ in range(2):
            with launcher.open(TASK.label) as child:
                assert isinstance(prepare(child), messages.Prepared)
                pids.append(child.pid)
            assert gone(child.pid)
        assert not launcher.forks
        fault("sigkill@load")
        with launcher.open(TASK.label) as child, pytest.raises(WorkerFailed, match="worker ended"):
            prepare(child)
        fault("")
        assert serves(launcher)
    assert len(set(pids)) == 2


def test_closing_twice_or_unopened_is_nothing():
    launcher = Launcher(fakes.NAME)
    launcher.close()
    with launcher.open(TASK.label) as child:
        pass
    launcher.close()
    launcher.close()
    assert gone(child.pid)
    assert serves(launcher), "closed is not the end"
    launcher.close()


def test_closing_the_launcher_ends_a_child_that_is_still_open():
    launcher = Launcher(fakes.NAME, timeout_s=PATIENT_S)
    child = launcher.open(TASK.label)
    template = template_of(launcher)
    os.kill(child.pid, signal.SIGSTOP)
    launcher.close()
    assert gone(child.pid)
    assert gone(template)


PARENT = """
import sys, time
from convbench.measure.worker.launcher import Launcher
launcher = Launcher("tests.support.fakes")
child = launcher.open("a task")
print(launcher._process.pid, child.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of a parent's end")
@pytest.mark.parametrize("stopped", [False, True], ids=["idle", "stopped"])
def test_a_parent_that_is_killed_takes_its_workers_along(stopped):
    command = [sys.executable, "-c", textwrap.dedent(PARENT)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        template, child = map(int, parent.stdout.readline().split())
        assert psutil.pid_exists(template)
        assert psutil.pid_exists(child)
        if stopped:
            os.kill(child, signal.SIGSTOP)
        parent.kill()
    assert gone(template)
    assert gone(child)


class DeadLauncher(Launcher):
    """A launcher whose template has just ended: it hangs up once, and then there is silence."""

    def __init__(self) -> None:
        super().__init__(fakes.NAME)
        self.hung_up = self.closed = False

    def receive(self, timeout_s: float) -> None:
        assert not self.hung_up, f"waits {timeout_s} s for a process that has ended"
        self.hung_up = True

    def close(self) -> None:
        self.closed = True


def test_nobody_waits_for_a_template_that_has_hung_up(monkeypatch):
    monkeypatch.setattr(os, "kill", lambda *_: None)
    launcher = DeadLauncher()
    child = Child(launcher, "a task")
    child.pid = 1
    with pytest.raises(WorkerFailed, match="the worker ended"):
        child.expect(messages.Peaks, 1.0, "reading")
    assert launcher.closed


def test_a_worker_of_another_version_is_refused_at_once(tmp_path):
    old = script(tmp_path / "python", """echo '{"kind": "ready", "version": "1", "forks": true}'""")
    interpreter = Interpreter(python=str(old))
    with (
        Launcher(fakes.NAME, interpreter=interpreter) as launcher,
        pytest.raises(FrameworkMissing, match="speaks form 1 of messages, and this one 5"),
    ):
        launcher.open("a task")


def test_a_convbench_without_this_worker_is_called_too_old(tmp_path):
    words = "python: Error while finding module specification: No module named 'convbench.measure'"
    interpreter = Interpreter(
        python=str(script(tmp_path / "python", f'echo "{words}" >&2; exit 1'))
    )
    with (
        Launcher(fakes.NAME, interpreter=interpreter) as launcher,
        pytest.raises(FrameworkMissing, match="its convbench is too old; install the same"),
    ):
        launcher.open("a task")
