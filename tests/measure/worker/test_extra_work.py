"""The known slowdown that the gate is tested with: real work, in proportion to a step."""

from __future__ import annotations

import pytest

from convbench.measure.worker import extra_work
from convbench.measure.worker.extra_work import ADDED, slowed


class Clock:
    """Time that only work moves: a step takes a millisecond, an addition a nanosecond."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.added, self.steps = 0.0, [], 0
        monkeypatch.setattr(extra_work, "perf_counter", lambda: self.now)
        monkeypatch.setattr(extra_work, "_add", self.add)

    def add(self, count: int) -> int:
        self.now += count * 1e-9
        self.added.append(count)
        return 0

    def step(self) -> None:
        self.now += 1e-3
        self.steps += 1


@pytest.mark.parametrize("share", [0.05, 0.1, 1.0])
def test_a_step_takes_as_much_longer_as_was_asked(monkeypatch, share):
    clock = Clock(monkeypatch)
    slow = slowed(clock.step, share)
    before, steps = clock.now, clock.steps
    slow()
    assert clock.now - before == pytest.approx(1e-3 * (1 + share))
    assert clock.steps == steps + 1


def test_what_is_added_is_real_work():
    assert extra_work._add(ADDED) == ADDED * (ADDED - 1) // 2
