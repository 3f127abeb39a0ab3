"""Limits on memory from the command line: what they end, what the report says, and what goes on."""

from __future__ import annotations

import pytest

from tests import fakes
from tests.benches import bench, measurements, run_folder, text

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
