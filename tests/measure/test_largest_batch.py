"""The search for the largest batch in a run: what it asks of children, and what becomes of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import define, field

from convbench.base.errors import OutOfMemory, Shortage, WorkerFailed
from convbench.measure.machine import environment
from convbench.measure.records import Measurement
from convbench.measure.run import SMALLER, Run
from convbench.measure.sampling import Budget
from convbench.measure.worker import messages
from tests.measure.test_run import ENVIRONMENT, TASK, FakeChild, FakeLauncher


@define
class Full(FakeLauncher):
    """A machine on which batches up to `tried` pass the search, and up to `timed` the rounds."""

    tried: int = 100
    timed: int = 100
    broken: int = 10**9
    batches: list[int] = field(factory=list)

    def open(self, task: str) -> FakeChild:
        return Narrow(self, task)


@define
class Narrow(FakeChild):
    def _answer(self, request: messages.Request) -> messages.Reply:
        if isinstance(request, messages.Prepare):
            batch, searching = request.task.batch, request.warmup_s == 0.0
            self.launcher.batches.append(batch)
            if batch >= self.launcher.broken:
                return messages.Refused("RuntimeError: too many", outcome="failed")
            if batch > (self.launcher.tried if searching else self.launcher.timed):
                why = f"does not fit: needs at least {batch} GiB of memory; choose a smaller batch"
                return messages.Refused(why, shortage=Shortage(batch * 2**30))
        return super()._answer(request)


def run(launcher: Full, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(environment, "environment", lambda _: ENVIRONMENT)
    return Run(Path(), Budget(0.01, 1.0), 60, None, Path(), launch=launcher)


def kept(this: Run) -> list[Measurement]:
    return [entry for entry in this.entries if isinstance(entry, Measurement)]


def test_the_batch_that_was_found_is_timed_and_kept(monkeypatch):
    launcher = Full()
    this = run(launcher, monkeypatch)
    found = this.time_largest(TASK)
    assert kept(this) == [found]
    assert (found.task.batch, found.outcome) == (100, "measured")
    assert found.batch_search == "batch 100 fits, 104 does not: needs at least 104 GiB of memory"
    assert launcher.batches == [1, 2, 4, 8, 16, 32, 64, 128, 96, 112, 104, 100, 100]
    this.time_largest(TASK)
    assert launcher.batches[13:] == [100], "nothing is searched twice"


def test_a_batch_that_does_not_fit_after_all_is_made_smaller(monkeypatch):
    this = run(Full(timed=90), monkeypatch)
    found = this.time_largest(TASK)
    assert kept(this) == [found]
    assert found.task.batch == 89
    assert found.batch_search.endswith(
        "; while timing 100 did not: needs at least 100 GiB of memory"
        "; while timing 94 did not: needs at least 94.0 GiB of memory"
    )


def test_a_batch_that_shrinks_in_vain_is_refused(monkeypatch):
    launcher = Full(timed=10)
    this = run(launcher, monkeypatch)
    with pytest.raises(OutOfMemory):
        this.time_largest(TASK)
    assert len(launcher.batches[12:]) == 1 + SMALLER
    (refused,) = kept(this)
    assert (refused.outcome, refused.task.batch) == ("refused", 100)


def test_what_only_later_steps_need_is_found_in_the_search(monkeypatch):
    class Later(Narrow):
        def ask(self, request, reply, stage):
            if isinstance(request, messages.Prepare):
                self.batch = request.task.batch
            if isinstance(request, messages.Rounds) and self.batch > 50:
                raise OutOfMemory(self.task, stage, "does not fit", Shortage(7 * 2**30))
            return super().ask(request, reply, stage)

    class LaterFull(Full):
        def open(self, task):
            return Later(self, task)

    found = run(LaterFull(), monkeypatch).time_largest(TASK)
    assert found.task.batch == 50
    assert found.batch_search == "batch 50 fits, 52 does not: needs at least 7.00 GiB of memory"


def test_another_failure_ends_the_search_with_what_fitted(monkeypatch):
    found = run(Full(broken=8), monkeypatch).time_largest(TASK)
    assert found.task.batch == 7
    assert found.batch_search.startswith("batch 7 fits, 8 does not: RuntimeError: too many")


def test_a_failure_at_the_first_batch_is_that_of_the_task(monkeypatch):
    this = run(Full(broken=1), monkeypatch)
    with pytest.raises(WorkerFailed, match="RuntimeError: too many"):
        this.time_largest(TASK)
    assert [m.outcome for m in kept(this)] == ["failed"]
