"""The worker's way to a step of a model of one's own: import, make, look, and choose labels."""

from __future__ import annotations

import sys
from collections.abc import Callable
from inspect import signature
from time import perf_counter
from typing import Any

import numpy as np
from attrs import frozen

from convbench.base.errors import (
    ConvbenchError,
    FromWorkingTree,
    Unsupported,
    is_about_memory,
    said,
)
from convbench.base.processes.provenance import imported
from convbench.base.units import Byte, Second, shape
from convbench.frameworks.protocol import Framework, OwnModels
from convbench.frameworks.registry import among, known
from convbench.measure.machine import host_memory
from convbench.measure.worker.messages import Fact, Outlined, OwnModel, PrepareOwn
from convbench.networks.graph import NETWORK
from convbench.networks.passes import PASSES, Pass


@frozen
class Ready:
    """A pass that can be stepped."""

    step: Callable[[], None]
    build_s: Second
    baseline_bytes: Byte
    """What the process had in memory before the model was made, but after the import."""


@frozen(str=False, eq=False)
class ForeignModel(ConvbenchError):
    """A model of another framework than the worker's."""

    framework: str
    found: str

    def __str__(self) -> str:
        return f"it is a model of {self.framework}, not of {self.found}; leave out framework="


def outline(own: OwnModel) -> Outlined:
    """Totals of a model, and what leaves each of its layers as they are executed.

    Raises ConvbenchError, such as for a model that cannot be traced, and what the model raises.
    """
    from convbench.frameworks.tracers import tracer_of  # noqa: PLC0415  (pandas, in every worker)

    model = _maker(own)()
    tracer = tracer_of(model)
    found = tracer.trace(model, own.make.label, tracer.image_of(model) or own.input)
    _refuse_foreign(own)
    layers = [Fact(step.address, "output", tuple(step.output)) for step in found.steps]
    totals = {"parameters": found.parameters, "buffers": found.buffers}
    macs = {"multiply-accumulates": sum(step.macs for step in found.steps), "layers": len(layers)}
    facts = (*(Fact(NETWORK, *total) for total in (totals | macs).items()), *layers)
    return Outlined(facts, getattr(sys.modules[own.make.module], "__file__", None) or "")


def _maker(own: OwnModel) -> Callable[[], Any]:
    """What makes the model, imported."""
    sys.path[:] = [*own.path, *(place for place in sys.path if place not in own.path)]
    return _without_arguments(own.make.load())


def _refuse_foreign(own: OwnModel) -> None:
    """Raises FromWorkingTree if by now anything was imported from where nothing may be."""
    for found in imported(own.not_from).items() if own.not_from else ():
        raise FromWorkingTree(*found)


def make_ready(framework: Framework, pass_: Pass, request: PrepareOwn) -> Ready:
    """The step of a task; raises ConvbenchError, and whatever the model raises."""
    own, task = request.own, request.task
    if not isinstance(framework, OwnModels):
        why = f"{framework.name} has no takes, answer and own_step"
        raise Unsupported("models of your own", why, "frameworks/__init__.py says what they are")
    framework.prepare(task.device, task.threads)
    make = _maker(own)
    loss = own.loss.load() if own.loss else None
    baseline_bytes = host_memory.resident().own
    began = perf_counter()
    model = make()
    build_s = perf_counter() - began
    if not framework.takes(model):
        raise _no_model(framework.name, model)
    random = np.random.default_rng(task.seed)
    images = random.standard_normal((task.batch, *own.input), dtype=np.float32)
    answer = _answer(framework, model, images)
    _refuse_foreign(own)
    classes = _classes(own, answer) if PASSES[pass_].goes_backward else 1
    labels = random.integers(classes, size=task.batch, dtype=np.int64)
    step = framework.own_step(model, pass_, images, labels, loss)
    return Ready(step, build_s, baseline_bytes)


def _without_arguments(make: Callable[..., Any]) -> Callable[[], Any]:
    """`make` if it can be called as it is."""
    try:
        parameters = signature(make)
    except ValueError:  # some that are written in C do not tell
        return make
    try:
        parameters.bind()
    except TypeError as error:
        remedy = "bind what it needs with functools.partial"
        raise Unsupported("calling it without arguments", str(error), remedy) from None
    return make


def _no_model(framework: str, model: object) -> ConvbenchError:
    """What is wrong with a model that the framework does not take."""
    others = among({kind.__module__.partition(".")[0] for kind in type(model).__mro__})
    if others and not any(known(name).needs[:1] == known(framework).needs[:1] for name in others):
        return ForeignModel(others[0], framework)
    kind = type(model).__name__
    why = f"it is of type {kind}"
    return Unsupported("what it returns", why, "return a torch.nn.Module or a keras.Model")


def _answer(
    framework: OwnModels, model: object, images: np.ndarray[Any, Any]
) -> tuple[int, ...] | None:
    """The shape of the answer to a batch, or the model's refusal of it in one sentence."""
    try:
        return framework.answer(model, images)
    except Exception as error:  # whatever a model raises at what it cannot take
        if is_about_memory(error):
            raise
        what = f"its answer to a batch of {shape(images.shape)}"
        raise Unsupported(what, said(error), "give input= as the model takes one image") from None


def _classes(own: OwnModel, answer: tuple[int, ...] | None) -> int:
    """How many classes the random labels are of."""
    if own.loss is not None:
        if own.classes is None and not answer:
            why = "it is not one array, whose last dimension would tell"
            raise Unsupported("the number of classes in its answer", why, "give classes=")
        return own.classes or (answer or (1,))[-1]
    if answer is None or len(answer) != 2 or answer[1] < 2:
        found = "not one array" if answer is None else f"of shape {shape(answer)}"
        why = f"cross-entropy wants batch x classes, but its answer is {found}"
        raise Unsupported("its loss", why, "give loss=, or passes=('forward',)")
    if own.classes is not None and own.classes > answer[1]:
        why = f"its answer has {answer[1]}"
        raise Unsupported(f"{own.classes} classes", why, "give as many or fewer, or none")
    return own.classes or answer[1]
