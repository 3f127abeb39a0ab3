"""The worker's way to where the time goes: the nodes of a prepared network, one by one."""

from __future__ import annotations

import gc
from collections.abc import Callable
from math import ceil
from time import get_clock_info, perf_counter, process_time

from attrs import frozen

from convbench.base.errors import Unsupported
from convbench.base.units import Second
from convbench.frameworks.protocol import Array, Framework, HasNodeSteps, Model
from convbench.measure.worker.messages import NodeTime, Profiled
from convbench.networks.passes import Pass

BUDGET: Second = 0.05
"""For the rounds of one node."""
LEAST, MOST = 5, 50
"""Rounds of a node, whatever the budget; of one that takes longer than LONG, two."""
LONG: Second = 1.0
ROUND: Second = 0.001
"""A round of a faster node holds several calls."""
CLOCK: Second = get_clock_info("perf_counter").resolution


@frozen
class Prepared:
    """A network that has been verified, filled and warmed up for a pass."""

    framework: Framework
    model: Model
    pass_: Pass
    images: Callable[[], Array]
    """Makes the batch anew: one that is kept would be in the figures of memory."""

    def profile(self) -> Profiled:
        """The times of its nodes; raises Unsupported if the framework has no way to them."""
        framework = self.framework
        if not isinstance(framework, HasNodeSteps):
            why = f"{framework.name} has no node_steps"
            raise Unsupported("a profile", why, "frameworks/__init__.py says what they are")
        began = process_time()
        steps = framework.node_steps(self.model, self.pass_, self.images())
        nodes = tuple(NodeTime(address, rounds(step)) for address, step in steps)
        return Profiled(nodes, process_time() - began)


def rounds(step: Callable[[], None]) -> tuple[Second, ...]:
    """Seconds of one call in each round, after a call that may trace and one that warms up."""
    gc.collect(0)
    gc.disable()
    try:
        _round(step, 1)
        usual = _round(step, 1)
        iterations = ceil(ROUND / usual)
        least = LEAST if usual < LONG else 2
        count = min(MOST, max(least, ceil(BUDGET / (usual * iterations))))
        return tuple(_round(step, iterations) for _ in range(count))
    finally:
        gc.enable()


def _round(step: Callable[[], None], iterations: int) -> Second:
    began = perf_counter()
    for _ in range(iterations):
        step()
    return max(perf_counter() - began, CLOCK) / iterations
