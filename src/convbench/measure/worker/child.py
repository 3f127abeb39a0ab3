"""One task in a forked child: what it answers to each request, and what it refuses.

While it lives it answers on the template's pipe, so that at any time one process talks.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from math import prod
from pathlib import Path
from time import perf_counter, process_time

from attrs import define, evolve, field

from convbench.base.errors import (
    ConvbenchError,
    Shortage,
    Unsupported,
    is_about_memory,
    said,
)
from convbench.base.units import Byte, Second
from convbench.checks.structure import CheckReport, check, condensed
from convbench.checks.values import as_text
from convbench.frameworks import arrays, weights
from convbench.frameworks.modes import SINGLE, variant
from convbench.frameworks.observation import Observation
from convbench.frameworks.protocol import Framework, HasDeviceClock, Model
from convbench.measure.machine import environment, host_memory, memory_needs
from convbench.measure.records import Memory, Task
from convbench.measure.worker import clock, extra_work, messages, nodes, own_models, peaks
from convbench.measure.worker.pipe import Pipe
from convbench.networks.graph import Graph
from convbench.networks.ops import BatchNorm
from convbench.networks.zoo.names import architecture
from convbench.papers import own_networks
from convbench.papers.tables import ReferenceTable, read_table


@define
class Child:
    """One task from its first request to its last."""

    pipe: Pipe
    framework: Framework
    own: own_networks.Own | None = None
    memory_limit: Byte | None = None
    _needed_bytes: Byte = 0
    _device: str = "cpu"
    _baseline_bytes: Byte = 0
    _stepping: host_memory.Stepping | None = None
    _step: Callable[[], None] | None = None
    _clock: clock.Clock = field(factory=clock.Clock)
    _prepared: nodes.Prepared | None = None

    def serve(self) -> None:
        """Answers requests until told to stop."""
        self._baseline_bytes = host_memory.resident().own
        with own_networks.joined(self.own):
            self.pipe.send(messages.Started(os.getpid()))
            while True:
                request = self.pipe.receive()
                if request is None or isinstance(request, messages.Stop):
                    return
                self.pipe.send(self._answer(request))

    def _answer(self, request: messages.Message) -> messages.Reply:
        try:
            match request:
                case messages.Check(architecture=name, tables=tables, mode=mode):
                    return messages.Checked(self._check(name, Path(tables), mode))
                case messages.Prepare():
                    return self._prepare(request)
                case messages.PrepareOwn():
                    return self._prepare_own(request)
                case messages.Outline(own=own):
                    return own_models.outline(own)
                case messages.Rounds(count=count, iterations=iterations):
                    return self._rounds(count, iterations)
                case messages.Examine():
                    return self._examine(request)
                case messages.Attain():
                    _refuse_precision(request)
                    return peaks.attain(self.framework, request)
                case messages.Profile():
                    assert self._prepared is not None, "a profile before Prepare"
                    return self._prepared.profile()
                case messages.Peak():
                    return messages.Peaks(self._memory())
                case _:
                    return messages.Refused(f"a child does not take {type(request).__name__}")
        except memory_needs.DoesNotFit as error:
            return _does_not_fit(error.shortage)
        except clock.ClocksDisagree as error:
            return messages.Refused(str(error), outcome="failed")
        except ConvbenchError as error:
            return messages.Refused(str(error))
        except Exception as error:  # whatever a framework raises is this task's failure alone
            if is_about_memory(error):
                return _does_not_fit(self._out_of_memory(error))
            return messages.Refused(said(error), outcome="failed")

    def _refuse_beyond_memory(self, needed: Byte, device: str) -> None:
        """Refuses what the host cannot hold; what a GPU holds, it says itself."""
        self._needed_bytes, self._device = needed, device
        if device == "cpu":
            memory_needs.refuse_beyond(needed, self.memory_limit)

    def _out_of_memory(self, error: Exception) -> Shortage:
        """What a task needs for which there was no memory left: as far as it came, or more."""
        device = self.framework.device_memory() if self._device != "cpu" else None
        grown = host_memory.highest_growth(os.getpid(), self._baseline_bytes)
        reached = grown if device is None else device.allocated_bytes or 0
        asked = memory_needs.asked_for(str(error))
        return Shortage(max(self._needed_bytes, reached, asked))

    def _check(self, name: str, tables: Path, mode: str) -> CheckReport:
        graph = architecture(name)
        model = self.framework.build(graph, allocate=False, mode=mode)
        return self._compared(graph, self._table(name, tables), model, mode)

    def _table(self, name: str, tables: Path) -> ReferenceTable:
        return read_table(name, *own_networks.folders(tables, self.own))

    def _compared(
        self, graph: Graph, table: ReferenceTable, model: Model, mode: str
    ) -> CheckReport:
        report = check(graph, table, self._observed(model), architecture)
        return evolve(report, framework=variant(self.framework.name, mode))

    def _observed(self, model: Model) -> Observation:
        """What the framework says of its model; a user's own may say anything, or nothing."""
        name, observed = self.framework.name, self.framework.observe(model)
        if not isinstance(observed, Observation):
            said = f"its observe returned {observed!r:.80}, not an Observation"
        elif observed.framework != name:
            said = f"its observe speaks of the framework {observed.framework!r}"
        else:
            return observed
        raise Unsupported(f"a model of {name}", said, f"return Observation({name!r}, ...) from it")

    def _prepare(self, request: messages.Prepare) -> messages.Reply:
        task, framework = request.task, self.framework
        graph = architecture(task.architecture)
        table = self._table(task.architecture, Path(request.tables))
        if task.goes_backward:
            _refuse_single_values(graph, task.batch)
        framework.prepare(task.device, task.threads)
        self._refuse_beyond_memory(memory_needs.of_task(graph, task), task.device)
        _refuse_precision(task)
        began = perf_counter()
        half = {} if task.dtype == SINGLE else {"dtype": task.dtype}
        model = framework.build(graph, allocate=True, mode=task.mode, **half)
        built = perf_counter()
        report = condensed(self._compared(graph, table, model, task.mode))
        if not report.proven:
            return messages.Refused(_difference(report), report)
        framework.load(model, weights.filler(graph, task.seed))
        images, labels = weights.batch(graph, task.batch, task.seed)
        self._step = framework.step(model, task.pass_, images, labels)
        self._prepared = nodes.Prepared(
            framework, model, task.pass_, lambda: weights.batch(graph, task.batch, task.seed)[0]
        )
        del images, labels  # a framework that copies them has its own by now
        first_s, *warmup = self._warm_up(request.warmup_s)
        if request.extra:
            self._step = extra_work.slowed(self._step, request.extra)
        return messages.Prepared(
            report=report, build_s=built - began, first_s=first_s, warmup_s=tuple(warmup)
        )

    def _prepare_own(self, request: messages.PrepareOwn) -> messages.Reply:
        values = request.task.batch * prod(request.own.input)
        self._refuse_beyond_memory(4 * values, request.task.device)
        try:
            ready = own_models.make_ready(self.framework, request.task.pass_, request)
        except own_models.ForeignModel as error:
            return messages.Refused(str(error), framework=error.framework)
        self._step, self._baseline_bytes = ready.step, ready.baseline_bytes
        first_s, *warmup = self._warm_up(request.warmup_s)
        return messages.Prepared(
            report=None, build_s=ready.build_s, first_s=first_s, warmup_s=tuple(warmup)
        )

    def _examine(self, request: messages.Examine) -> messages.Reply:
        graph, framework = architecture(request.architecture), self.framework
        _refuse_single_values(graph, request.batch)
        needed = memory_needs.of_examination(graph, request.batch, request.dtype)
        self._refuse_beyond_memory(needed, "cpu")
        framework.prepare("cpu", request.threads)
        values = weights.filler(graph, request.seed)
        batch = weights.batch(graph, request.batch, request.seed)
        if request.moved:
            values, batch = weights.moved(values, batch, request.moved)
        with arrays.writing(Path(request.path)) as keep:
            framework.examine(
                graph, values, batch, request.steps, keep, mode=request.mode, dtype=request.dtype
            )
        return messages.Examined()

    def _warm_up(self, warmup_s: Second) -> list[Second]:
        """Seconds of the first step, and of one or more after it until `warmup_s` have passed."""
        taken: list[Second] = []
        if isinstance(self.framework, HasDeviceClock):
            self._clock.device = self.framework.device_clock()
        self._stepping = host_memory.Stepping.begin(self._baseline_bytes)
        gc.freeze()  # so that collecting before each of many rounds looks at what is new alone
        with clock.no_garbage_collection():
            while len(taken) < 2 or sum(taken[1:]) < warmup_s:
                taken.append(self._round(1))
        return taken

    def _rounds(self, count: int, iterations: int) -> messages.Timed:
        """Seconds of one step in each of `count` rounds."""
        began = process_time()
        self._clock.host_s.clear()
        with clock.no_garbage_collection():
            rounds_s = tuple(self._round(iterations) for _ in range(count))
        return messages.Timed(rounds_s, process_time() - began, tuple(self._clock.host_s))

    def _round(self, iterations: int) -> Second:
        """Seconds of one step, the mean over a round of `iterations`."""
        assert self._step is not None, "a round before Prepare"
        return self._clock.round(self._step, iterations)

    def _memory(self) -> Memory:
        assert self._stepping is not None, "a peak before Prepare"
        device = self.framework.device_memory()
        return Memory(
            host_bytes=self._stepping.growth(),
            device_allocated_bytes=device.allocated_bytes if device else None,
            device_reserved_bytes=device.reserved_bytes if device else None,
            device_process_bytes=environment.device_process_bytes() if device else None,
        )


