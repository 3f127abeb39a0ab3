"""Fixtures for people's own test suites, which the plugin brings along.

`docs/own_tests.md` shows how they are used.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from attrs import Attribute, evolve, field, frozen

from convbench.base.errors import BadOption, ConvbenchError, OtherFramework
from convbench.base.importing import Maker, Reference, refer, used_by
from convbench.base.units import Second
from convbench.frameworks import registry
from convbench.frameworks.registry import DEFAULT_FRAMEWORKS, FRAMEWORKS
from convbench.front.options import MOST, one_of
from convbench.front.plugin.session import STATE, refuse_xdist
from convbench.front.plugin.throughput import PassThroughput, Throughput, summary
from convbench.measure.machine import environment
from convbench.measure.records import Measurement, Task
from convbench.measure.run import Run
from convbench.measure.worker.messages import OwnModel
from convbench.networks.graph import Graph
from convbench.networks.ops import Shape
from convbench.networks.passes import EVERYWHERE, Pass
from convbench.networks.zoo import names as architectures

if TYPE_CHECKING:
    from convbench.checks.explain.explanation import Explanation

RESULTS = pytest.StashKey[list[tuple[str, Measurement]]]()
"""Everything that `throughput` has measured in this session, with the test that asked."""


@pytest.fixture
def throughput(request: pytest.FixtureRequest) -> Callable[..., Throughput]:
    """A call that times passes of a model of your own, each in a fresh worker process."""

    def time(  # noqa: PLR0913  (one for each thing that there is to choose)
        model: Maker,
        *,
        input: Sequence[int],  # noqa: A002  (nobody calls it otherwise)
        passes: str | Sequence[str] = ("forward", "backward"),
        batch: int | None = None,
        framework: str | None = None,
        classes: int | None = None,
        loss: Maker | None = None,
        seconds: Second | None = None,
        threads: int | None = None,
    ) -> Throughput:
        try:
            asked = Asked(
                input=input,
                passes=passes,
                batch=batch,
                framework=framework,
                classes=classes,
                seconds=seconds,
                threads=threads,
            )
            return _throughput(request, refer(model), refer(loss) if loss else None, asked)
        except ConvbenchError as error:
            failure = str(error)
        pytest.fail(failure, pytrace=False)  # out here, where nothing is said to have caused it

    return time


@pytest.fixture
def architecture() -> Callable[[str], Paper]:
    """A call that gives a network of the canon, to hold models of your own against."""

    def named(name: str) -> Paper:
        try:
            return Paper(architectures.architecture(name))
        except ConvbenchError as error:
            failure = str(error)
        pytest.fail(failure, pytrace=False)

    return named


@frozen
class Paper:
    """A network as its paper describes it."""

    description: Graph

    def graph(self, input: Shape | None = None, classes: int | None = None) -> Graph:  # noqa: A002
        """The network for images `(C, H, W)` and classes of your own.

        Raises ConvbenchError for images that do not fit it, and for classes that it has none of.
        """
        return architectures.architecture(self.description.name, input=input, classes=classes)

    def check(
        self,
        model: Any,
        *,
        input: Shape | None = None,  # noqa: A002
        classes: int | None = None,
        allow: Sequence[str] = (),
        name: str | None = None,
    ) -> Explanation:
        """Fails the test with the ledger unless a PyTorch module or a Keras model is this network.

        `input` and `classes` are those of the model, where they are not the paper's; `allow` names
        kinds of differences that do not matter to you, such as `epsilon`; `name` is what to call
        the model in the failure, instead of its class.
        """
        from convbench.checks.explain.explain import explain  # noqa: PLC0415  (imports pandas and SciPy)

        try:
            graph = self.graph(input, classes)
            found = explain(model, graph, input=input, name=name, allow=allow)
        except ConvbenchError as error:
            failure = str(error)
        else:
            if found.accepted:
                return found
            failure = str(found)
        pytest.fail(failure, pytrace=False)


def _count(_: object, attribute: Attribute[Any], value: object) -> None:
    """Lets through what is positive, whole and within reason."""
    most = MOST.get(attribute.name, MOST["batch"])
    if value is not None and not (type(value) is int and 0 < value <= most):
        raise BadOption(attribute.name, f"a whole number from 1 to {most:,}", str(value))


def _duration(_: object, attribute: Attribute[Any], value: object) -> None:
    most = MOST[attribute.name]
    if value is not None and not (isinstance(value, int | float) and 0 < value <= most):
        raise BadOption(attribute.name, f"a positive number up to {most:,}", str(value))


def _name(_: object, attribute: Attribute[Any], value: object) -> None:
    if not isinstance(value, str | None):
        wanted = f"a name such as {' or '.join(DEFAULT_FRAMEWORKS)}"
        raise BadOption(attribute.name, wanted, str(value))


def _sizes(value: Any) -> tuple[int, ...]:
    """The shape of one image."""
    sizes = tuple(value) if isinstance(value, Sequence) else ()
    if not sizes or not all(type(size) is int and 0 < size <= MOST["batch"] for size in sizes):
        wanted = "the sizes of one image, without the batch, as in (3, 224, 224)"
        raise BadOption("input", wanted, str(value))
    return sizes


def _passes(value: Any) -> tuple[Pass, ...]:
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, Sequence) or not names:
        raise BadOption("passes", f"one or more of {', '.join(EVERYWHERE)}", str(value))
    return tuple(dict.fromkeys(one_of("pass", str(name), EVERYWHERE) for name in names))


@frozen(kw_only=True)
class Asked:
    """What a test asks of `throughput`; raises ConvbenchError for what cannot be meant."""

    input: tuple[int, ...] = field(converter=_sizes)
    passes: tuple[Pass, ...] = field(converter=_passes)
    batch: int | None = field(validator=_count)
    framework: str | None = field(validator=_name)
    classes: int | None = field(validator=_count)
    seconds: Second | None = field(validator=_duration)
    threads: int | None = field(validator=_count)


def _throughput(
    request: pytest.FixtureRequest, make: Reference, loss: Reference | None, asked: Asked
) -> Throughput:
    """Times pass after pass; what is measured is kept for the summary at once."""
    config = request.config
    refuse_xdist(config)
    run = config.stash[STATE].opened(config)
    task = _task(config, make, asked)
    path = dict.fromkeys(str(Path.cwd() / place) for place in [*sys.path, str(config.rootpath)])
    own = OwnModel(make=make, input=asked.input, classes=asked.classes, loss=loss, path=tuple(path))
    passes: dict[str, PassThroughput] = {}
    for pass_ in asked.passes:
        measurement = _measured(run, evolve(task, pass_=pass_), own, asked)
        task = measurement.task
        config.stash.setdefault(RESULTS, []).append((request.node.nodeid, measurement))
        passes[pass_] = PassThroughput(measurement)
    result = Throughput(passes, asked.input)
    if "benchmark" in request.fixturenames:
        extra_info = request.getfixturevalue("benchmark").extra_info
        extra_info.setdefault("throughput", []).append(result.extra_info())
    return result


def _task(config: pytest.Config, make: Reference, asked: Asked) -> Task:
    """The first pass as a task, with what the command line or the machine says of the rest."""
    state = config.stash[STATE]
    framework = asked.framework or _likely(make.module)
    missing = registry.missing(framework)
    if missing is not None:
        raise missing
    return Task(
        architecture=make.label,
        framework=framework,
        pass_=asked.passes[0],
        batch=asked.batch or state.batch(),
        device=state.device(),
        threads=asked.threads or state.threads(),
    )


def _likely(module: str) -> str:
    """The framework that a module uses, if it is one; else the first that is installed.

    A worker of another framework than the model's says so: this only spares it the start.
    """
    used = registry.among(used_by(module))
    if len(used) == 1:
        return used[0]
    installed = [name for name in FRAMEWORKS if registry.missing(name) is None]
    return next(iter(installed or FRAMEWORKS))


def _measured(run: Run, task: Task, own: OwnModel, asked: Asked) -> Measurement:
    """The measurement of one pass, in the framework that the model turns out to be of."""
    try:
        return run.time_own(task, own, asked.seconds)
    except OtherFramework as error:
        if asked.framework is not None:
            raise
        return run.time_own(evolve(task, framework=error.framework), own, asked.seconds)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Shows everything that was measured, whatever became of the tests."""
    results = config.stash.get(RESULTS, [])
    if not results:
        return
    from convbench.report import gpu  # noqa: PLC0415  (imports pandas, as the next one)
    from convbench.report.throughput import busy  # noqa: PLC0415

    terminalreporter.section("throughput of models of your own (unproven)")
    terminalreporter.write_line(summary(results))
    measurements = [measurement for _, measurement in results]
    busy_cpu = busy(environment.default_threads(), measurements)
    for warning in (busy_cpu, *gpu.warnings(measurements)):
        if warning:
            terminalreporter.write_line(warning.replace("*", ""), yellow=True)
