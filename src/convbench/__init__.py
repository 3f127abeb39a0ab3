"""convbench: the networks of the papers, proven and timed in PyTorch and Keras.

Everything that users may import is listed here; each name is imported when it is first used.

>>> import convbench
>>> convbench.architecture("lenet5").parameters
60000
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from convbench.base.version import __version__

if TYPE_CHECKING:
    from convbench.base.errors import ConvbenchError
    from convbench.checks.explain.explain import explain
    from convbench.checks.explain.explanation import Explanation
    from convbench.checks.structure import Finding
    from convbench.front.check import check
    from convbench.front.plugin.throughput import Throughput
    from convbench.networks import ops
    from convbench.networks.builder import Builder
    from convbench.networks.graph import Graph
    from convbench.networks.zoo.names import architecture, names
    from convbench.report.frames import load_run


__all__ = [
    "Builder",
    "ConvbenchError",
    "Explanation",
    "Finding",
    "Graph",
    "Throughput",
    "__version__",
    "architecture",
    "check",
    "explain",
    "load_run",
    "names",
    "ops",
]

if not TYPE_CHECKING:  # type checkers read the imports above, and see a misspelled name
    _MODULES = {
        "Builder": "convbench.networks.builder",
        "ConvbenchError": "convbench.base.errors",
        "Explanation": "convbench.checks.explain.explanation",
        "Finding": "convbench.checks.structure",
        "Graph": "convbench.networks.graph",
        "Throughput": "convbench.front.plugin.throughput",
        "architecture": "convbench.networks.zoo.names",
        "check": "convbench.front.check",
        "explain": "convbench.checks.explain.explain",
        "load_run": "convbench.report.frames",
        "names": "convbench.networks.zoo.names",
        "ops": "convbench.networks.ops",
    }
    # A name goes in three places: the imports for type checkers, `__all__`, and this table.

    def __getattr__(name: str) -> Any:
        """Imports a public name when it is first used."""
        if name not in _MODULES:
            raise AttributeError(f"module {__name__} has no attribute {name}")
        module = import_module(_MODULES[name])
        return module if name == "ops" else getattr(module, name)

    def __dir__() -> list[str]:
        """The public names, also those that are not imported yet."""
        return sorted({*globals(), *__all__})
