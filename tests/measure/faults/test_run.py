"""A run that is told to end, or is killed, keeps what it has, and leaves no process and no file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.conftest import output
from tests.measure.faults import framework
from tests.measure.faults.harness import Harness, alive
from tests.measure.faults.plans import HOOKS, Plan, plan

pytestmark = pytest.mark.processes

STAGES = (*HOOKS, "importing")
PLANS = [
    plan(seed, *pair)
    for seed, pair in enumerate((name, stage) for name in framework.ENDED for stage in STAGES)
]


def case(plan_: Plan) -> object:
    return pytest.param(plan_, id=plan_.name, marks=[] if plan_.often else [pytest.mark.slow])


def run(harness: Harness) -> tuple[int, str]:
    """Exit status and objections of a program that runs what the harness is to look at."""
    assert harness.plan is not None
    words = (str(harness.plan.seed), harness.plan.fault, harness.plan.stage, str(harness.folder))
    harness.temporary.rmdir()
    with subprocess.Popen(
        [sys.executable, "-m", "tests.measure.faults.program", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        said, _ = output(process)
    return process.returncode, said


@pytest.mark.parametrize("plan_", [case(plan_) for plan_ in PLANS])
def test_what_came_before_is_kept(harness, plan_):
    struck = harness(plan_)
    status, said = run(struck)
    struck.interrupted = plan_.struck
    struck.killed = status < 0
    found = struck.audit()
    if struck.killed and plan_.struck == 0 and not struck.journal.path.exists():
        found = [words for words in found if not words.startswith("the journal cannot be read")]
    assert (said, found) == ("", [])
    assert status == (-signal.SIGKILL if "SIGKILL" in plan_.fault else 130)
    assert struck.killed or struck.journal.path.with_name("report.md").read_bytes()
    assert nobody_is_left(struck.before)


def nobody_is_left(before: set[int]) -> bool:
    until = time.monotonic() + 20
    while left := set(alive()) - before:
        if time.monotonic() > until:
            for pid in left:
                os.kill(pid, signal.SIGKILL)
            return False
        time.sleep(0.01)
    return True
