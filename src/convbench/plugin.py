"""The pytest plugin; beside it only fixtures.py imports pytest.

pytest-benchmark stays in charge of statistics, storage and comparison; this plugin says which
tasks there are, hands it a clock that the workers drive, and writes the report.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from attrs import define, field
from pytest_benchmark.fixture import FixtureAlreadyUsed

from convbench import canon, frameworks, machine, options
from convbench.architectures import architecture
from convbench.cases import Case, compared
from convbench.errors import ConvbenchError, FrameworkMissing, UnknownName, Unsupported
from convbench.examination import Settings
from convbench.frameworks import PASSES
from convbench.interrupts import Interrupts
from convbench.launcher import Launcher
from convbench.messages import Own
from convbench.options import Options
from convbench.progress import Progress
from convbench.record import JOURNAL, Environment, Journal, Measurement, Task
from convbench.reference import tables_folder
from convbench.runner import Run, WorkerClock

pytest_plugins = ("convbench.fixtures",)

DEFAULT_BATCH = {"cpu": 4, "cuda": 32}
TERMINATED = 128 + signal.SIGTERM
"""Exit status after SIGTERM, as a shell counts."""
TIMED, STRUCTURE, PARITY = "convbench_timed", "convbench_structure", "convbench_parity"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of `--help`, all of them optional."""
    options.add(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Reads the options; a wrong one ends pytest with one sentence."""
    config.addinivalue_line("markers", "convbench_pass(name): the pass that a benchmark times")
    known = contextlib.ExitStack()
    config.add_cleanup(known.close)
    try:
        own = options.own_networks(config)
        known.enter_context(canon.joined(own))
        config.stash[STATE] = State(options=Options.read(config), own=own)
    except ConvbenchError as error:
        raise pytest.UsageError(str(error)) from None


@define
class State:
    """What the plugin knows in one session."""

    options: Options
    own: Own | None
    run: Run | None = None
    progress: Progress | None = None
    clocks: dict[str, WorkerClock] = field(factory=dict)
    timed: list[Case] = field(factory=list)
    proven: list[tuple[Case, Case]] = field(factory=list)
    """Those whose parity has been looked into, whatever came of it."""
    interrupts: Interrupts = field(factory=Interrupts)
    _device: str | None = None

    def device(self) -> str:
        """The device that was asked for, or the best that there is."""
        if self._device is None:
            self._device = self.options.device or machine.default_device()
        return self._device

    def task(self, case: Case, pass_: str) -> Task:
        """The task of one benchmark, with what the machine decides where nobody did."""
        device = self.device()
        return Task(
            architecture=case.architecture,
            framework=case.framework,
            mode=case.mode,
            pass_=pass_,
            batch=self.options.batch or DEFAULT_BATCH[device],
            device=device,
            threads=self.options.threads or machine.default_threads(),
        )

    def opened(self, config: pytest.Config) -> Run:
        """The run, begun when its first test begins."""
        if self.run is None:
            self.interrupts.catch()
            folder = self.options.report
            self.run = Run(
                tables=tables_folder(),
                seconds=self.options.seconds,
                timeout_s=self.options.timeout_s,
                journal=Journal(folder / self._name() / JOURNAL, new=True) if folder else None,
                folder=config.rootpath,
                launch=partial(Launcher, own=self.own),
            )
        return self.run

    def _name(self) -> str:
        """The run by its time and its device."""
        return f"{datetime.now(UTC):%Y-%m-%dT%H%M%S}-{self.device()}"


STATE = pytest.StashKey[State]()


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each case and, with a marker, pass that was chosen."""
    options_ = metafunc.config.stash[STATE].options
    chosen, ids = options_.cases, [case.id for case in options_.cases]
    if STRUCTURE in metafunc.fixturenames:
        metafunc.parametrize(STRUCTURE, chosen, ids=ids, indirect=True)
    if PARITY in metafunc.fixturenames:
        pairs = compared(options_.cases) if options_.parity else []
        names = [f"{one.id}-{other.variant.replace(' ', '-')}" for one, other in pairs]
        metafunc.parametrize(PARITY, pairs or [()], ids=names or [NOTHING], indirect=True)
    if TIMED in metafunc.fixturenames:
        if _pass(metafunc.definition) not in options_.passes:
            chosen, ids = [Case("", "", "")], [NOT_CHOSEN]
        metafunc.parametrize(TIMED, chosen, ids=ids, indirect=True)


NOT_CHOSEN, NOTHING = "pass not chosen", "nothing to compare"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out the passes that were not chosen, and gives each timed test its own clock."""
    unchosen = [item for item in items if item.name.endswith(f"[{NOT_CHOSEN}]")]
    if unchosen:
        config.hook.pytest_deselected(items=unchosen)
        items[:] = [item for item in items if item not in unchosen]
    items[:] = [item for item in items if not item.name.endswith(f"[{NOTHING}]")]
    state = config.stash[STATE]
    items.sort(key=lambda item: TIMED in _fixtures(item))  # what is timed comes last
    for item in items:
        if TIMED in _fixtures(item) and config.pluginmanager.hasplugin("benchmark"):
            case: Case = item.callspec.params[TIMED]  # type: ignore[attr-defined]
            clock = state.clocks[item.nodeid] = WorkerClock()
            group = f"{case.architecture} {_pass(item)}"
            item.add_marker(pytest.mark.benchmark(timer=clock, group=group))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Counts what is to be shown as progress; refuses what nobody could time."""
    config = session.config
    timed = [item for item in session.items if TIMED in _fixtures(item)]
    if timed and not config.pluginmanager.hasplugin("benchmark"):
        raise pytest.UsageError(
            f"{timed[0].nodeid}: the fixture {TIMED} wants the plugin pytest-benchmark, which is "
            "switched off; leave out -p no:benchmark"
        )
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    only = config.getoption("benchmark_only", False)
    shown = {TIMED} if only else {TIMED, STRUCTURE, PARITY}
    ours = [item for item in session.items if shown & set(_fixtures(item))]
    if reporter is not None and ours and not config.option.collectonly:
        state = config.stash[STATE]
        state.progress = Progress(reporter, {item.nodeid for item in ours})
        config.pluginmanager.register(state.progress, "convbench_progress")


@pytest.fixture
def convbench_structure(request: pytest.FixtureRequest) -> Callable[[], None]:
    """A call that fails unless the framework's model of an architecture is the paper's."""
    case: Case = request.param
    state = request.config.stash[STATE]

    def check() -> None:
        _refuse_missing(state, case.framework)
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
            _refuse_missing(state, case.framework)
        try:
            run = state.opened(request.config)
            _prove(state, run, pair)
            if state.progress is not None:
                state.progress.note(request.node.nodeid, run.entries[-1])
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
        case: Case = request.param
        _refuse_missing(state, case.framework)
        try:
            refuse_xdist(config)
            task = state.task(case, _pass(node))
            run, clock = state.opened(config), state.clocks[node.nodeid]
            with run.timing(task, clock, keep=not benchmark.disabled) as timing:
                benchmark.pedantic(timing.step, rounds=timing.rounds, iterations=timing.iterations)
        except ConvbenchError as error:
            failure = error
        except KeyboardInterrupt:
            _mark_failed(benchmark, ConvbenchError("interrupted"))
            raise
        else:
            if not benchmark.disabled:
                _annotate(benchmark, timing.measurement)
                if state.progress is not None:
                    state.progress.note(node.nodeid, run.entries[-1])
                if state.options.parity:
                    _compare(state, run, case)
            return
        _mark_failed(benchmark, failure)
        pytest.fail(str(failure), pytrace=False)

    return time


def _compare(state: State, run: Run, case: Case) -> None:
    """Proves that this case computes what those do that it is compared with, once all are timed.

    What cannot be examined, for want of memory say, is noted in the report, which then has no
    ratio for it.
    """
    state.timed.append(case)
    for pair in compared(state.options.cases):
        if case in pair and pair not in state.proven and set(pair) <= {*state.timed}:
            with contextlib.suppress(ConvbenchError):
                _prove(state, run, pair)


def _prove(state: State, run: Run, pair: tuple[Case, Case]) -> None:
    """Fails the test if two sides do not compute the same; raises what keeps it from knowing."""
    state.proven.append(pair)
    one, other = ((case.framework, case.mode) for case in pair)
    threads = state.options.threads or machine.default_threads()
    settings = Settings(threads=threads, steps=state.options.parity_steps)
    found = run.parity(architecture(pair[0].architecture), (one, other), settings)
    if not found.same:
        sides = " and ".join(found.sides)
        apart = found.disagreement or f"losses of {found.steps} steps by {found.losses:.0e}"
        pytest.fail(f"{found.name}: {sides} do not compute the same: {apart}", pytrace=False)


def _annotate(benchmark: Any, measurement: Measurement) -> None:
    """Puts beside pytest-benchmark's figures what they depend on."""
    task = measurement.task
    benchmark.extra_info |= {"batch": task.batch, "threads": task.threads}
    benchmark.extra_info["version"] = measurement.version


def _mark_failed(benchmark: Any, failure: ConvbenchError) -> None:
    """Keeps pytest-benchmark from counting, or missing, a benchmark that could not be timed."""

    def refuse() -> None:
        raise failure

    # It warns of a fixture that is never used, and refuses one that is used twice.
    with contextlib.suppress(ConvbenchError, FixtureAlreadyUsed):
        benchmark.pedantic(refuse)
    benchmark.has_error = True


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Ends the workers and writes the report, also after Ctrl-C and SIGTERM."""
    state = session.config.stash.get(STATE, None)
    if state is None or state.run is None:
        return
    state.interrupts.ignore()
    if state.interrupts.terminated:
        session.exitstatus = TERMINATED
    state.run.close()
    if state.run.journal is None or not state.run.entries:
        return
    from convbench import report  # noqa: PLC0415  (plots take a second to import)

    try:
        if state.run.lost is None:
            tables = canon.folders(state.run.tables, state.own)
            report.write(state.run.journal.path.parent, *tables)
    except Exception as error:  # whatever goes wrong with a report, the results are shown
        reason = getattr(error, "strerror", None) or error
        state.run.lost = f"the report cannot be written: {reason}"
    if state.run.lost is not None and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leaves the signals as they were found."""
    state = config.stash.get(STATE, None)
    if state is not None:
        state.interrupts.release()


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Says where the report is; shows the results where they could not be put on disk."""
    state = config.stash.get(STATE, None)
    if state is None or state.run is None or not state.run.entries:
        return
    run = state.run
    from convbench.report_throughput import busy, measurements_of, throughput  # noqa: PLC0415

    if run.lost is not None:
        terminalreporter.section("convbench")
        terminalreporter.write_line(f"{run.lost}; these are the results so far:", red=True)
        terminalreporter.write_line(throughput(run.entries))
        return
    terminalreporter.section("convbench")
    environment = next(entry for entry in run.entries if isinstance(entry, Environment))
    warning = busy(environment.cores, measurements_of(run.entries))
    if warning:
        terminalreporter.write_line(warning.replace("*", ""), yellow=True)
    if run.journal is None:
        terminalreporter.write_line("no report; --bench-report DIR writes one")
    else:
        terminalreporter.write_line(f"report: {run.journal.path.parent / 'report.md'}")


def _pass(item: pytest.Item) -> str:
    """The pass that a test's marker names."""
    marker = item.get_closest_marker("convbench_pass")
    if marker is None or len(marker.args) != 1:
        raise pytest.UsageError(
            f"{item.nodeid}: the fixture {TIMED} wants the marker convbench_pass, "
            f'as in @pytest.mark.convbench_pass("{PASSES[0]}")'
        )
    try:
        return options.one_of("pass", str(marker.args[0]), PASSES)
    except UnknownName as error:
        raise pytest.UsageError(f"{item.nodeid}: {error}") from None


def _fixtures(item: pytest.Item) -> tuple[str, ...]:
    return tuple(getattr(item, "fixturenames", ()))


def refuse_xdist(config: pytest.Config) -> None:
    """Raises Unsupported in a process that shares the machine with others that test."""
    if hasattr(config, "workerinput"):
        raise Unsupported(
            "timed tests", "pytest-xdist runs several at a time on one machine", "leave out -n"
        )


def _refuse_missing(state: State, framework: str) -> None:
    """Skips what needs a framework that is not installed; fails if it was asked for, or in CI."""
    absent: FrameworkMissing | None = frameworks.missing(framework)
    if absent is None:
        return
    if state.options.asked_for:
        pytest.fail(str(absent), pytrace=False)
    pytest.skip(str(absent))
