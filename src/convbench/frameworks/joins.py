"""Steps that other people write as several calls, and that are one layer for us."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from math import inf, prod
from typing import TypeAlias

from attrs import evolve

from convbench.frameworks.trace import Other, Step
from convbench.networks.ops import (
    Conv,
    Dense,
    Flatten,
    GlobalAvgPool,
    MaxPool,
    Multiply,
    Scale,
    ScaledTanh,
    Sigmoid,
    Silu,
)

Rule: TypeAlias = Callable[[Sequence[Step], int, int], Step | None]
"""What two steps are together: the steps, the position of the first, and of the one that reads it.

None where they stay two.
"""


def joined(
    steps: Iterable[Step], outputs: Iterable[int]
) -> tuple[tuple[Step, ...], tuple[int, ...]]:
    """The steps with every pair that is one layer made one step, and where the outputs are now."""
    now = list(steps)
    answers = tuple(outputs)
    reads = Counter(p for step in now for p in set(step.inputs)) + Counter(set(answers))
    gone: set[int] = set()
    for i in range(len(now)):
        pair = _pair(now, i, reads)
        while pair is not None:
            first, one = pair
            reads.subtract(set(now[i].inputs))
            reads.subtract(set(now[first].inputs))
            reads.update(set(one.inputs))
            gone.add(first)
            now[i] = one
            pair = _pair(now, i, reads)
    kept = [i for i in range(len(now)) if i not in gone]
    place = {i: n for n, i in enumerate(kept)}
    moved = (evolve(now[i], inputs=tuple(place[p] for p in now[i].inputs)) for i in kept)
    return tuple(moved), tuple(place[answer] for answer in answers)


def _pair(steps: Sequence[Step], i: int, reads: Counter[int]) -> tuple[int, Step] | None:
    """The first step that is one layer with step `i`, which alone reads it, and that layer."""
    for first in dict.fromkeys(steps[i].inputs):
        if reads[first] != 1 or not steps[first].inputs:
            continue
        for rule in RULES:
            one = rule(steps, first, i)
            if one is not None:
                return first, one
    return None


def _named(step: Step, *names: str) -> bool:
    return isinstance(step.layer, Other) and step.layer.name in names


def _follows(steps: Sequence[Step], first: int, i: int) -> bool:
    return steps[i].inputs == (first,)


def _silu(steps: Sequence[Step], first: int, i: int) -> Step | None:
    """`x * sigmoid(x)`."""
    step, gate = steps[i], steps[first]
    product = isinstance(step.layer, Multiply) or _named(step, "multiply")
    if not (product and isinstance(gate.layer, Sigmoid)):
        return None
    if sorted(step.inputs) != sorted((*gate.inputs, first)):
        return None
    return evolve(step, layer=Silu(), inputs=gate.inputs)


def _gate(steps: Sequence[Step], first: int, i: int) -> Step | None:
    """An image times factors that were repeated over its positions first."""
    step, repeated = steps[i], steps[first]
    if not (_named(step, "multiply") and _named(repeated, "expand")):
        return None
    source = repeated.inputs[0]
    if len(step.output) != 3 or prod(steps[source].output) != step.output[0]:
        return None
    others = tuple(p for p in step.inputs if p != first)
    return evolve(step, layer=Multiply(), inputs=(*others, source)) if others else None


def _scaled_tanh(steps: Sequence[Step], first: int, i: int) -> Step | None:
    """`a * tanh(b * x)`."""
    step, before = steps[i], steps[first].layer
    if isinstance(before, Scale) and _named(step, "tanh"):
        one = ScaledTanh(amplitude=1.0, slope=before.factor)
    elif isinstance(step.layer, Scale) and isinstance(before, ScaledTanh):
        one = ScaledTanh(amplitude=before.amplitude * step.layer.factor, slope=before.slope)
    elif isinstance(step.layer, Scale) and _named(steps[first], "tanh"):
        one = ScaledTanh(amplitude=step.layer.factor, slope=1.0)
    else:
        return None
    return evolve(step, layer=one, inputs=steps[first].inputs)


def _scale(steps: Sequence[Step], first: int, i: int) -> Step | None:
    """A fixed number, and another."""
    step, before = steps[i], steps[first]
    if not (isinstance(step.layer, Scale) and isinstance(before.layer, Scale)):
        return None
    return evolve(step, layer=Scale(before.layer.factor * step.layer.factor), inputs=before.inputs)


def _bias(steps: Sequence[Step], first: int, i: int) -> Step | None:
    """A convolution or dense layer without bias, and an array of one value per channel added."""
    step, weighted = steps[i], steps[first]
    if not (_named(step, "add parameter") and isinstance(weighted.layer, Conv | Dense)):
        return None
    if weighted.layer.bias or not _follows(steps, first, i) or len(step.tensors) != 1:
        return None
    assert isinstance(step.layer, Other)
    channels = weighted.output[0]
    shape = (channels, *(1 for _ in weighted.output[1:]))
    per_channel = (shape, (1, *shape))
    if step.layer.settings.get("shape") not in per_channel:
        return None
    held = evolve(step.tensors[0], name="bias", shape=(channels,))
    return evolve(
        step,
        layer=evolve(weighted.layer, bias=True),
        inputs=weighted.inputs,
        tensors=(*weighted.tensors, held),
    )


def _max_pool(steps: Sequence[Step], first: int, i: int) -> Step | None:
    """Padding that never wins, and a maximum over windows."""
    step, pad = steps[i], steps[first]
    if not (isinstance(step.layer, MaxPool) and _named(pad, "pad")):
        return None
    assert isinstance(pad.layer, Other)
    padding = pad.layer.settings.get("padding")
    if pad.layer.settings.get("value") != -inf or any(step.layer.padding):
        return None
    if not isinstance(padding, tuple) or min(padding) < 0:
        return None
    top, bottom, left, right = padding
    layer = evolve(step.layer, padding=(top, bottom, left, right))
    return evolve(step, layer=layer, inputs=pad.inputs)


def _global_mean(steps: Sequence[Step], first: int, i: int) -> Step | None:
    """The mean over rows and then columns, or over all positions laid in one row."""
    step, before = steps[i], steps[first]
    if not (_named(step, "mean") and _named(before, "mean", "reshape")):
        return None
    image = steps[before.inputs[0]].output
    if len(image) != 3 or prod(step.output) != image[0]:
        return None
    if not (_over_positions(step) and (_named(before, "reshape") or _over_positions(before))):
        return None
    if _named(before, "reshape") and before.output[:1] != image[:1]:
        return None
    return evolve(step, layer=GlobalAvgPool(), inputs=before.inputs, output=(image[0], 1, 1))


def _over_positions(step: Step) -> bool:
    """Whether a mean is taken over rows and columns alone, the batch being axis 0.

    Only PyTorch's tracer names `axes`: Keras has the channels elsewhere.
    """
    assert isinstance(step.layer, Other)
    axes = step.layer.settings.get("axes")
    return isinstance(axes, tuple) and {*axes} <= {2, 3}


def _flatten(steps: Sequence[Step], first: int, i: int) -> Step | None:
    """An image laid in rows, and then in one."""
    if isinstance(steps[i].layer, Flatten) and _named(steps[first], "reshape"):
        return evolve(steps[i], inputs=steps[first].inputs)
    return None


RULES: tuple[Rule, ...] = (
    *(_silu, _gate, _scale, _scaled_tanh, _bias, _max_pool, _global_mean, _flatten),
)
