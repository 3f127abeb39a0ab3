"""What is compared computes the same function: each architecture, framework against framework."""

from collections.abc import Callable


def test_parity(convbench_parity: Callable[[], None]) -> None:
    """Compares all that one training step computes, in double precision."""
    convbench_parity()
