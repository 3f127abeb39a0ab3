"""The plugin as a user meets it: runs of `bench/`, what they write, and what may go wrong."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from datetime import datetime

import psutil
import pytest

from convbench.checks.parity import Parity
from convbench.frameworks import registry
from convbench.front.plugin import session
from convbench.measure.journal import Journal
from convbench.networks.passes import EVERYWHERE
from convbench.report import report
from tests.conftest import output, wait_for
from tests.support import fakes
from tests.support.benches import (
    BENCH,
    QUICK,
    bench,
    here,
    measurements,
    run_folder,
    text,
    written_in,
)

pytestmark = pytest.mark.processes


@pytest.mark.parametrize("name", EVERYWHERE)
def test_one_pass_alone_is_run_if_one_is_chosen(pytester, name):
    result = bench(pytester, "--bench-pass", name, "--benchmark-only", "-rP", "--bench-report", "r")
    result.assert_outcomes(passed=1, skipped=1, deselected=2)
    (measured,) = measurements(pytester.path / "r")
    assert measured.task.pass_ == name


def test_what_the_child_timed_is_what_the_json_and_the_journal_say(pytester):
    bench(pytester, "-k", "forward", "--benchmark-json=out.json", "--bench-report", "reports")
    (stored,) = json.loads((pytester.path / "out.json").read_bytes())["benchmarks"]
    (measured,) = measurements(pytester.path / "reports")
    assert stored["stats"]["data"] == pytest.approx(list(measured.rounds_s))
    assert stored["stats"]["iterations"] == measured.iterations
    assert stored["extra_info"] == {"batch": 1, "threads": 1, "version": fakes.VERSION}
    assert stored["group"] == "lenet5 forward"


def test_the_report_folder_has_report_journal_plot_and_index(pytester):
    result = bench(pytester, "--bench-report", "reports")
    result.assert_outcomes(passed=3, deselected=1)
    folder = run_folder(pytester.path / "reports")
    names = {"measurements.jsonl", "report.md", "throughput.png"}
    assert {path.name for path in folder.iterdir()} == names
    assert f"report: {folder / 'report.md'}" in text(result)
    assert folder.name in (folder.parent / "README.md").read_text(encoding="utf-8")
    written = (folder / "report.md").read_text(encoding="utf-8")
    assert {"### Forward (inference)", "### Forward and backward"} <= set(written.splitlines())
    assert "proven" in written


@pytest.mark.parametrize(
    ("framework", "version"),
    [
        pytest.param("pytorch", "torch ", marks=pytest.mark.pytorch),
        pytest.param("keras", "keras ", marks=pytest.mark.keras),
        pytest.param("keras-jax", ", jax ", marks=[pytest.mark.keras, pytest.mark.jax]),
        pytest.param("keras-torch", ", torch ", marks=[pytest.mark.keras, pytest.mark.pytorch]),
    ],
)
def test_a_real_framework_goes_the_same_way(pytester, framework, version):
    options = ("--bench-framework", framework, "--bench-report", "reports")
    unchosen = 2 if "predict" in registry.known(framework).passes else 1
    bench(pytester, *options).assert_outcomes(passed=3, deselected=unchosen)
    for measured in measurements(pytester.path / "reports"):
        assert measured.outcome == "measured"
        assert version in measured.version
        assert min(measured.rounds_s) > 0
        assert measured.memory.host_bytes > 0


def test_a_mode_is_checked_timed_and_reported_beside_the_default(pytester):
    options = ("--bench-mode", "default,tidy", "-k", "structure or forward")
    bench(pytester, *options, "--bench-report", "r").assert_outcomes(passed=4, deselected=4)
    assert [m.task.mode for m in measurements(pytester.path / "r")] == ["default", "tidy"]
    written = (run_folder(pytester.path / "r") / "report.md").read_text(encoding="utf-8")
    assert "## Modes of one framework" in written
    assert "--bench-mode default,tidy" in written


def report_text(pytester) -> str:
    return (run_folder(pytester.path / "r") / "report.md").read_text(encoding="utf-8")


def test_several_processes_are_one_figure_and_the_report_says_over_how_many(pytester):
    options = ("--bench-processes", "3", "--bench-pass", "forward", "--bench-report", "r")
    bench(pytester, *options, "--benchmark-only", "-k", "forward").assert_outcomes(passed=3)
    folder = pytester.path / "r"
    assert [m.task.process for m in measurements(folder)] == [1, 2, 3]
    text_ = report_text(pytester)
    assert "the geometric mean of 3 processes' medians" in text_
    assert "--bench-processes 3 --bench-seed 1" in text_
    assert text_.count("| lenet5 ") == 3, "one row of structure, of throughput and of memory"


def test_the_blocks_of_several_processes_are_in_the_order_of_the_seed(pytester):
    options = ("--bench-processes", "4", "--bench-mode", "default,tidy", "-k", "forward")
    orders = []
    for seed in ("1", "1", "2"):
        result = bench(pytester, *options, "--bench-seed", seed, "--collect-only", "-q")
        orders.append([line for line in result.outlines if "process" in line])
    assert orders[0] == orders[1] != orders[2]
    assert len(orders[0]) == 8
    for process in range(4):
        block = orders[0][2 * process : 2 * process + 2]
        assert all(f"process{process + 1}]" in name for name in block)


def test_a_sweep_has_a_test_and_a_row_for_each_batch(pytester):
    options = ("--bench-batch", "1,3", "--bench-pass", "forward", "--bench-report", "r")
    bench(pytester, *options, "--benchmark-only").assert_outcomes(passed=2, skipped=1, deselected=2)
    assert [m.task.batch for m in measurements(pytester.path / "r")] == [1, 3]
    text_ = report_text(pytester)
    assert re.search(r"\| architecture +\| +batch \|", text_)
    assert "--bench-batch 1,3" in text_
    assert len(parities(pytester.path / "r")) == 0, "there is nothing to compare it with"


def test_seconds_and_precision_are_kept_with_the_measurement(pytester):
    bench(pytester, "-k", "forward", "--bench-precision", "5%", "--bench-report", "r")
    (measured,) = measurements(pytester.path / "r")
    assert (measured.budget_s, measured.precision) == (0.001, 0.05)
    assert measured.others_cores >= 0
    assert "--bench-precision 5%" in report_text(pytester)


def parities(folder):
    entries = Journal(run_folder(folder) / "measurements.jsonl").entries()
    return [entry for entry in entries if isinstance(entry, Parity)]


MODES = ("--bench-mode", "default,tidy", "--bench-report", "r")


def test_what_is_compared_is_proven_to_be_the_same_once(pytester):
    result = bench(pytester, *MODES, "--benchmark-only")
    result.assert_outcomes(passed=4, skipped=3, deselected=1)
    (parity,) = parities(pytester.path / "r")
    assert (parity.name, parity.same) == ("lenet5", True)
    assert parity.sides == (fakes.NAME, f"{fakes.NAME} tidy")


def test_what_is_not_the_same_fails_and_has_no_ratio(pytester, fault):
    fault("other-function@examine")
    result = bench(pytester, *MODES, "-k", "parity or forward")
    result.assert_outcomes(passed=2, failed=1, deselected=5)
    assert (
        "lenet5: tests.support.fakes and tests.support.fakes tidy do not compute the same: "
        in text(result)
    )
    assert "s4_squash: 1.0e-03 in its output" in text(result)
    assert len(measurements(pytester.path / "r")) == 2
    written = (run_folder(pytester.path / "r") / "report.md").read_text(encoding="utf-8")
    modes = written.partition("## Modes of one framework")[2].partition("## Memory")[0]
    assert "±" not in modes.partition("|:---")[2]


def test_what_cannot_be_examined_is_timed_without_a_ratio(pytester, fault):
    fault("sigkill@examine")
    result = bench(pytester, *MODES, "-k", "forward")
    result.assert_outcomes(passed=2, deselected=6)
    written = (run_folder(pytester.path / "r") / "report.md").read_text(encoding="utf-8")
    assert (
        "- lenet5 tests.support.fakes and tests.support.fakes tidy parity: was killed by SIGKILL"
        in written
    )


def test_parity_can_be_switched_off(pytester, fault):
    fault("other-function@examine")
    result = bench(pytester, *MODES, "-k", "parity or forward", "--bench-parity", "off")
    result.assert_outcomes(passed=2, deselected=5)
    assert parities(pytester.path / "r") == []


def test_parity_can_look_at_more_steps(pytester):
    result = bench(pytester, *MODES, "-k", "parity", "--bench-parity-steps", "3")
    result.assert_outcomes(passed=1, deselected=7)
    (parity,) = parities(pytester.path / "r")
    assert parity.steps == 3
    assert f"the same to {parity.error:.0e}, at {parity.worst_node}" in text(result)
    written = (run_folder(pytester.path / "r") / "report.md").read_text(encoding="utf-8")
    assert "of 3 steps" in written.partition("## The same function")[2]


def test_a_mode_that_a_framework_of_ones_own_lacks_fails_with_one_sentence(pytester):
    result = bench(pytester, "--bench-mode", "fast", "-k", "structure or forward")
    result.assert_outcomes(failed=2, deselected=2)
    assert (
        "lenet5 tests.support.fakes fast forward: mode fast: tests.support.fakes cannot run in it"
        in text(result)
    )
    assert "Traceback" not in text(result)


def test_none_writes_nothing(pytester):
    bench(pytester, "--bench-report", "none").assert_outcomes(passed=3, deselected=1)
    assert not written_in(pytester.path)


def test_the_folder_of_the_project_is_used_unless_one_is_given(pytester):
    pytester.makeini("[pytest]\nbench_report = from_ini")
    options = (BENCH, *QUICK, "-c", "tox.ini", "-k", "structure")
    here(pytester, *options).assert_outcomes(passed=1, deselected=3)
    assert run_folder(pytester.path / "from_ini")
    here(pytester, *options, "--bench-report", "given")
    assert run_folder(pytester.path / "given")


class StoppedClock(datetime):
    """The time of day, for two runs that begin within one second."""

    @classmethod
    def now(cls, tz=None):
        return cls(2026, 1, 2, 3, 4, 5, tzinfo=tz)


def test_two_runs_in_one_second_have_a_folder_each(pytester, monkeypatch):
    monkeypatch.setattr(session, "datetime", StoppedClock)
    for _ in range(2):
        bench(pytester, "-k", "structure", "--bench-report", "reports").assert_outcomes(
            passed=1, deselected=3
        )
    reports = list(pytester.path.glob("reports/*/report.md"))
    assert len(reports) == 2


def test_disabled_benchmarks_run_once_and_nothing_is_recorded(pytester):
    result = bench(pytester, "--benchmark-disable", "-k", "forward", "--bench-report", "reports")
    result.assert_outcomes(passed=1, deselected=3)
    assert not written_in(pytester.path)


def test_skipped_benchmarks_start_no_worker(pytester, fault):
    fault("exit@prepare")
    result = bench(pytester, "--benchmark-skip", "-k", "not structure", "--bench-report", "reports")
    result.assert_outcomes(skipped=2, deselected=2)
    assert not written_in(pytester.path)


@pytest.mark.parametrize("only", [True, False], ids=["benchmark-only", "all"])
def test_a_network_that_is_not_the_papers_gets_no_time(pytester, fault, only):
    fault("wrong-structure@observe@lenet5")
    options = ("--bench-arch", "lenet5,lenet5_keras", "--bench-report", "reports")
    result = bench(pytester, *options, *(["--benchmark-only"] if only else []))
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    counts = {"skipped": 2, "failed": 2, "passed": 2} if only else {"failed": 3, "passed": 3}
    result.assert_outcomes(deselected=1, **counts)
    assert "not timed, because it is not the paper's network: output: output is" in text(result)
    assert {m.outcome for m in measurements(pytester.path / "reports")} == {"refused", "measured"}
    written = (run_folder(pytester.path / "reports") / "report.md").read_text(encoding="utf-8")
    assert "**not proven**" in written


def test_a_worker_that_dies_while_checking_is_in_the_report(pytester, fault):
    fault("sigkill@build@lenet5")
    result = bench(pytester, "-k", "structure", "--bench-report", "reports")
    result.assert_outcomes(failed=1, deselected=3)
    written = (run_folder(pytester.path / "reports") / "report.md").read_text(encoding="utf-8")
    assert "- lenet5 tests.support.fakes structure: was killed by SIGKILL" in written


def test_a_killed_worker_fails_its_test_alone(pytester, fault):
    fault("sigkill@step@lenet5_keras")
    names = "lenet5,lenet5_keras,mnist_convnet"
    result = bench(pytester, "--bench-arch", names, "-k", "forward", "--bench-report", "reports")
    result.assert_outcomes(passed=2, failed=1, deselected=3 * 2 + 1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    sentence = "lenet5_keras tests.support.fakes forward: was killed by SIGKILL"
    assert sentence in text(result)
    assert "Traceback" not in text(result)
    outcomes = [(m.task.architecture, m.outcome) for m in measurements(pytester.path / "reports")]
    wanted = ["measured", "failed", "measured"]
    assert outcomes == list(zip(names.split(","), wanted, strict=True))
    written = (run_folder(pytester.path / "reports") / "report.md").read_text(encoding="utf-8")
    assert "## Not measured" in written
    assert written.count(sentence) == 1


def test_a_worker_that_hangs_is_given_up_after_the_time_out(pytester, fault):
    fault("hang@build@lenet5")
    before = set(psutil.Process().children(recursive=True))
    result = bench(pytester, "-k", "forward", "--bench-timeout", "0.5")
    result.assert_outcomes(failed=1, deselected=3)
    assert "gave no answer for" in text(result)
    assert set(psutil.Process().children(recursive=True)) <= before


def test_a_batch_that_cannot_fit_is_refused_with_what_to_do(pytester):
    result = bench(pytester, "-k", "forward", "--bench-batch", "1000000000")
    result.assert_outcomes(failed=1, deselected=3)
    assert "does not fit: needs at least" in text(result)
    assert "choose a smaller batch" in text(result)


@pytest.mark.parametrize("where", ["/dev/full/x", "file/x", "file"])
def test_a_folder_that_cannot_be_written_loses_no_result(pytester, where):
    (pytester.path / "file").write_text("", encoding="ascii")
    result = bench(pytester, "-k", "forward", "--bench-report", where)
    result.assert_outcomes(passed=1, deselected=3)
    assert result.ret != pytest.ExitCode.OK
    assert "cannot be written: " in text(result)
    assert "these are the results so far:" in text(result)
    assert "| lenet5" in text(result)


def test_a_disk_that_fills_up_before_the_report_loses_no_result(pytester, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(report, "write_index", full)
    result = bench(pytester, "-k", "forward", "--bench-report", "reports")
    assert result.ret != pytest.ExitCode.OK
    assert "the report cannot be written: No space left on device" in text(result)
    assert "| lenet5" in text(result)
    assert len(measurements(pytester.path / "reports")) == 1


@pytest.mark.parametrize("content", ["", "{}\n", "garbage\n", '{"schema": 99}\n'])
def test_the_journal_of_another_run_spoils_nothing(pytester, content):
    other = pytester.path / "reports" / "2020-01-01T000000-cpu"
    other.mkdir(parents=True)
    (other / "measurements.jsonl").write_text(content, encoding="utf-8")
    result = bench(pytester, "-k", "forward", "--bench-report", "reports")
    result.assert_outcomes(passed=1, deselected=3)
    assert "INTERNALERROR" not in text(result)
    assert "| lenet5" in text(result) or "report.md" in text(result)


def test_two_at_a_time_are_refused_in_one_sentence(pytester):
    result = bench(pytester, "-n", "2", "-k", "forward")
    result.assert_outcomes(failed=1)
    assert "pytest-xdist" in text(result)
    assert "leave out -n" in text(result)
    assert "Traceback" not in text(result)


@pytest.mark.parametrize(
    ("signals", "status"),
    [
        ([signal.SIGINT], pytest.ExitCode.INTERRUPTED),
        ([signal.SIGINT] * 3, pytest.ExitCode.INTERRUPTED),
        ([signal.SIGTERM], 143),
        ([signal.SIGTERM, signal.SIGINT], 143),
    ],
)
def test_a_signal_to_end_keeps_the_results_so_far(pytester, fault, fault_file, signals, status):
    fault("hang@step@lenet5_keras")
    options = ("--bench-arch=lenet5,lenet5_keras", "-k", "forward", "--bench-report=reports")
    command = [sys.executable, "-m", "pytest", str(BENCH), f"--rootdir={pytester.path}"]
    with subprocess.Popen(
        [*command, *QUICK, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        wait_for(fakes.struck(fault_file))
        workers = psutil.Process(process.pid).children(recursive=True)
        for number in signals:
            os.kill(process.pid, number)
            time.sleep(0.05)
        said, _ = output(process)
    assert process.returncode == status, said
    assert "report: " in said
    first, last = measurements(pytester.path / "reports")
    assert (first.task.architecture, first.outcome) == ("lenet5", "measured")
    assert (last.task.architecture, last.outcome) == ("lenet5_keras", "failed")
    written = (run_folder(pytester.path / "reports") / "report.md").read_text(encoding="utf-8")
    assert "- lenet5_keras tests.support.fakes forward: interrupted\n" in written
    assert len(workers) == 3, "a guard, a template and a child"
    assert not psutil.wait_procs(workers, timeout=60)[1]
