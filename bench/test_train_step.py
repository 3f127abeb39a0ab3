"""Throughput of a training step: gradients and an SGD update with momentum 0.9."""

from collections.abc import Callable

import pytest


@pytest.mark.convbench_pass("train_step")
def test_train_step(convbench_timed: Callable[[], None]) -> None:
    """Verifies the model in a process of its own and times its rounds there."""
    convbench_timed()
