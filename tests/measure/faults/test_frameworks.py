"""The faults that matter most, in the real frameworks: their threads, handlers and helpers."""

from __future__ import annotations

import contextlib
import os
import signal
import time

import psutil
import pytest

from convbench.base.errors import WorkerFailed
from convbench.measure.worker import messages
from convbench.measure.worker.launcher import Launcher
from convbench.papers.sources import tables_folder
from tests.measure.faults.harness import alive, foster_home, task

pytestmark = [pytest.mark.processes, pytest.mark.slow]

FRAMEWORKS = [
    pytest.param("pytorch", marks=pytest.mark.pytorch),
    pytest.param("keras", marks=pytest.mark.keras),
]


@pytest.fixture(scope="module", params=FRAMEWORKS)
def launcher(request):
    with Launcher(request.param, timeout_s=120) as launcher:
        yield launcher


def prepared(launcher: Launcher, child) -> object:
    task_ = task("lenet5", launcher.framework)
    request = messages.Prepare(task_, str(tables_folder()), warmup_s=0.0)
    return child.ask(request, messages.Prepared, "preparing")


def serves(launcher: Launcher) -> bool:
    with launcher.open("the next task") as child:
        return isinstance(prepared(launcher, child), messages.Prepared)


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGSEGV", "SIGABRT"])
def test_a_child_that_is_killed_while_it_steps_costs_its_task(launcher, name):
    with launcher.open("a task") as child:
        assert isinstance(prepared(launcher, child), messages.Prepared)
        os.kill(child.pid, getattr(signal, name))
        with pytest.raises(WorkerFailed, match=f"was killed by {name}"):
            child.ask(messages.Rounds(1000, 100), messages.Timed, "timing rounds")
    assert serves(launcher)


def test_a_child_that_stands_still_is_given_up(launcher):
    with launcher.open("a task") as child:
        assert isinstance(prepared(launcher, child), messages.Prepared)
        os.kill(child.pid, signal.SIGSTOP)
        launcher.timeout_s, before = 0.5, launcher.timeout_s
        with pytest.raises(WorkerFailed, match="gave no answer"):
            child.ask(messages.Rounds(1000, 100), messages.Timed, "timing rounds")
        launcher.timeout_s = before
    assert serves(launcher)


@pytest.mark.parametrize("who", ["template", "guard"])
def test_a_template_that_is_killed_leaves_nobody(launcher, who):
    with foster_home():
        with launcher.open("a task") as child:
            assert isinstance(prepared(launcher, child), messages.Prepared)
            guard = psutil.Process(launcher._process.pid)
            family = {guard.pid, *(p.pid for p in guard.children(recursive=True))}
            os.kill(guard.pid if who == "guard" else guard.children()[0].pid, signal.SIGKILL)
            with pytest.raises(WorkerFailed, match="the worker ended"):
                child.ask(messages.Rounds(1000, 100), messages.Timed, "timing rounds")
        until = time.monotonic() + 20
        while family & set(alive()) and time.monotonic() < until:
            time.sleep(0.01)
        assert not family & set(alive())
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
    assert serves(launcher)
