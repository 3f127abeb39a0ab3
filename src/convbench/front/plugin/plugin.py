"""The pytest plugin: its options, and which tests there are.

pytest-benchmark stays in charge of statistics, storage and comparison; this plugin says which
tasks there are, hands it a clock that the workers drive, and writes the report.
"""

from __future__ import annotations

import contextlib
import signal
from typing import Any

import pytest

from convbench.base.errors import ConvbenchError
from convbench.front import options
from convbench.front.cases import Case, Timed, compared, shuffled, timed
from convbench.front.options import Options
from convbench.front.plugin.progress import Progress
from convbench.front.plugin.replay_clock import ReplayClock
from convbench.front.plugin.session import PARITY, STATE, STRUCTURE, TIMED, State, pass_of
from convbench.measure.records import Environment
from convbench.papers import own_networks

pytest_plugins = (
    "convbench.front.plugin.own_fixtures",
    "convbench.front.plugin.bench_fixtures",
    "convbench.front.plugin.stored_gate",
)

TERMINATED = 128 + signal.SIGTERM
"""Exit status after SIGTERM, as a shell counts."""


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
        known.enter_context(own_networks.joined(own))
        config.stash[STATE] = State(options=Options.read(config), own=own)
    except ConvbenchError as error:
        raise pytest.UsageError(str(error)) from None


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
        pass_ = pass_of(metafunc.definition)
        tasks = timed(options_.cases, pass_, options_.batches, options_.processes)
        if not tasks:
            tasks = {NOTHING: Timed(Case("", "", ""))}
        elif pass_ not in options_.passes:
            tasks = {NOT_CHOSEN: Timed(Case("", "", ""))}
        metafunc.parametrize(TIMED, [*tasks.values()], ids=[*tasks], indirect=True)


NOT_CHOSEN, NOTHING = "pass not chosen", "nothing to do"


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
    last = [item for item in items if TIMED in _fixtures(item)]
    if state.options.processes > 1:
        items[len(items) - len(last) :] = shuffled(
            last, lambda item: (_timed(item), pass_of(item)), state.options.seed
        )
    for item in last if config.pluginmanager.hasplugin("benchmark") else ():
        clock = state.clocks[item.nodeid] = ReplayClock()
        group = f"{_timed(item).case.architecture} {pass_of(item)}"
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
    state = config.stash[STATE]
    if ours and state.options.resume is not None and not config.option.collectonly:
        try:
            state.opened(config)
        except ConvbenchError as error:
            raise pytest.UsageError(str(error)) from None
    if reporter is not None and ours and not config.option.collectonly:
        state.progress = Progress(reporter, {item.nodeid for item in ours})
        config.pluginmanager.register(state.progress, "convbench_progress")


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
    from convbench.report import report  # noqa: PLC0415  (plots take a second to import)

    try:
        if state.run.lost is None:
            tables = own_networks.folders(state.run.tables, state.own)
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
    from convbench.report import gpu  # noqa: PLC0415  (imports pandas, as the next one)
    from convbench.report.throughput import busy, measurements_of, throughput  # noqa: PLC0415

    if run.lost is not None:
        terminalreporter.section("convbench")
        terminalreporter.write_line(f"{run.lost}; these are the results so far:", red=True)
        terminalreporter.write_line(throughput(run.entries))
        return
    terminalreporter.section("convbench")
    environment = next(entry for entry in run.entries if isinstance(entry, Environment))
    measurements = measurements_of(run.entries)
    for warning in (busy(environment.cores, measurements), *gpu.warnings(measurements)):
        if warning:
            terminalreporter.write_line(warning.replace("*", ""), yellow=True)
    if run.journal is None:
        terminalreporter.write_line("no report; --bench-report DIR writes one")
    else:
        terminalreporter.write_line(f"report: {run.journal.path.parent / 'report.md'}")


def _timed(item: pytest.Item) -> Timed:
    """What a test is to time."""
    found: Timed = item.callspec.params[TIMED]  # type: ignore[attr-defined]
    return found


def _fixtures(item: pytest.Item) -> tuple[str, ...]:
    return tuple(getattr(item, "fixturenames", ()))
