"""The fixtures of the files in bench/: a structure to check, a parity to prove, a task to time."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from pytest_benchmark.fixture import FixtureAlreadyUsed

from convbench.base.errors import ConvbenchError
from convbench.checks.parity import Parity
from convbench.front.cases import LARGEST, Case, Timed, compared
from convbench.front.plugin.replay_clock import ReplayClock
from convbench.front.plugin.session import (
    STATE,
    TIMED,
    State,
    pass_of,
    refuse_missing,
    refuse_xdist,
)
from convbench.measure.examine import Settings
from convbench.measure.records import Measurement
from convbench.measure.run import Run
from convbench.networks.zoo.names import architecture


@pytest.fixture
def convbench_structure(request: pytest.FixtureRequest) -> Callable[[], None]:
    """A call that fails unless the framework's model of an architecture is the paper's."""
    case: Case = request.param
    state = request.config.stash[STATE]

    def check() -> None:
        refuse_missing(state, case.framework)
        try:
            run = state.opened(request.config)
            report = run.check(case.architecture, case.framework, case.mode)
        except ConvbenchError as error:
            pytest.fail(str(error), pytrace=False)
        if not report.proven:
            lines = "\n".join(map(str, report.differs))
            pytest.fail(f"{case.architecture} is not the paper's network\n{lines}", pytrace=False)

    return check


@pytest.fixture
def convbench_parity(request: pytest.FixtureRequest) -> Callable[[], None]:
    """A call that fails unless two sides compute the same function on one architecture."""
    pair: tuple[Case, Case] = request.param
    state = request.config.stash[STATE]

    def prove() -> None:
        for case in pair:
            refuse_missing(state, case.framework)
        try:
            run = state.opened(request.config)
            found = _prove(state, run, pair)
            if state.progress is not None:
                state.progress.note(request.node.nodeid, found)
        except ConvbenchError as error:
            pytest.fail(str(error), pytrace=False)

    return prove


@pytest.fixture
def convbench_timed(request: pytest.FixtureRequest, benchmark: Any) -> Callable[[], None]:
    """A call that verifies one architecture in one framework, and times one pass of it."""
    config, node = request.config, request.node
    state = config.stash[STATE]
    called = False

    def time() -> None:
        nonlocal called
        if called:
            pytest.fail(f"{TIMED} times one task and can be called once in a test", pytrace=False)
        called = True
        timed: Timed = request.param
        refuse_missing(state, timed.case.framework)
        try:
            refuse_xdist(config)
            task, run = state.task(timed, pass_of(node)), state.opened(config)
            keep, search = not benchmark.disabled, timed.batch == LARGEST
            measurement = run.time_largest(task) if keep and search else run.time(task, keep=keep)
        except ConvbenchError as error:
            failure = error
        except KeyboardInterrupt:
            _mark_failed(benchmark, ConvbenchError("interrupted"))
            raise
        else:
            _replay(benchmark, state.clocks[node.nodeid], measurement)
            if not benchmark.disabled:
                if state.progress is not None:
                    state.progress.note(node.nodeid, measurement)
                if state.options.parity:
                    _compare(state, run, timed.case)
            return
        _mark_failed(benchmark, failure)
        pytest.fail(str(failure), pytrace=False)

    return time


def _replay(benchmark: Any, clock: ReplayClock, measurement: Measurement) -> None:
    """Gives pytest-benchmark the rounds, and beside them what they depend on."""
    clock.load(measurement)
    rounds, iterations = len(measurement.rounds_s), measurement.iterations
    benchmark.pedantic(clock.step, rounds=rounds, iterations=iterations)
    task = measurement.task
    benchmark.extra_info |= {"batch": task.batch, "threads": task.threads}
    benchmark.extra_info["version"] = measurement.version


def _compare(state: State, run: Run, case: Case) -> None:
    """Proves that this case computes what those do that it is compared with, once all are timed.

    What cannot be examined, for want of memory say, is noted in the report, which then has no
    ratio for it.
    """
    state.timed.append(case.exact)
    for pair in compared(state.options.cases):
        if case.exact in pair and pair not in state.proven and set(pair) <= {*state.timed}:
            with contextlib.suppress(ConvbenchError):
                _prove(state, run, pair)


def _prove(state: State, run: Run, pair: tuple[Case, Case]) -> Parity:
    """Fails the test if two sides do not compute the same; raises what keeps it from knowing."""
    state.proven.append(pair)
    one, other = ((case.framework, case.mode) for case in pair)
    settings = Settings(threads=state.threads(), steps=state.options.parity_steps)
    found = run.parity(architecture(pair[0].architecture), (one, other), settings)
    if not found.same:
        sides = " and ".join(found.sides)
        apart = found.disagreement or f"losses of {found.steps} steps by {found.losses:.0e}"
        pytest.fail(f"{found.name}: {sides} do not compute the same: {apart}", pytrace=False)
    return found


def _mark_failed(benchmark: Any, failure: ConvbenchError) -> None:
    """Keeps pytest-benchmark from counting, or missing, a benchmark that could not be timed."""

    def refuse() -> None:
        raise failure

    # It warns of a fixture that is never used, and refuses one that is used twice.
    with contextlib.suppress(ConvbenchError, FixtureAlreadyUsed):
        benchmark.pedantic(refuse)
    benchmark.has_error = True
