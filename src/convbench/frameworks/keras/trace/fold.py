"""Steps that are one layer together, such as a sigmoid and the product that makes it a SiLU."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from math import inf
from typing import TypeAlias

from attrs import evolve

from convbench.frameworks.trace import Other, Step
from convbench.networks.ops import Conv, Dense, MaxPool, Multiply, Sigmoid, Silu

Steps: TypeAlias = tuple[Step, ...]


def folded(steps: Steps, outputs: tuple[int, ...]) -> tuple[Steps, tuple[int, ...]]:
    """The steps with those made one that are one, and the positions of `outputs` among them."""
    uses = Counter(i for step in steps for i in step.inputs) + Counter(outputs)
    made = list(steps)
    goes: dict[int, int] = {}
    for i, step in enumerate(steps):
        for rule in _RULES:
            found = rule(made, step)
            if found is not None and all(uses[j] == 1 for j in found[0]):
                gone, made[i] = found
                goes.update(dict.fromkeys(gone, i))
                break
    places: dict[int, int] = {}
    kept: list[Step] = []
    for i, step in enumerate(made):
        if i not in goes:
            places[i] = len(kept)
            kept.append(step)
    moved = tuple(evolve(s, inputs=tuple(places[i] for i in s.inputs)) for s in kept)
    return moved, tuple(places[i] for i in outputs)


Rule: TypeAlias = Callable[[list[Step], Step], tuple[tuple[int, ...], Step] | None]
"""Gives the positions of steps that `step` takes in, none of which another reads, and what is
then in its place."""


def _padded_pool(steps: list[Step], step: Step) -> tuple[tuple[int, ...], Step] | None:
    """Padding that never wins, and a maximum."""
    if not isinstance(step.layer, MaxPool) or any(step.layer.padding):
        return None
    before = steps[step.inputs[0]]
    if not isinstance(before.layer, Other) or before.layer.name != "pad":
        return None
    padding = before.layer.settings.get("padding")
    if before.layer.settings.get("value") != -inf or not isinstance(padding, tuple):
        return None
    top, bottom, left, right = padding
    layer = evolve(step.layer, padding=(top, bottom, left, right))
    return step.inputs, evolve(step, layer=layer, inputs=before.inputs)


def _silu(steps: list[Step], step: Step) -> tuple[tuple[int, ...], Step] | None:
    """A value times its own sigmoid."""
    if len(step.inputs) != 2 or not isinstance(step.layer, Multiply | Other):
        return None
    if isinstance(step.layer, Other) and step.layer.name != "multiply":
        return None
    for value, gate in (step.inputs, step.inputs[::-1]):
        if isinstance(steps[gate].layer, Sigmoid) and steps[gate].inputs == (value,):
            return (gate,), evolve(step, layer=Silu(), inputs=(value,))
    return None


def _biased(steps: list[Step], step: Step) -> tuple[tuple[int, ...], Step] | None:
    """A convolution or a product of matrices, and the array of biases that is added to it."""
    if not isinstance(step.layer, Other) or step.layer.name != "add parameter":
        return None
    before = steps[step.inputs[0]]
    if not isinstance(before.layer, Conv | Dense) or before.layer.bias or len(step.tensors) != 1:
        return None
    bias, width = step.tensors[0], before.output[0]
    if bias.size != width or max(bias.shape) != width:
        return None
    tensors = (*before.tensors, evolve(bias, name="bias", shape=(width,)))
    layer = evolve(before.layer, bias=True)
    return step.inputs, evolve(before, layer=layer, tensors=tensors, output=step.output)


def _gated(steps: list[Step], step: Step) -> tuple[tuple[int, ...], Step] | None:
    """A gate and the image, which goes first."""
    if not isinstance(step.layer, Multiply) or steps[step.inputs[0]].output == step.output:
        return None
    return (), evolve(step, inputs=step.inputs[::-1])


_RULES: tuple[Rule, ...] = (_padded_pool, _silu, _biased, _gated)
