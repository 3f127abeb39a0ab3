"""Throughput of inference through Keras's `Model.predict`, for who asks what it adds."""

from collections.abc import Callable

import pytest


@pytest.mark.convbench_pass("predict")
def test_predict(convbench_timed: Callable[[], None]) -> None:
    """Verifies the model in a process of its own and times its rounds there."""
    convbench_timed()
