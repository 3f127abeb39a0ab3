"""Throughput of inference."""

from collections.abc import Callable

import pytest


@pytest.mark.convbench_pass("forward")
def test_forward(convbench_timed: Callable[[], None]) -> None:
    """Verifies the model in a process of its own and times its rounds there."""
    convbench_timed()
