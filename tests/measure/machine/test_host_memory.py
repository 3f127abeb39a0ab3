"""What a process has taken: what counts, what does not, and where nobody can tell."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from convbench.measure.machine import host_memory
from convbench.measure.records import Task
from convbench.measure.worker import messages
from convbench.measure.worker.launcher import Launcher
from convbench.papers.sources import tables_folder
from tests.support import fakes

MIB = 2**20
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux begins a new peak")

TASK = Task(
    architecture="lenet5", framework=fakes.NAME, pass_="forward", batch=1, device="cpu", threads=1
)


def host_mib() -> float:
    """What a worker that times the fake framework says of its memory."""
    with Launcher(fakes.NAME) as launcher, launcher.open("a task") as child:
        child.ask(messages.Prepare(TASK, str(tables_folder()), 0.0), messages.Prepared, "preparing")
        child.ask(messages.Rounds(1, 1), messages.Timed, "timing")
        return child.ask(messages.Peak(), messages.Peaks, "reading").memory.host_bytes / MIB


@linux
@pytest.mark.processes
@pytest.mark.parametrize("fault_", ["take@step", "crumbs@step"])
def test_what_a_step_takes_is_seen_to_a_few_percent(fault, fault_):
    fault("")
    plain = host_mib()
    fault(fault_)
    assert host_mib() - plain == pytest.approx(fakes.TAKEN_BYTES / MIB, rel=0.03)


@linux
@pytest.mark.processes
@pytest.mark.parametrize("fault_", ["take@build", "crumbs@build", "crumbs@load"])
def test_what_is_freed_before_the_first_step_does_not_count(fault, fault_):
    fault("")
    plain = host_mib()
    fault(fault_)
    assert host_mib() - plain < 0.03 * fakes.TAKEN_BYTES / MIB


FORKED = """
import os, sys
from convbench.measure.machine import host_memory
block = bytearray(os.urandom(1)) * (100 * 2**20)
child = os.fork()
if child == 0:
    baseline = host_memory.resident().own
    stepping = host_memory.Stepping.begin(baseline)
    {step}
    print(stepping.growth() / 2**20, flush=True)
    os._exit(0)
os.waitpid(child, 0)
"""


def growth_mib(step: str) -> float:
    """What a forked child's step comes to."""
    command = [sys.executable, "-c", FORKED.format(step=step)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@linux
@pytest.mark.processes
def test_a_page_of_the_template_that_is_copied_is_not_the_tasks():
    copied = growth_mib("for i in range(0, len(block), 4096): block[i] ^= 1")
    assert abs(copied) < 5
    assert growth_mib("new = bytearray(b'1') * (50 * 2**20)") == pytest.approx(50, abs=3)


@linux
@pytest.mark.processes
def test_pages_of_files_are_not_the_tasks(tmp_path):
    file = tmp_path / "library"
    file.write_bytes(b"1" * (60 * MIB))
    step = f"import mmap; f = open({str(file)!r}, 'rb'); "
    step += "m = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ); sum(m[::4096])"
    assert growth_mib(step) < 5


@pytest.mark.processes
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
@pytest.mark.parametrize("kills", [0, 1])
def test_how_a_child_ended_comes_with_how_large_it_was(kills):
    code = """
import os, signal, sys
from convbench.measure.machine import host_memory
killed = iter([3, 3 + {kills}])
host_memory._killed_by_system = lambda: next(killed)
child = os.fork()
if child == 0:
    block = bytearray(b"1") * (200 * 2**20)
    os.kill(os.getpid(), signal.SIGKILL)
status, grown, for_memory = host_memory.awaited(child)
print(os.waitstatus_to_exitcode(status), round(grown / 2**20), for_memory)
"""
    command = [sys.executable, "-c", code.format(kills=kills)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert (said[0], said[2]) == ("-9", str(bool(kills)))
    assert 180 < int(said[1]) <= 201


def test_what_linux_has_killed_is_counted_and_elsewhere_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(host_memory, "PROC", tmp_path)
    assert host_memory._killed_by_system() == 0
    (tmp_path / "vmstat").write_text("nr_free_pages 7\noom_kill 12\n", encoding="ascii")
    assert host_memory._killed_by_system() == 12


def test_a_peak_that_cannot_begin_anew_is_told_only_if_the_steps_raised_it(monkeypatch):
    monkeypatch.setattr(host_memory, "begin_peak", lambda: False)
    monkeypatch.setattr(host_memory, "resident", lambda: host_memory.Resident(0, 5 * MIB))
    monkeypatch.setattr(host_memory, "peak", lambda: 500 * MIB)
    stepping = host_memory.Stepping.begin(100 * MIB)
    assert stepping.growth() is None, "it may be that of building"
    monkeypatch.setattr(host_memory, "peak", lambda: 600 * MIB)
    assert stepping.growth() == (600 - 5 - 100) * MIB
    monkeypatch.setattr(host_memory, "peak", lambda: None)
    assert stepping.growth() is None


def test_a_system_without_the_means_of_linux_is_asked_what_it_has(monkeypatch, tmp_path):
    monkeypatch.setattr(host_memory, "PROC", tmp_path)
    monkeypatch.setattr(host_memory.sys, "platform", "win32")
    assert not host_memory.begin_peak()
    assert host_memory.peak() is None
    rss = psutil.Process().memory_info().rss
    now = host_memory.resident()
    assert now.files == 0
    assert now.own == pytest.approx(rss, rel=0.1)
    assert host_memory.highest_growth(os.getpid(), rss) == pytest.approx(0, abs=16 * MIB)


@linux
def test_the_peak_of_another_process_is_told_with_what_it_had_in_between():
    code = "b = bytearray(b'1') * (80 * 2**20); del b; print('ready', flush=True); input()"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        now = host_memory.resident(process.pid).own
        grown = host_memory.highest_growth(process.pid, now)
        process.communicate(b"\n")
    assert 70 * MIB < grown < 90 * MIB
    assert not Path(f"/proc/{process.pid}/status").exists()
