"""What the plugin knows in one session of pytest, and what all of its fixtures ask first."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from attrs import define, field

from convbench.base.errors import FrameworkMissing, UnknownName, Unsupported
from convbench.base.processes.interrupts import Interrupts
from convbench.base.units import Byte
from convbench.frameworks import registry
from convbench.front import options
from convbench.front.cases import LARGEST, Batch, Case, Timed, timed
from convbench.front.options import Options
from convbench.front.plugin.progress import Progress
from convbench.front.plugin.replay_clock import FILLED, ReplayClock
from convbench.measure.journal import JOURNAL, Journal
from convbench.measure.machine import environment
from convbench.measure.records import Task
from convbench.measure.resume import resumed
from convbench.measure.run import Run
from convbench.measure.sampling import Budget
from convbench.measure.worker.launcher import Launcher
from convbench.networks.passes import PASSES, Pass
from convbench.papers.own_networks import Own
from convbench.papers.sources import tables_folder

TIMED, STRUCTURE, PARITY = "convbench_timed", "convbench_structure", "convbench_parity"
DEFAULT_BATCH = {"cpu": 4, "cuda": 32}


@define
class State:
    """What the plugin knows in one session."""

    options: Options
    own: Own | None
    run: Run | None = None
    progress: Progress | None = None
    clocks: dict[str, ReplayClock] = field(factory=dict)
    timed: list[Case] = field(factory=list)
    proven: list[tuple[Case, Case]] = field(factory=list)
    """Those whose parity has been looked into, whatever came of it."""
    interrupts: Interrupts = field(factory=Interrupts)
    _device: str | None = None

    def device(self) -> str:
        """The device that was asked for, or the best that there is."""
        if self._device is None:
            self._device = self.options.device or environment.default_device()
        return self._device

    def threads(self) -> int:
        """The number of threads that was asked for, or the machine's own."""
        return self.options.threads or environment.default_threads()

    def batch(self) -> int:
        """Images in a batch where one number is wanted: the first that was asked for."""
        return self._number(self.options.batches[0])

    def _number(self, batch: Batch) -> int:
        return batch if isinstance(batch, int) else DEFAULT_BATCH[self.device()]

    def task(self, chosen: Timed, pass_: Pass) -> Task:
        """The task of one benchmark, with what the machine decides where nobody did."""
        return Task(
            architecture=chosen.case.architecture,
            framework=chosen.case.framework,
            mode=chosen.case.mode,
            dtype=chosen.case.dtype,
            pass_=pass_,
            batch=self._number(chosen.batch),
            device=self.device(),
            threads=self.threads(),
            process=chosen.process,
        )

    def opened(self, config: pytest.Config) -> Run:
        """The run, begun when its first test begins; raises NotResumable for one to continue."""
        if self.run is None:
            self.interrupts.catch()
            folder = self.options.report
            run = Run(
                tables=tables_folder(),
                budget=Budget(self.options.seconds, self.options.precision),
                timeout_s=self.options.timeout_s,
                journal=Journal(folder / self._name() / JOURNAL, new=True) if folder else None,
                folder=config.rootpath,
                launch=partial(Launcher, own=self.own, memory_limit=self._memory_limit()),
                asked=self._asked(),
            )
            if folder is not None and self.options.resume is not None:
                name, now = self.options.resume, run.environment()
                run.resume(resumed(folder, name, self._tasks(), run.budget, now))
            self.run = run
        return self.run

    def _asked(self) -> dict[str, Any]:
        """What a report must know of the options beside what its measurements say."""
        given = self.options
        return {
            "order_seed": given.seed if given.processes > 1 else None,
            "chosen": tuple(dict.fromkeys(case.variant for case in given.cases)),
            "memory_limit_bytes": given.memory_limit,
        }

    def _memory_limit(self) -> Byte | None:
        """The limit that was given; one that spares the machine where batches are to fill it."""
        if self.options.memory_limit is None and LARGEST in self.options.batches:
            return int(FILLED * environment.available_bytes())
        return self.options.memory_limit

    def _tasks(self) -> list[Task]:
        """Everything that the options want to be timed."""
        given = self.options
        return [
            self.task(chosen, pass_)
            for pass_ in given.passes
            for chosen in timed(given.cases, pass_, given.batches, given.processes).values()
        ]

    def _name(self) -> str:
        """The run by its time and its device."""
        return f"{datetime.now(UTC):%Y-%m-%dT%H%M%S}-{self.device()}"


STATE = pytest.StashKey[State]()


def refuse_xdist(config: pytest.Config) -> None:
    """Raises Unsupported in a process that shares the machine with others that test."""
    if hasattr(config, "workerinput"):
        raise Unsupported(
            "timed tests", "pytest-xdist runs several at a time on one machine", "leave out -n"
        )


def refuse_missing(state: State, framework: str) -> None:
    """Skips what needs a framework that is not installed; fails if it was asked for, or in CI."""
    absent: FrameworkMissing | None = registry.missing(framework)
    if absent is None:
        return
    if state.options.asked_for:
        pytest.fail(str(absent), pytrace=False)
    pytest.skip(str(absent))


def pass_of(item: pytest.Item) -> Pass:
    """The pass that a test's marker names."""
    marker = item.get_closest_marker("convbench_pass")
    if marker is None or len(marker.args) != 1:
        raise pytest.UsageError(
            f"{item.nodeid}: the fixture {TIMED} wants the marker convbench_pass, "
            f'as in @pytest.mark.convbench_pass("{next(iter(PASSES))}")'
        )
    try:
        return options.one_of("pass", str(marker.args[0]), (*PASSES,))
    except UnknownName as error:
        raise pytest.UsageError(f"{item.nodeid}: {error}") from None
