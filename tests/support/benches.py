"""Runs of the real benchmark files with the fake framework, and what they leave behind."""

from __future__ import annotations

from pathlib import Path

import pandas as pd  # noqa: F401  (what a run in this process imports, the next one would again)
import pytest
import scipy.stats  # noqa: F401  (as pandas)

import convbench.report.report  # noqa: F401  (as pandas)
from convbench.measure.journal import Journal
from convbench.measure.records import Measurement
from tests.conftest import ROOT
from tests.support import fakes

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
