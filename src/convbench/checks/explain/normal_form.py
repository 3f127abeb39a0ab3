"""One way to write what can be written in several: both models are brought into it first.

Nothing here changes what a model computes, up to the order in which values lie in memory: a layer
of padding goes into the convolution behind it, a pooling of the whole image is global pooling, a
convolution over the whole image is a dense layer, a sum of sums is one sum.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import assert_never

from attrs import evolve, frozen

from convbench.frameworks.trace import Other, Step, Trace
from convbench.networks.layer_facts import facts
from convbench.networks.ops import (
    Add,
    AvgPool,
    Concat,
    Conv,
    Dense,
    Flatten,
    GlobalAvgPool,
    MaxPool,
    Multiply,
    Pad,
    Padding,
    Shape,
    Sigmoid,
    Silu,
    Softmax,
)


@frozen
class Normal:
    """A trace in normal form, and what had to be left out of it."""

    trace: Trace
    ends: tuple[str, ...]
    """What was taken off each answer: `softmax`, or nothing."""


Rule = Callable[[Step, Sequence[Step]], Step | int]
"""What becomes of a step, given the new steps before it: a step, or the position of an equal."""


def normal(trace: Trace) -> Normal:
    """The same model in normal form; only steps without arrays disappear."""
    ends, trace = without_ends(trace)
    for rule in (_flat, _padded, _pooled, _dense, _gated):
        trace = rewritten(trace, rule)
    trace = _joined(trace)
    return Normal(_alive(trace), ends)


def rewritten(trace: Trace, rule: Rule) -> Trace:
    """The trace with what a rule makes of each step."""
    steps: list[Step] = []
    where: list[int] = []
    for step in trace.steps:
        result = rule(evolve(step, inputs=tuple(where[i] for i in step.inputs)), steps)
        if isinstance(result, Step):
            steps.append(result)
            result = len(steps) - 1
        where.append(result)
    return evolve(trace, steps=tuple(steps), outputs=tuple(where[i] for i in trace.outputs))


def _alive(trace: Trace) -> Trace:
    """Without steps that nothing reads, if they own no array: they compute nothing."""
    read = set(trace.outputs)
    for i, step in reversed(list(enumerate(trace.steps))):
        if i in read or step.tensors or i == 0:
            read.update((i, *step.inputs))
    where = {old: new for new, old in enumerate(sorted(read))}
    steps = (
        evolve(trace.steps[i], inputs=tuple(where[j] for j in trace.steps[i].inputs)) for i in where
    )
    return evolve(trace, steps=tuple(steps), outputs=tuple(where[i] for i in trace.outputs))


_ENDS = {Softmax: "softmax", Sigmoid: "sigmoid"}


def without_ends(trace: Trace) -> tuple[tuple[str, ...], Trace]:
    """Takes a softmax or a sigmoid off each answer: many models leave it to the loss."""
    ends, outputs = [], []
    for position in trace.outputs:
        end, at = "", position
        while (step := trace.steps[at]) and step.inputs:
            name = _ENDS.get(type(step.layer), "")
            if isinstance(step.layer, Other) and step.layer.name == "log softmax":
                name = step.layer.name
            if end if name else not isinstance(step.layer, Flatten):
                break
            end, at = end or name, step.inputs[0]
        ends.append(end)
        outputs.append(at)
    return tuple(ends), evolve(trace, outputs=tuple(outputs))


def _flat(step: Step, _: Sequence[Step]) -> Step | int:
    """Flattening is a matter of memory; a single position is a vector."""
    if isinstance(step.layer, Flatten):
        return step.inputs[0]
    return evolve(step, output=_vector(step.output))


def _vector(shape: Shape) -> Shape:
    return shape[:1] if len(shape) == 3 and shape[1:] == (1, 1) else shape


def _padded(step: Step, before: Sequence[Step]) -> Step | int:
    """Zeros around the image go into the layer behind them, where they mean the same."""
    layer = step.layer
    if not isinstance(layer, Conv | AvgPool | MaxPool):
        return step
    pad = before[step.inputs[0]]
    if isinstance(layer, MaxPool) and isinstance(pad.layer, Pad):
        # Zeros never win over values that are not negative, no more than a pool's own padding.
        if not _not_negative(before[pad.inputs[0]], before):
            return step
    elif isinstance(layer, AvgPool) and any(layer.padding) and not layer.count_padding:
        return step
    if not isinstance(pad.layer, Pad) or min(pad.layer.padding) < 0:
        return step
    wide = _sum(layer.padding, pad.layer.padding)
    wider = evolve(layer, padding=wide)
    if isinstance(wider, AvgPool):
        wider = evolve(wider, count_padding=True)
    return evolve(step, layer=wider, inputs=pad.inputs)


def _sum(one: Padding, other: Padding) -> Padding:
    top, bottom, left, right = (a + b for a, b in zip(one, other, strict=True))
    return top, bottom, left, right


def _not_negative(step: Step, before: Sequence[Step]) -> bool:
    if isinstance(step.layer, Other):
        return False
    sign = facts(step.layer).sign
    match sign:
        case "either":
            return False
        case "never negative":
            return True
        case "as its inputs":
            return all(_not_negative(before[i], before) for i in step.inputs)
        case _:
            assert_never(sign)


def _pooled(step: Step, before: Sequence[Step]) -> Step | int:
    """The mean of a window that covers the image is global; of one position, nothing."""
    if not isinstance(step.layer, AvgPool | GlobalAvgPool):
        return step
    image = before[step.inputs[0]].output
    if len(image) == 1:
        return step.inputs[0]
    covers = isinstance(step.layer, AvgPool) and step.layer.kernel == image[1:]
    if covers and len(step.output) == 1:
        return evolve(step, layer=GlobalAvgPool())
    return step


def _dense(step: Step, before: Sequence[Step]) -> Step | int:
    """A convolution whose kernel covers the image is a dense layer."""
    layer = step.layer
    if not isinstance(layer, Conv) or layer.groups != 1 or any(layer.padding):
        return step
    image = before[step.inputs[0]].output
    if layer.kernel != (image[1:] or (1, 1)):
        return step
    tensors = tuple(
        evolve(t, shape=(t.shape[0], prod(t.shape[1:]))) if t.name == "weight" else t
        for t in step.tensors
    )
    return evolve(step, layer=Dense(layer.channels, bias=layer.bias), tensors=tensors)


def _gated(step: Step, before: Sequence[Step]) -> Step | int:
    """`x * sigmoid(x)` is SiLU."""
    if isinstance(step.layer, Multiply) and len(step.inputs) == 2:
        for x, gate in (step.inputs, step.inputs[::-1]):
            if isinstance(before[gate].layer, Sigmoid) and before[gate].inputs == (x,):
                return evolve(step, layer=Silu(), inputs=(x,))
    return step


def _joined(trace: Trace) -> Trace:
    """A sum that only a sum reads, and a concatenation within one, are part of it."""
    readers: dict[int, int] = {}
    for step in trace.steps:
        for i in step.inputs:
            readers[i] = readers.get(i, 0) + 1
    for i in trace.outputs:
        readers[i] = readers.get(i, 0) + 1
    steps: list[Step] = []
    for step in trace.steps:
        if isinstance(step.layer, Add | Concat):
            inputs: list[int] = []
            for i in step.inputs:
                inner = steps[i]
                apart = isinstance(step.layer, Add) and readers[i] > 1
                merges = type(inner.layer) is type(step.layer) and not apart
                inputs += inner.inputs if merges else (i,)
            step = evolve(step, inputs=tuple(inputs))  # noqa: PLW2901
        steps.append(step)
    return evolve(trace, steps=tuple(steps))
