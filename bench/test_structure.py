"""Each architecture in each framework is the paper's network, layer by layer."""

from collections.abc import Callable


def test_structure(convbench_structure: Callable[[], None]) -> None:
    """Compares the framework's model, built without weights, with the papers' tables."""
    convbench_structure()
