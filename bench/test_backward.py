"""Throughput of a forward and a backward pass: the loss's gradients, in training mode."""

from collections.abc import Callable

import pytest


@pytest.mark.convbench_pass("backward")
def test_backward(convbench_timed: Callable[[], None]) -> None:
    """Verifies the model in a process of its own and times its rounds there."""
    convbench_timed()
