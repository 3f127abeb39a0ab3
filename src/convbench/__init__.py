"""convbench: the networks of the papers, proven and timed in PyTorch and Keras.

>>> import convbench
>>> convbench.architecture("lenet5").parameters
60000
"""

from typing import TYPE_CHECKING, Any

from convbench.base.errors import ConvbenchError
from convbench.base.version import __version__
from convbench.networks.builder import Builder
from convbench.networks.graph import Graph
from convbench.networks.zoo.names import ARCHITECTURES, architecture

if TYPE_CHECKING:
    from convbench.checks.explain.explain import explain


__all__ = [
    "ARCHITECTURES",
    "Builder",
    "ConvbenchError",
    "Graph",
    "__version__",
    "architecture",
    "explain",
]


def __getattr__(name: str) -> Any:
    """`explain` is imported when it is first used: its tables take a second."""
    if name == "explain":
        from convbench.checks.explain.explain import explain  # noqa: PLC0415

        return explain
    raise AttributeError(f"module {__name__} has no attribute {name}")
