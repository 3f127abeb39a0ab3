"""What takes more memory than it may, or than there is, is refused, and the run goes on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from attrs import evolve

from convbench.base.errors import OutOfMemory, WorkerFailed
from convbench.measure.records import Task
from convbench.measure.worker import messages
from convbench.measure.worker.launcher import Child, Launcher
from convbench.papers.sources import tables_folder
from tests.measure.worker.test_launcher import HASTY_S, PATIENT_S, TASK, gone
from tests.support import fakes

pytestmark = pytest.mark.processes


@pytest.fixture
def launcher() -> Iterator[Launcher]:
    with Launcher(fakes.NAME, timeout_s=PATIENT_S) as launcher:
        yield launcher


def prepare(child: Child, task: Task = TASK) -> messages.Prepared | messages.Refused:
    request = messages.Prepare(task, str(tables_folder()), 0.0)
    return child.ask(request, messages.Prepared, "preparing")


LIMIT = 100 * 2**20


@pytest.fixture
def limited() -> Iterator[Launcher]:
    with Launcher(fakes.NAME, timeout_s=PATIENT_S, memory_limit=LIMIT) as launcher:
        yield launcher


@pytest.mark.parametrize("stage", fakes.STAGES)
def test_a_task_that_takes_more_memory_than_it_may_is_ended_and_the_next_one_runs(
    limited, fault, stage
):
    fault(f"take@{stage}")
    with limited.open(TASK.label) as child, pytest.raises(OutOfMemory) as failed:
        prepare(child)
    sentence = str(failed.value)
    assert sentence.startswith(f"{TASK.label}: does not fit: needs at least ")
    assert sentence.endswith(" MiB of memory, the limit is 100 MiB; choose a smaller batch")
    assert gone(child.pid)
    fault("")
    with limited.open(TASK.label) as child:
        assert isinstance(prepare(child), messages.Prepared)


def test_what_arithmetic_says_is_told_if_it_is_more_than_was_seen(limited, fault):
    fault("take@step")
    with limited.open(TASK.label) as child:
        child.needed_bytes = 9 * 2**30
        with pytest.raises(
            OutOfMemory, match=r"at least 9\.00 GiB of memory, the limit is 100 MiB"
        ):
            prepare(child)


def test_what_exceeds_the_limit_by_arithmetic_is_refused_before_it_is_built(limited, fault):
    fault("RuntimeError@build")  # which would be told instead
    with limited.open(TASK.label) as child:
        refused = prepare(child, evolve(TASK, batch=10_000))
    assert refused.shortage.limit == 100 * 2**20
    assert refused.shortage.needed > refused.shortage.limit
    assert refused.why.startswith("does not fit: needs at least ")
    assert "the limit is 100 MiB" in refused.why


def test_a_limit_that_is_kept_changes_nothing(limited):
    with limited.open(TASK.label) as child:
        assert isinstance(prepare(child), messages.Prepared)
        timed = child.ask(messages.Rounds(2, 1), messages.Timed, "timing")
    assert len(timed.rounds_s) == 2


def test_a_child_whose_memory_is_limited_has_no_more_time_than_others(limited, fault):
    fault("hang@step")
    with limited.open(TASK.label) as child:
        limited.timeout_s = HASTY_S
        with pytest.raises(WorkerFailed, match="gave no answer"):
            prepare(child)
    assert gone(child.pid)


def test_where_there_is_no_template_the_limit_holds_as_well(fault):
    fault("take@step")
    with (
        Launcher(fakes.NAME, timeout_s=PATIENT_S, memory_limit=LIMIT, spawn=True) as launcher,
        launcher.open(TASK.label) as child,
        pytest.raises(OutOfMemory, match="the limit is 100 MiB"),
    ):
        prepare(child)


def test_what_a_library_that_aborts_says_of_memory_is_understood(launcher, fault):
    fault("bad_alloc@step")
    with launcher.open(TASK.label) as child, pytest.raises(OutOfMemory, match="does not fit: "):
        prepare(child)
    assert gone(child.pid)


@pytest.mark.parametrize(
    ("exited", "error"),
    [
        (messages.Exited(-9, 1, for_memory=True, grown_bytes=3 * 2**30), OutOfMemory),
        (messages.Exited(-9, 1, grown_bytes=3 * 2**30), WorkerFailed),
        (messages.Exited(1, 1, for_memory=True), WorkerFailed),
    ],
)
def test_who_is_killed_while_the_system_kills_for_memory_does_not_fit(
    launcher, monkeypatch, exited, error
):
    with launcher.open(TASK.label) as child:
        told = evolve(exited, pid=child.pid)
        monkeypatch.setattr(launcher, "receive", lambda _: told)
        with pytest.raises(WorkerFailed) as failed:
            prepare(child)
        monkeypatch.undo()
    assert type(failed.value) is error
    assert ("needs at least 3.00 GiB of memory" in str(failed.value)) == (error is OutOfMemory)
