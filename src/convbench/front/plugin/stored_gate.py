"""The hooks of `--bench-gate`: the stored run is read before anything is timed, and judged after.

What keeps the two runs from being compared is a wrong use of pytest, with its exit status 4; what
is worse fails the session like a test, with 1.
"""

from __future__ import annotations

from typing import Any

import pytest
from attrs import define

from convbench.base.errors import BadOption, ConvbenchError
from convbench.front.cases import LARGEST
from convbench.front.plugin.session import STATE, TIMED, State, pass_of
from convbench.gate import stored
from convbench.gate.outputs import stored_words
from convbench.gate.stored import Baseline
from convbench.gate.values import GateResult
from convbench.measure.machine import environment
from convbench.measure.records import Environment, Task


@define
class Gate:
    """The comparison of one session."""

    baseline: Baseline
    wanted: tuple[Task, ...]
    """What is to be timed, with the first process."""
    result: GateResult | None = None


GATE = pytest.StashKey[Gate]()
STATUS = {1: pytest.ExitCode.TESTS_FAILED, 2: pytest.ExitCode.USAGE_ERROR}
"""A session's exit status by the comparison's."""


def pytest_collection_finish(session: pytest.Session) -> None:
    """Reads the baseline, and refuses one with which nothing could be told."""
    config = session.config
    state = config.stash[STATE]
    if state.options.gate is None or config.option.collectonly:
        return
    try:
        config.stash[GATE] = _begun(session, state, state.options.gate)
    except ConvbenchError as error:
        raise pytest.UsageError(f"--bench-gate: {error}") from None


def _begun(session: pytest.Session, state: State, given: str) -> Gate:
    """The comparison that is to be; raises NotComparable, BadOption."""
    if LARGEST in state.options.batches:
        raise BadOption("--bench-batch", "a number, which a stored run can have too", LARGEST)
    config = session.config
    baseline = stored.read(config.invocation_params.dir / given, given)
    stored.refuse_other_machine(baseline, environment.environment(config.rootpath))
    items = [item for item in session.items if TIMED in getattr(item, "fixturenames", ())]
    tasks = [state.task(item.callspec.params[TIMED], pass_of(item)) for item in items]  # type: ignore[attr-defined]
    wanted = tuple(dict.fromkeys(map(stored.first_process, tasks)))
    stored.refuse_too_little(baseline, wanted, state.options.processes)
    return Gate(baseline, wanted)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Compares, and fails what went well but for that."""
    gate = session.config.stash.get(GATE, None)
    if gate is None:
        return
    state = session.config.stash[STATE]
    entries = state.run.entries if state.run is not None else []
    made = next((entry for entry in entries if isinstance(entry, Environment)), None)
    now = made or gate.baseline.environment  # without a run nothing is compared
    gate.result = stored.compare(gate.baseline, entries, gate.wanted, now, state.options.tolerance)
    if session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = STATUS.get(gate.result.status, session.exitstatus)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Says what is worse, what cannot be told, and what such a comparison is worth."""
    gate = config.stash.get(GATE, None)
    if gate is None or gate.result is None:
        return
    terminalreporter.section("stored baseline")
    for line in stored_words.alarms(gate.result):
        terminalreporter.write_line(line, red=True)
    for line in stored_words.remarks(gate.result):
        terminalreporter.write_line(line)
