"""Limits on memory from the command line: what they end, what the report says, and what goes on."""

from __future__ import annotations

import pytest

from convbench.report import plots  # noqa: F401  (what one run imports, the next one would import anew)
from tests.support import fakes
from tests.support.benches import bench, measurements, run_folder, text

pytestmark = pytest.mark.processes

TWO = ("--bench-arch", "lenet5,mnist_convnet", "--bench-report", "r", "-k", "forward")


def test_what_takes_more_than_the_limit_is_refused_and_the_rest_is_timed(pytester, fault):
    fault("take@step@lenet5")
    result = bench(pytester, *TWO, "--bench-memory-limit", "150MiB")
    result.assert_outcomes(failed=1, passed=1, deselected=5)
    folder = pytester.path / "r"
    outcomes = {m.task.architecture: m.outcome for m in measurements(folder)}
    assert outcomes == {"lenet5": "refused", "mnist_convnet": "measured"}
    report = (run_folder(folder) / "report.md").read_text(encoding="utf-8")
    line = report.partition("## Not measured")[2].strip().splitlines()[0]
    assert line.startswith(f"- lenet5 {fakes.NAME} forward: does not fit: needs at least ")
    assert line.endswith("MiB of memory, the limit is 150 MiB; choose a smaller batch")
    assert "Traceback" not in text(result)


def test_without_a_limit_as_much_is_taken_as_there_is(pytester, fault):
    fault("take@step@lenet5")
    result = bench(pytester, *TWO)
    result.assert_outcomes(passed=2, deselected=5)


MAX = ("--bench-batch", "max", "--bench-report", "r")


def test_the_largest_batch_that_fits_is_searched_timed_and_told(pytester):
    result = bench(pytester, "-k", "forward", *MAX, "--bench-memory-limit", "30MB")
    result.assert_outcomes(passed=1, deselected=3)
    folder = pytester.path / "r"
    (found,) = measurements(folder)
    assert found.batch_search is not None
    stopped, batch = found.batch_search, found.task.batch
    assert stopped.startswith(f"batch {batch:,} fits, ")
    assert stopped.endswith("of memory, the limit is 28.6 MiB")
    other = int(stopped.split("fits, ")[1].split(" ")[0].replace(",", ""))
    assert batch < other <= batch + max(1, batch // 16)
    report = (run_folder(folder) / "report.md").read_text(encoding="utf-8")
    assert f"The largest batches that fit:\n\n- lenet5 {fakes.NAME}: {stopped}\n" in report
    assert "--bench-batch max" in report


def test_where_no_batch_fits_the_task_is_refused(pytester, fault):
    fault("take@step")
    result = bench(pytester, "-k", "backward", *MAX, "--bench-memory-limit", "50MB")
    result.assert_outcomes(failed=1, deselected=3)
    (found,) = measurements(pytester.path / "r")
    assert found.outcome == "refused"
    assert found.reason.startswith("batch 2 does not fit: needs at least ")
    assert found.reason.endswith("of memory, the limit is 47.7 MiB")


def test_what_is_no_matter_of_the_batch_is_told_as_what_it_is(pytester, fault):
    fault("RuntimeError@build")
    result = bench(pytester, "-k", "forward", *MAX)
    result.assert_outcomes(failed=1, deselected=3)
    (found,) = measurements(pytester.path / "r")
    assert found.outcome == "failed"
    assert found.reason.startswith("RuntimeError: the kernel is unhappy (while searching")


def test_one_search_does_for_all_processes(pytester):
    words = ("-k", "forward", *MAX, "--bench-memory-limit", "30MB", "--bench-processes", "2")
    bench(pytester, *words).assert_outcomes(passed=2, deselected=4)
    first, second = measurements(pytester.path / "r")
    assert (first.task.batch, first.batch_search) == (second.task.batch, second.batch_search)
    assert {first.task.process, second.task.process} == {1, 2}
