"""The plugin as a user meets it: real pytest runs of `bench/`, with the fake framework."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import psutil
import pytest

from convbench import frameworks, plugin, report
from convbench.record import Journal, Measurement
from tests import fakes
from tests.conftest import ROOT, output, wait_for

BENCH = ROOT / "bench"
QUICK = ("-p", "no:cacheprovider", "--bench-framework", fakes.NAME, "--bench-arch", "lenet5")
QUICK += ("--bench-seconds", "0.001", "--bench-batch", "1", "--bench-threads", "1")
QUICK += ("--bench-device", "cpu")


def here(pytester: pytest.Pytester, *options: object) -> pytest.RunResult:
    """A run of pytest in this process; Hypothesis's plugin would be loaded anew in each."""
    return pytester.runpytest_inprocess("-p", "no:hypothesispytest", *options)


def bench(pytester: pytest.Pytester, *options: object) -> pytest.RunResult:
    """A run of the real benchmark files in an empty folder."""
    return here(pytester, BENCH, f"--rootdir={pytester.path}", *QUICK, *options)


def text(result: pytest.RunResult) -> str:
    return f"{result.stdout}\n{result.stderr}"


def run_folder(folder: Path) -> Path:
    """The folder of the one run in a folder of reports."""
    (found,) = (path for path in folder.iterdir() if path.is_dir())
    return found


def written_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {".benchmarks"}  # pytest-benchmark's own


def measurements(folder: Path) -> list[Measurement]:
    entries = Journal(run_folder(folder) / "measurements.jsonl").entries()
    return [entry for entry in entries if isinstance(entry, Measurement)]


def test_every_chosen_task_is_one_test_with_a_name_that_says_all(pytester):
    options = ("--bench-arch", "lenet5,lenet5_keras", "--collect-only", "-q")
    result = bench(pytester, *options)
    names = ["lenet5-tests.fakes", "lenet5_keras-tests.fakes"]
    wanted = [f"test_{file}.py::test_{file}[{name}]" for file in ("structure",) for name in names]
    wanted += [f"test_{f}.py::test_{f}[{n}]" for f in ("backward", "forward") for n in names]
    assert [line for line in result.outlines if "::" in line] == wanted
    result.assert_outcomes(deselected=1)  # the pass that was not chosen


def test_a_framework_named_twice_is_run_once(pytester):
    named = f"{fakes.NAME},{fakes.NAME}"
    result = bench(pytester, "--bench-framework", named, "-k", "structure", "--collect-only", "-q")
    assert [line for line in result.outlines if "::" in line] == [
        "test_structure.py::test_structure[lenet5-tests.fakes]"
    ]


def test_k_selects_by_architecture_pass_and_framework(pytester):
    options = ("--bench-arch", "lenet5,zfnet", "--collect-only", "-q")
    result = bench(pytester, *options, "-k", "lenet5 and forward and fakes")
    assert [line for line in result.outlines if "::" in line] == [
        "test_forward.py::test_forward[lenet5-tests.fakes]"
    ]


@pytest.mark.parametrize("name", frameworks.PASSES)
def test_one_pass_alone_is_run_if_one_is_chosen(pytester, name):
    result = bench(pytester, "--bench-pass", name, "--benchmark-only", "-rP", "--bench-report", "r")
    result.assert_outcomes(passed=1, skipped=1, deselected=2)
    (measured,) = measurements(pytester.path / "r")
    assert measured.task.pass_ == name


# An option, and the sentence that refuses it.
BAD_OPTIONS = {
    "--bench-arch=lenet6": "unknown architecture 'lenet6'; did you mean lenet or lenet5",
    "--bench-arch=,": "--bench-arch",
    "--bench-pass=forwards": "unknown pass 'forwards'; did you mean forward?",
    "--bench-pass=,": "--bench-pass",
    "--bench-device=tpu": "unknown device 'tpu'",
    "--bench-framework=torch": "unknown framework 'torch'; did you mean pytorch?",
    "--bench-framework=,": "--bench-framework",
    "--bench-batch=0": "--bench-batch must be a positive whole number, but is '0'",
    "--bench-batch=1.5": "--bench-batch must be a positive whole number, but is '1.5'",
    "--bench-threads=-2": "--bench-threads must be a positive whole number, but is '-2'",
    "--bench-seconds=nan": "--bench-seconds must be a positive number, but is 'nan'",
    "--bench-seconds=long": "--bench-seconds must be a positive number, but is 'long'",
    "--bench-timeout=inf": "--bench-timeout must be a positive number, but is 'inf'",
}


@pytest.mark.parametrize(("option", "sentence"), BAD_OPTIONS.items(), ids=BAD_OPTIONS)
def test_a_wrong_option_ends_pytest_with_one_sentence(pytester, option, sentence):
    result = bench(pytester, option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    errors = [line for line in result.errlines if line.strip()]
    assert errors[0].startswith("ERROR: ")
    assert sentence in errors[0]
    assert len(errors) == 1


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
    ],
)
def test_a_real_framework_goes_the_same_way(pytester, framework, version):
    options = ("--bench-framework", framework, "--bench-report", "reports")
    bench(pytester, *options).assert_outcomes(passed=3, deselected=1)
    for measured in measurements(pytester.path / "reports"):
        assert measured.outcome == "measured"
        assert version in measured.version
        assert min(measured.rounds_s) > 0
        assert measured.memory.host_bytes > 0


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
    monkeypatch.setattr(plugin, "datetime", StoppedClock)
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


