"""What a finding holds: numbers, tuples and words, which become text where they are shown."""

from __future__ import annotations

from typing import TypeAlias

from attrs import frozen

from convbench.base.units import count, shape
from convbench.networks.ops import Shape
from convbench.papers.printed import Dims, Printed


@frozen
class PrintedTimes:
    """How many times more, or fewer, of something a source says that a network has."""

    factor: Printed
    more: bool


@frozen
class Times:
    """How many times more, or fewer, of something a network has."""

    factor: float
    more: bool


@frozen
class Tensor:
    """One array of a layer."""

    name: str
    shape: Shape
    trainable: bool


@frozen
class OldText:
    """A value that a journal of schema 1 holds as text, which does not say the whole value."""

    old_text: str


PrintedValue: TypeAlias = Printed | Dims | PrintedTimes | OldText
"""What a source prints, with its digits."""
Value: TypeAlias = int | Shape | tuple[Tensor, ...] | Times | str | OldText
"""What is computed or observed; a word is a layer's type, or says that a layer is not there."""


def as_text(value: PrintedValue | Value) -> str:
    """A value as outputs show it: `138M`, `96x55x55`, `34,944`, `weight 10x84, bias 10`."""
    match value:
        case str():
            return value
        case OldText():
            return value.old_text
        case PrintedTimes():
            return f"{value.factor} times {_direction(value.more)}"
        case Times():
            return f"{value.factor:.4g} times {_direction(value.more)}"
        case Printed():
            return value.text
        case int():
            return count(value)
        case ():
            return "none"
        case _:
            tensors = [_tensor(each) for each in value if isinstance(each, Tensor)]
            sizes = [each for each in value if isinstance(each, int)]
            return ", ".join(tensors) or shape(sizes)


def _direction(more: bool) -> str:
    return "more" if more else "fewer"


def _tensor(tensor: Tensor) -> str:
    return f"{tensor.name} {shape(tensor.shape)}{'' if tensor.trainable else ' fixed'}"