def _does_not_fit(shortage: Shortage) -> messages.Refused:
    return messages.Refused(str(memory_needs.DoesNotFit(shortage)), shortage=shortage)


def _refuse_precision(task: Task | messages.Attain) -> None:
    if task.device == "cpu" and task.dtype == "float16":
        remedy = "choose bfloat16, or a GPU"
        raise Unsupported("float16 on a CPU", "frameworks do not train in it there", remedy)


def _refuse_single_values(graph: Graph, batch: int) -> None:
    """Refuses to train on one image where batch normalization would see one value a channel."""
    for node in graph:
        if isinstance(node.op, BatchNorm) and not node.frozen and batch * prod(node.output[1:]) < 2:
            raise Unsupported(
                f"training on a batch of {batch}",
                f"{node.address} would normalize single values",
                "choose a batch of 2 or more",
            )


def _difference(report: CheckReport) -> str:
    found, count = report.differs[0], len(report.differs)
    more = f" (and {count - 1} more)" if count > 1 else ""
    has, stated = (
        "nothing" if value is None else as_text(value)
        for value in (
            found.computed if found.observed is None else found.observed,
            found.computed if found.printed is None else found.printed,
        )
    )
    return (
        f"not timed, because it is not the paper's network: {found.at}: {found.quantity} is {has}, "
        f"{'described' if found.printed is None else 'printed'} is {stated}{more}; "
        f"see convbench check {report.name}"
    )