def test_a_killed_worker_fails_its_test_alone(pytester, fault):
    fault("sigkill@step@lenet5_keras")
    names = "lenet5,lenet5_keras,mnist_convnet"
    result = bench(pytester, "--bench-arch", names, "-k", "forward", "--bench-report", "reports")
    result.assert_outcomes(passed=2, failed=1, deselected=3 * 2 + 1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    sentence = "lenet5_keras tests.fakes forward: was killed by SIGKILL"
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
    assert "choose a smaller --bench-batch" in text(result)


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine on which neither framework is installed."""
    monkeypatch.delenv("CI", raising=False)
    for name, place in list(frameworks.FRAMEWORKS.items()):
        absent = frameworks.Known(place.module, ("no_such_module",), place.install)
        monkeypatch.setitem(frameworks.FRAMEWORKS, name, absent)
    return monkeypatch


@pytest.mark.parametrize("only", ["structure", "forward"])
def test_a_framework_that_is_not_installed_is_skipped_with_the_command(
    pytester, nothing_installed, only
):
    options = (BENCH, f"--rootdir={pytester.path}", "--bench-arch=lenet5", "-k", only, "-rs")
    skipped = here(pytester, *options)
    skipped.assert_outcomes(skipped=2, deselected=5)
    assert 'run pip install "convbench[keras]"' in text(skipped)
    assert skipped.ret == pytest.ExitCode.OK
    named = here(pytester, *options, "--bench-framework", "keras")
    assert named.ret == pytest.ExitCode.TESTS_FAILED
    assert "keras cannot be used: no_such_module not installed; run pip" in text(named)
    nothing_installed.setenv("CI", "true")
    in_ci = here(pytester, *options)
    assert in_ci.ret == pytest.ExitCode.TESTS_FAILED


def test_a_framework_that_does_not_import_fails_with_the_reason(pytester):
    result = bench(pytester, "--bench-framework", "nowhere.at_all", "-k", "forward")
    result.assert_outcomes(failed=1, deselected=3)
    assert "nowhere.at_all cannot be used" in text(result)
    assert "Traceback" not in text(result)


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


MINE = """
import pytest

@pytest.mark.convbench_pass("forward")
def test_mine(convbench_timed):
    convbench_timed()

def test_paper(convbench_structure):
    convbench_structure()

def test_plain():
    pass
"""


def test_the_fixtures_are_for_files_of_the_users_own_too(pytester):
    pytester.makepyfile(MINE)
    result = here(pytester, *QUICK, "--bench-report", "reports")
    result.assert_outcomes(passed=3)
    (measured,) = measurements(pytester.path / "reports")
    assert measured.task.label == "lenet5 tests.fakes forward"


@pytest.mark.parametrize(
    ("mark", "sentence"),
    [
        ("", "the fixture convbench_timed wants the marker convbench_pass"),
        (
            "@pytest.mark.convbench_pass",
            "the fixture convbench_timed wants the marker convbench_pass",
        ),
        ("@pytest.mark.convbench_pass('forwards')", "did you mean forward"),
    ],
)
def test_a_marker_that_names_no_pass_is_refused(pytester, mark, sentence):
    pytester.makepyfile(f"import pytest\n{mark}\ndef test_mine(convbench_timed):\n    pass\n")
    result = here(pytester, *QUICK)
    assert result.ret != pytest.ExitCode.OK
    assert sentence in text(result)


FOREIGN = """
import pytest

@pytest.fixture
def structure():
    return "a crystal's"

@pytest.fixture
def timed():
    return "a race"

def test_crystal(structure, timed):
    assert (structure, timed) == ("a crystal's", "a race")
"""


@pytest.mark.parametrize("options", [(), ("-p", "no:benchmark")], ids=["plain", "no benchmark"])
def test_projects_that_know_nothing_of_convbench_are_left_alone(pytester, options):
    pytester.makepyfile(FOREIGN)
    result = here(pytester, *options)
    result.assert_outcomes(passed=1)
    assert "= convbench =" not in text(result)
    assert not list(pytester.path.glob("**/report.md"))


SPY = """
import sys

def pytest_sessionfinish():
    heavy = {"torch", "tensorflow", "keras", "matplotlib"} & set(sys.modules)
    print("imported:", sorted(heavy))
"""


def test_collecting_everything_imports_no_framework(pytester):
    pytester.makepyfile(spy=SPY)
    options = ("--bench-arch=all", "--collect-only", "-qq", "-p", "spy", "-p", "no:cacheprovider")
    result = pytester.runpytest_subprocess(BENCH, f"--rootdir={pytester.path}", *options)
    assert result.ret == pytest.ExitCode.OK
    assert "imported: []" in text(result)


def test_two_at_a_time_are_refused_in_one_sentence(pytester):
    result = bench(pytester, "-n", "2", "-k", "forward")
    result.assert_outcomes(failed=1)
    assert "pytest-xdist" in text(result)
    assert "leave out -n" in text(result)
    assert "Traceback" not in text(result)


def test_ctrl_c_keeps_the_results_so_far(pytester, fault, fault_file):
    fault("hang@step@lenet5_keras")
    options = ("--bench-arch=lenet5,lenet5_keras", "-k", "forward", "--bench-report=reports")
    command = [sys.executable, "-m", "pytest", str(BENCH), f"--rootdir={pytester.path}"]
    with subprocess.Popen(
        [*command, *QUICK, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        wait_for(fakes.struck(fault_file))
        workers = psutil.Process(process.pid).children(recursive=True)
        os.kill(process.pid, signal.SIGINT)
        said, _ = output(process)
    assert process.returncode == pytest.ExitCode.INTERRUPTED, said
    assert "report: " in said
    assert [m.task.architecture for m in measurements(pytester.path / "reports")] == ["lenet5"]
    assert (run_folder(pytester.path / "reports") / "report.md").exists()
    assert len(workers) == 2
    assert not psutil.wait_procs(workers, timeout=10)[1]
