"""A run that is continued repeats nothing, and is what it would have been in one go."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
from attrs import evolve

from convbench.checks.parity import Parity
from convbench.measure import resume
from convbench.measure.journal import Journal, latest
from convbench.measure.machine import environment
from convbench.measure.records import Environment, Measurement, Task, Unchecked
from convbench.measure.resume import NEWEST, Kept, NotResumable, Resumed, lock, resumed
from convbench.measure.sampling import Budget
from tests.conftest import wait_for
from tests.support import fakes
from tests.support.benches import BENCH, QUICK, bench, measurements, run_folder, text
from tests.support.samples import ENVIRONMENT, lenet, measured, same, task

BUDGET = Budget(seconds=2.0, precision=0.02)
FORWARD, BACKWARD = task("lenet5", "pytorch", "forward"), task("lenet5", "pytorch", "backward")


def timed(task_: Task) -> Measurement:
    return evolve(measured(task_, 0.01, 2**20), budget_s=2.0, precision=0.02)


def failed(task_: Task) -> Measurement:
    return Measurement(task=task_, outcome="failed", reason="was killed by SIGKILL")


def structure(reason: str) -> Unchecked:
    return Unchecked(architecture="lenet5", framework="pytorch", reason=reason)


def begin(*how) -> Resumed:
    """A run to be continued, which nobody continues."""
    begun = resumed(*how)
    begun.lock.close()
    return begun


RUN = (ENVIRONMENT, lenet("pytorch"), timed(FORWARD), failed(BACKWARD))


@pytest.fixture
def reports(tmp_path):
    """A folder for reports, and a call that puts a run into it."""

    def write(*entries, name="2026-01-02T030405-cpu"):
        for entry in entries:
            Journal(tmp_path / name / "measurements.jsonl").append(entry)
        return tmp_path

    return write


def test_what_was_tried_again_counts_as_it_went_last():
    entries = [
        *(ENVIRONMENT, structure("interrupted"), lenet("pytorch")),
        *(failed(FORWARD), failed(BACKWARD), ENVIRONMENT),
        *(timed(FORWARD), evolve(failed(BACKWARD), reason="hangs")),
    ]
    assert latest(entries) == [
        *(ENVIRONMENT, lenet("pytorch"), timed(FORWARD)),
        *(evolve(failed(BACKWARD), reason="hangs"), ENVIRONMENT),
    ]


def test_what_has_come_of_something_is_not_undone_by_a_later_failure():
    parity = same("lenet5", "pytorch", "keras")
    results = [lenet("pytorch"), timed(FORWARD), parity]
    failures = [
        structure("killed"),
        failed(FORWARD),
        evolve(structure("killed"), what="parity", framework="pytorch and keras"),
    ]
    assert latest([*results, *failures]) == results


def test_results_are_kept_and_failures_are_not(reports):
    begun = begin(reports(*RUN), NEWEST, [FORWARD, BACKWARD], BUDGET, ENVIRONMENT)
    assert begun.kept.measurement(FORWARD) == timed(FORWARD)
    assert begun.kept.measurement(BACKWARD) is None
    assert begun.kept.check("lenet5", "pytorch") == lenet("pytorch")
    assert begun.kept.check("lenet5", "pytorch compiled") is None


def test_a_parity_is_kept_for_as_many_steps_as_it_was_of():
    kept = Kept("r", (same("lenet5", "pytorch", "keras"),))
    assert isinstance(kept.parity("lenet5", ("pytorch", "keras"), 1), Parity)
    assert kept.parity("lenet5", ("pytorch", "keras"), 10) is None
    assert kept.parity("lenet5", ("pytorch", "pytorch compiled"), 1) is None


OTHERS = {
    "convbench": "0.2.0",
    "cpu": "another CPU",
    "cores": 4,
    "gpu": "NVIDIA H100",
    "driver": "555.42",
    "system": "Linux 6.2",
    "python": "CPython 3.13.0",
    "packages": (("torch", "2.14.0"),),
    "commit": "ba9876543210",
    "order_seed": 7,
    "variables": (("ONEDNN_MAX_CPU_ISA", "AVX2"),),
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_environment_is_refused_with_what_differs(reports, name):
    begun = evolve(ENVIRONMENT, variables=())
    now = evolve(begun, **{name: OTHERS[name]})
    with pytest.raises(NotResumable) as refused:
        begin(reports(begun, *RUN[1:]), NEWEST, [FORWARD], BUDGET, now)
    sentence = str(refused.value)
    assert sentence.startswith(f"--bench-resume 2026-01-02T030405-cpu: its {name} is ")
    assert sentence.endswith("; leave out --bench-resume to begin a new run")
    assert "\n" not in sentence


def test_every_part_of_an_environment_is_compared_or_left_out_on_purpose():
    parts = {attribute.name for attribute in Environment.__attrs_attrs__}
    assert (
        set(resume.MUST_AGREE)
        == {*OTHERS}
        == parts
        - {
            *("memory_bytes", "started"),
            *("chosen", "memory_limit_bytes"),
        }
    )


def test_changes_that_are_not_committed_are_refused_though_both_have_some(reports):
    changed = evolve(ENVIRONMENT, commit="0123456789ab with changes")
    with pytest.raises(NotResumable, match=r"nobody can tell whether the same.*; commit them"):
        begin(reports(changed, timed(FORWARD)), NEWEST, [FORWARD], BUDGET, changed)


@pytest.mark.parametrize(
    ("budget", "sentence"),
    [
        (Budget(5.0, 0.02), r"it was made with --bench-seconds 2; give that instead of 5$"),
        (Budget(2.0, 0.01), r"it was made with --bench-precision 2%; give that instead of 1%$"),
    ],
)
def test_another_budget_is_refused(reports, budget, sentence):
    with pytest.raises(NotResumable, match=sentence):
        begin(reports(*RUN), NEWEST, [FORWARD], budget, ENVIRONMENT)


def test_other_threads_are_refused(reports):
    more = evolve(FORWARD, threads=FORWARD.threads + 1)
    sentence = rf"it was made with --bench-threads {FORWARD.threads}; give that instead of "
    with pytest.raises(NotResumable, match=sentence):
        begin(reports(*RUN), NEWEST, [FORWARD, more], BUDGET, ENVIRONMENT)


def test_another_version_of_a_framework_is_refused():
    kept = Kept("r", (timed(FORWARD),))
    kept.refuse_other_version("pytorch", "pytorch 1.0")
    kept.refuse_other_version("keras", "keras 9")
    with pytest.raises(NotResumable, match=r"timed with pytorch 1\.0, and this is pytorch 1\.1"):
        kept.refuse_other_version("pytorch", "pytorch 1.1")


def test_a_run_from_before_variables_were_looked_at_goes_on(reports):
    now = evolve(ENVIRONMENT, variables=(("ONEDNN_MAX_CPU_ISA", "AVX2"),))
    assert begin(reports(*RUN), NEWEST, [FORWARD], BUDGET, now).kept.measurement(FORWARD)


def test_a_framework_with_other_libraries_is_refused_in_the_mode_that_was_timed():
    on, off = ((("oneDNN", word),) for word in ("on", "off"))
    kept = Kept("r", (evolve(timed(FORWARD), libraries=on),))
    kept.refuse_other_libraries(("pytorch", "default"), on)
    kept.refuse_other_libraries(("pytorch", "default"), ())
    kept.refuse_other_libraries(("pytorch", "compiled"), off)
    with pytest.raises(NotResumable, match="was timed with oneDNN on, and now it has oneDNN off"):
        kept.refuse_other_libraries(("pytorch", "default"), off)


def test_the_newest_run_that_has_begun_something_of_this_is_meant(reports):
    other = timed(task("vgg16", "keras", "forward"))
    reports(*RUN, name="2026-01-01T000000-cpu")
    reports(*RUN, name="2026-01-02T000000-cpu")
    folder = reports(ENVIRONMENT, other, name="2026-01-03T000000-cpu")
    assert begin(folder, NEWEST, [BACKWARD], BUDGET, ENVIRONMENT).kept.run == (
        "2026-01-02T000000-cpu"
    )
    named = begin(folder, "2026-01-01T000000-cpu", [BACKWARD], BUDGET, ENVIRONMENT)
    assert named.kept.run == "2026-01-01T000000-cpu"
    path = str(folder / "2026-01-03T000000-cpu")
    assert begin(folder, path, [BACKWARD], BUDGET, ENVIRONMENT).kept.entries == (
        *(ENVIRONMENT, other),
    )


@pytest.mark.parametrize(
    ("run", "sentence"),
    [
        (NEWEST, "has begun any of these tasks; leave out --bench-resume"),
        ("yesterday", "--bench-resume yesterday: no run of this name is in .*; give the name"),
    ],
)
def test_a_run_that_is_not_there_is_refused(reports, run, sentence):
    with pytest.raises(NotResumable, match=sentence):
        begin(reports(*RUN), run, [task("vgg16", "keras", "forward")], BUDGET, ENVIRONMENT)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (b"garbage\n", "line 5: wanted JSON"),
        (b'{"schema": 3, "kind": "environment"}\n', "line 5: wanted schema 2"),
        (b'{"schema": 1, "kind": "os.system"}\n', "line 5: wanted one of the kinds"),
    ],
)
def test_a_journal_that_cannot_be_read_is_refused(reports, line, sentence):
    folder = reports(*RUN)
    with (folder / "2026-01-02T030405-cpu" / "measurements.jsonl").open("ab") as file:
        file.write(line)
    with pytest.raises(NotResumable, match=sentence):
        begin(folder, "2026-01-02T030405-cpu", [FORWARD], BUDGET, ENVIRONMENT)


def test_a_journal_without_an_environment_is_refused(reports):
    folder = reports(timed(FORWARD))
    with pytest.raises(NotResumable, match="does not say where it was made"):
        begin(folder, NEWEST, [FORWARD], BUDGET, ENVIRONMENT)


def test_a_last_line_that_was_cut_off_is_tried_again(reports):
    folder = reports(*RUN, timed(BACKWARD))
    journal = folder / "2026-01-02T030405-cpu" / "measurements.jsonl"
    journal.write_bytes(journal.read_bytes()[:-20])
    begun = begin(folder, NEWEST, [FORWARD, BACKWARD], BUDGET, ENVIRONMENT)
    assert begun.kept.measurement(BACKWARD) is None
    begun.journal.append(timed(BACKWARD))
    assert latest(begun.journal.entries()) == [*RUN[:-1], timed(BACKWARD)]


def test_the_second_of_two_is_refused_until_the_first_has_ended(reports):
    folder = reports(*RUN)
    first = resumed(folder, NEWEST, [FORWARD], BUDGET, ENVIRONMENT)
    with pytest.raises(NotResumable, match="it is going on at this moment; wait for it"):
        resumed(folder, NEWEST, [FORWARD], BUDGET, ENVIRONMENT)
    first.lock.close()
    assert begin(folder, NEWEST, [FORWARD], BUDGET, ENVIRONMENT).lock


def test_a_file_system_without_locks_keeps_nobody_from_it(reports, monkeypatch):
    def refuse(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(resume.fcntl, "flock", refuse)
    assert lock(reports(*RUN) / "2026-01-02T030405-cpu" / "measurements.jsonl") is None


# Whole runs


@pytest.fixture
def clean(monkeypatch):
    """Runs of a commit without changes, whatever those who work on convbench have changed."""
    usual = environment.environment
    monkeypatch.setattr(
        environment, "environment", lambda *at: evolve(usual(*at), commit="0123456789ab")
    )


NAMES = ("--bench-arch=lenet5,lenet5_keras,mnist_convnet", "--bench-report=r", "-k", "forward")


def attempts(pytester) -> list[tuple[str, str]]:
    return [(m.task.architecture, m.outcome) for m in measurements(pytester.path / "r")]


@pytest.mark.processes
@pytest.mark.usefixtures("clean")
def test_what_failed_is_tried_again_and_nothing_else(pytester, fault):
    fault("sigkill@step@lenet5_keras")
    bench(pytester, *NAMES).assert_outcomes(passed=2, failed=1, deselected=7)
    fault("sigkill@import")  # nothing can be timed: what passes was not
    bench(pytester, *NAMES, "--bench-resume").assert_outcomes(passed=2, failed=1, deselected=7)
    fault("")
    bench(pytester, *NAMES, "--bench-resume").assert_outcomes(passed=3, deselected=7)
    assert attempts(pytester) == [
        *(("lenet5", "measured"), ("lenet5_keras", "failed"), ("mnist_convnet", "measured")),
        *(("lenet5_keras", "failed"), ("lenet5_keras", "measured")),
    ]
    written = (run_folder(pytester.path / "r") / "report.md").read_text(encoding="utf-8")
    assert "## Not measured" not in written
    assert written.count("| continued ") == 2


@pytest.mark.processes
@pytest.mark.usefixtures("clean")
def test_pytest_benchmark_has_all_rounds_whoever_timed_them(pytester, fault):
    bench(pytester, *NAMES, "--benchmark-json=before.json")
    fault("sigkill@import")
    result = bench(pytester, *NAMES, "--bench-resume", "--benchmark-json=after.json")
    result.assert_outcomes(passed=3, deselected=7)
    assert "images/s" in text(result)
    before, after = (
        [
            (b["name"], b["stats"]["data"], b["extra_info"])
            for b in json.loads((pytester.path / name).read_bytes())["benchmarks"]
        ]
        for name in ("before.json", "after.json")
    )
    assert len(after) == 3
    assert before == after


@pytest.mark.processes
@pytest.mark.usefixtures("clean")
def test_checks_and_parity_are_not_repeated(pytester, fault):
    options = ("--bench-mode", "default,tidy", "--bench-report=r", "-k", "parity or structure")
    bench(pytester, *options).assert_outcomes(passed=3, deselected=5)
    fault("sigkill@import")
    bench(pytester, *options, f"--bench-resume={run_folder(pytester.path / 'r').name}")
    entries = list(Journal(run_folder(pytester.path / "r") / "measurements.jsonl").entries())
    assert not [entry for entry in entries if isinstance(entry, Unchecked)]
    assert [type(entry) for entry in entries].count(Parity) == 1


@pytest.mark.processes
@pytest.mark.usefixtures("clean")
def test_another_version_of_ones_own_framework_is_refused(pytester, fault):
    fault("sigkill@step@lenet5_keras")
    bench(pytester, *NAMES)
    journal = run_folder(pytester.path / "r") / "measurements.jsonl"
    journal.write_bytes(journal.read_bytes().replace(fakes.VERSION.encode(), b"fakes 0.9"))
    fault("")
    result = bench(pytester, *NAMES, "--bench-resume")
    result.assert_outcomes(passed=2, failed=1, deselected=7)
    assert "it was timed with fakes 0.9, and this is fakes 1.0" in text(result)


@pytest.mark.processes
@pytest.mark.usefixtures("clean")
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--bench-report=none",), "--bench-resume must be a folder for reports"),
        ((), "--bench-resume newest: no run in"),
    ],
)
def test_nothing_to_continue_ends_in_one_sentence(pytester, options, sentence):
    result = bench(pytester, *NAMES, "--bench-resume", *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert sentence in text(result)
    assert "Traceback" not in text(result)


@pytest.mark.processes
def test_a_run_that_goes_on_is_not_continued_by_another(pytester, fault, fault_file):
    fault("hang@step@mnist_convnet")
    command = [sys.executable, "-m", "pytest", str(BENCH), f"--rootdir={pytester.path}"]
    with subprocess.Popen([*command, *QUICK, *NAMES], stdout=subprocess.DEVNULL) as process:
        wait_for(fakes.struck(fault_file))
        second = subprocess.run(
            [*command, *QUICK, *NAMES, "--bench-resume"],
            capture_output=True,
            text=True,
            check=False,
        )
        os.kill(process.pid, signal.SIGKILL)
    assert second.returncode == pytest.ExitCode.USAGE_ERROR
    assert "it is going on at this moment; wait for it" in second.stderr + second.stdout
    fault("")
    third = subprocess.run(
        [*command, *QUICK, *NAMES, "--bench-resume"], capture_output=True, text=True, check=False
    )
    assert third.returncode == 0, third.stdout
    assert attempts(pytester) == [
        ("lenet5", "measured"),
        ("lenet5_keras", "measured"),
        ("mnist_convnet", "measured"),
    ]
