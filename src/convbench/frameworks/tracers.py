"""The tracers: which framework's a model is, and what it computes."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from contextlib import AbstractContextManager
from typing import Any, Protocol

from convbench.base.errors import Unsupported
from convbench.frameworks.trace import Trace
from convbench.networks.ops import Shape

TRACERS = {
    "pytorch": ("convbench.frameworks.pytorch.trace.tracer", "torch"),
    "keras": ("convbench.frameworks.keras.trace.tracer", "keras"),
}
"""Where models of anybody's are traced, and the package whose models they are."""


class Tracer(Protocol):
    """What the file of a framework that can trace has."""

    def is_model(self, value: object) -> bool:
        """Whether it is a model of this framework."""

    def without_weights(self) -> AbstractContextManager[None]:
        """Models that are made inside take no memory for their weights."""

    def image_of(self, model: Any) -> Shape | None:
        """`(C, H, W)` of the images that the model was made for, if it says so."""

    def trace(self, model: Any, name: str, image: Shape, *, training: bool = True) -> Trace:
        """What the model does to such images; raises Unsupported if it cannot be traced."""


def tracers() -> dict[str, Tracer]:
    """The tracers of those frameworks that have been imported: no other can have made a model."""
    return {
        name: importlib.import_module(module)
        for name, (module, package) in TRACERS.items()
        if package in sys.modules
    }


def tracer_of(model: Any) -> Tracer:
    """The tracer for a model; raises Unsupported for what is none."""
    for tracer in tracers().values():
        if tracer.is_model(model):
            return tracer
    raise Unsupported(
        named(model),
        "it is neither a torch.nn.Module nor a keras.Model",
        "give a model itself, made by its class or its function",
    )


def named(value: object) -> str:
    """What a value is, for a person.

    >>> _named(3), _named([]), named(int)
    ('an int', 'a list', 'a class')
    """
    kind = "class" if isinstance(value, type) else type(value).__name__
    return f"{'an' if kind[0] in 'aeiouAEIOU' else 'a'} {kind}"
