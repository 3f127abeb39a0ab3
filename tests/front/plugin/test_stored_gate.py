"""`--bench-gate` and `convbench baseline` as a user meets them: verdicts, refusals, exit status."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import psutil
import pytest
from attrs import evolve

from convbench.measure.journal import Journal
from convbench.measure.machine import environment as machine
from convbench.measure.records import Memory, Task
from tests.conftest import ROOT, output, wait_for
from tests.support import fakes
from tests.support.benches import QUICK, bench, run_folder, text, written_in
from tests.support.samples import lenet, measured

pytestmark = pytest.mark.processes

FORWARD = Task(
    architecture="lenet5",
    framework=fakes.NAME,
    pass_="forward",
    batch=1,
    device="cpu",
    threads=1,
)
FEW = ("--bench-processes", "6", "-k", "forward", "--bench-gate", "before")
"""As many as can tell anything of one task."""
SLOW, FAST = 1000.0, 1e-9


@pytest.fixture
def stored(pytester):
    """A call that stores a run of this machine, of as many processes, with such steps."""

    def store(step_s, *tasks, processes=6, report=None, **environment):
        journal = Journal(pytester.path / "before" / "measurements.jsonl")
        journal.append(evolve(machine.environment(ROOT), **environment))
        if report is not None:
            journal.append(report)
        for task in tasks or (FORWARD,):
            for number in range(1, processes + 1):
                one = measured(evolve(task, process=number), step_s * 1.001**number, None)
                peak = Memory(host_bytes=int(2**50 * step_s))
                journal.append(evolve(one, first_s=step_s, build_s=step_s, memory=peak))
        return journal.path

    return store


def test_a_slower_run_fails_and_names_what_is_slower(pytester, stored):
    stored(FAST)
    result = bench(pytester, *FEW)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=6, deselected=8)
    assert "= stored baseline =" in text(result)
    assert "worse: lenet5 tests.support.fakes forward: slower by at least " in text(result)
    assert "worse: lenet5 tests.support.fakes forward: slower to the first result by " in text(
        result
    )


def test_a_run_that_is_not_slower_passes_and_says_what_that_is_worth(pytester, stored):
    stored(SLOW)
    result = bench(pytester, *FEW)
    assert result.ret == pytest.ExitCode.OK
    assert ") against before (run of " in text(result)
    assert "3 not worse" in text(result)
    assert "If nothing else has changed since" in text(result)


@pytest.mark.slow
def test_another_structure_fails_whatever_the_times_are(pytester, stored):
    stored(SLOW, report=evolve(lenet(fakes.NAME), parameters=7))
    result = bench(pytester, *FEW)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "differs: lenet5 tests.support.fakes: parameters: base 7, head 60," in text(result)


def refused(pytester, *options):
    """The one sentence that ends pytest before anything is timed."""
    result = bench(pytester, *options, "--bench-report", "now")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert not written_in(pytester.path) - {"before"}
    assert "INTERNALERROR" not in text(result)
    (sentence,) = [line for line in text(result).splitlines() if line.startswith("ERROR: ")]
    return sentence


def test_another_machine_is_refused_before_anything_is_timed(pytester, stored):
    stored(SLOW, cpu="Another CPU")
    sentence = refused(pytester, *FEW)
    assert "baseline before: incomparable: its cpu is Another CPU, and here it is " in sentence


@pytest.mark.parametrize("content", ["", "garbage\n", '{"schema": 99}\n'])
def test_a_baseline_that_cannot_be_read_is_refused(pytester, stored, content):
    stored(SLOW).write_text(content, encoding="utf-8")
    assert refused(pytester, *FEW).startswith("ERROR: --bench-gate: baseline before: ")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--bench-gate", "nowhere"), "baseline nowhere: cannot be read: No such file"),
        (("--bench-batch", "2"), "it has none of these tasks"),
        (("--bench-batch", "max"), "--bench-batch must be a number, which a stored run can have"),
        (("--bench-processes", "1"), "it has 6 processes a task, and this run 1; record one"),
        (("-k", "structure"), "it has none of these tasks"),
        (("--bench-tolerance", "0"), "--bench-tolerance must be a percentage up to 100%"),
    ],
)
def test_a_comparison_that_could_tell_nothing_is_refused(pytester, stored, options, why):
    stored(SLOW)
    assert why in refused(pytester, *FEW, *options)


def test_measuring_nothing_is_no_pass(pytester, stored):
    stored(SLOW)
    result = bench(pytester, *FEW, "--benchmark-disable")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "not compared: lenet5 tests.support.fakes forward (head): was not timed" in text(result)


@pytest.mark.slow
def test_a_task_that_fails_is_named_and_the_others_are_compared(pytester, stored, fault):
    other = evolve(FORWARD, architecture="lenet5_keras")
    stored(SLOW, FORWARD, other)
    fault("sigkill@step@lenet5_keras")
    result = bench(pytester, *FEW, "--bench-arch", "lenet5,lenet5_keras")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert (
        "not compared: lenet5_keras tests.support.fakes forward (head): was killed by SIGKILL"
        in text(result)
    )
    assert "3 not worse" in text(result)


@pytest.mark.parametrize("option", ["--collect-only", "--bench-gate=before"])
def test_without_a_comparison_nothing_is_said_of_one(pytester, stored, option):
    stored(FAST)
    result = bench(pytester, "-k", "forward", "--collect-only", option)
    assert result.ret == pytest.ExitCode.OK
    assert "stored baseline" not in text(result)


def baseline(pytester, *options):
    """A run of `convbench baseline` with the fake framework, as a process."""
    quick = [word.replace("--bench-", "--") for word in QUICK[2:]]
    command = [sys.executable, "-m", "convbench", "baseline", "--to", "kept", *quick, *options]
    return subprocess.Popen(
        command,
        cwd=pytester.path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.slow
def test_a_baseline_is_recorded_described_and_compared_with(pytester):
    with baseline(pytester, "--processes", "6", "--pass", "forward") as process:
        said, errors = output(process)
    assert process.returncode == 0, said + errors
    folder = run_folder(pytester.path / "kept")
    assert "A slowdown of 10% " in said
    words = f"--bench-gate {folder.relative_to(pytester.path)} --bench-processes 6"
    assert f"To compare with it, give a run with the same options {words}" in said
    result = bench(pytester, *FEW[:4], "--bench-gate", "kept", "--bench-tolerance", "100%")
    assert f") against kept (run of {folder.name[:10]}" in text(result)
    assert result.ret in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--arch", "lenet6"), "unknown architecture 'lenet6'"),
        (("--tolerance", "x"), "--tolerance must be a percentage"),
        (("--processes", "0"), "'0' is not a whole number"),
    ],
)
def test_a_baseline_that_cannot_be_recorded_is_one_sentence(pytester, options, sentence):
    with baseline(pytester, *options) as process:
        said, errors = output(process)
    assert process.returncode != 0
    assert sentence in errors
    assert "Traceback" not in said + errors
    assert not written_in(pytester.path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("send", "number", "status"),
    [(os.kill, signal.SIGTERM, 143), (os.killpg, signal.SIGINT, pytest.ExitCode.INTERRUPTED)],
    ids=["kill", "a terminal's Ctrl-C"],
)
def test_a_signal_that_ends_a_baseline_ends_its_processes(
    pytester, fault, fault_file, send, number, status
):
    fault("hang@step@lenet5")
    with baseline(pytester) as process:
        wait_for(fakes.struck(fault_file))
        family = psutil.Process(process.pid).children(recursive=True)
        send(process.pid, number)
        said, _ = output(process)
    assert process.returncode == status
    assert "report: " in said
    assert not psutil.wait_procs(family, timeout=60)[1]
