"""What a framework says of its own model: the value that `observe` returns and `check` reads.

It is held against integers, so whole numbers are all that it takes: those of NumPy are converted,
anything else is refused where it is said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import index
from typing import Any

from attrs import Attribute, field, frozen

from convbench.base.errors import BadLayer
from convbench.networks.ops import Pair, Shape


def _count(value: Any) -> int:
    try:
        return int(index(value))
    except TypeError:
        raise BadLayer("an observation", "a count", "a whole number", value) from None


def _shape(value: Any) -> Shape:
    try:
        return tuple(int(index(size)) for size in value)
    except TypeError:
        wanted = "a tuple of whole numbers"
        raise BadLayer("an observation", "a shape", wanted, value) from None


def _window(value: Any) -> Pair | None:
    if value is None:
        return None
    sizes = _shape(value)
    if len(sizes) != 2:
        raise BadLayer("an observation", "a window", "(height, width) or None", value)
    return sizes[0], sizes[1]


def _a(type_: type) -> Callable[[object, Attribute[Any], object], None]:
    def validate(_: object, attribute: Attribute[Any], value: object) -> None:
        if not isinstance(value, type_):
            raise _bad(attribute, f"of type {type_.__name__}", value)

    return validate


def _named(type_: type) -> Callable[[object, Attribute[Any], object], None]:
    def validate(_: object, attribute: Attribute[Any], value: object) -> None:
        if not isinstance(value, Mapping):
            raise _bad(attribute, f"a mapping from names to {type_.__name__}", value)
        for name, item in value.items():
            if not isinstance(name, str) or not isinstance(item, type_):
                raise _bad(attribute, f"a mapping from names to {type_.__name__}", {name: item})

    return validate


def _bad(attribute: Attribute[Any], wanted: str, value: object) -> BadLayer:
    return BadLayer("an observation", attribute.name, wanted, value)


@frozen
class ObservedTensor:
    """One array of a real layer, in the canonical layout (PyTorch's)."""

    shape: Shape = field(converter=_shape)
    trainable: bool = field(validator=_a(bool))


@frozen
class ObservedNode:
    """One layer as the framework reports it."""

    output: Shape = field(converter=_shape)
    """What leaves the layer, without the batch: `(C, H, W)` or `(features,)`."""
    tensors: Mapping[str, ObservedTensor] = field(validator=_named(ObservedTensor))
    kernel: Pair | None = field(default=None, converter=_window)
    stride: Pair | None = field(default=None, converter=_window)


@frozen
class Observation:
    """A whole model as the framework reports it; the totals are its own counts, not our sums."""

    framework: str = field(validator=_a(str))
    nodes: Mapping[str, ObservedNode] = field(validator=_named(ObservedNode))
    parameters: int = field(converter=_count)
    buffers: int = field(converter=_count)
