"""A folder, a fault file and a foster home for every run into which a fault is put."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from convbench.measure.machine import environment
from convbench.measure.worker import launcher
from tests.measure.faults.harness import PATIENT_S, Harness, foster_home
from tests.measure.faults.plans import Plan
from tests.support.samples import ENVIRONMENT


@pytest.fixture
def harness(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Callable[[str], None]
) -> Iterator[Callable[[Plan], Harness]]:
    """Makes the harness for a plan; what is slow and of no interest here is left out."""
    monkeypatch.setattr(environment, "environment", lambda *_: ENVIRONMENT)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    fault("")

    def make(plan: Plan | None) -> Harness:
        for name in ("EXIT_TIMEOUT", "IMPORT_TIMEOUT"):
            monkeypatch.setattr(launcher, name, PATIENT_S)
        return Harness(tmp_path, plan)

    with foster_home():
        yield make
