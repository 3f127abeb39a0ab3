"""Rounds until a figure is precise or its time is over; what is not steady belongs to no figure."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from math import exp
from random import Random

import pytest
from attrs import define, evolve, field

from convbench.base.errors import WorkerFailed
from convbench.base.stats import JUDGED
from convbench.measure.machine import cpu
from convbench.measure.records import Measurement
from convbench.measure.sampling import (
    BLOCK,
    CLOCK,
    ENOUGH,
    MAX_ROUNDS,
    MIN_LONG_ROUNDS,
    MIN_ROUNDS,
    ROUND,
    Budget,
    Rounds,
    usual,
)
from convbench.measure.worker import launcher, messages
from tests.measure.test_run import TASK

NEVER = 1e-9
"""A precision that no rounds reach."""


@define
class Child:
    """Answers with rounds as `step_s` gives them, one after the other."""

    step_s: Iterator[float]
    task: str = TASK.label
    asked: list[messages.Rounds] = field(factory=list)

    answer = launcher.Child.answer

    def ask(self, request, _reply, _stage):
        self.asked.append(request)
        return messages.Timed(tuple(next(self.step_s) for _ in range(request.count)), 0.0)


class Unhappy(Child):
    """Refuses every round."""

    def ask(self, *_):
        return messages.Refused("RuntimeError: unhappy", outcome="failed")


def uneven(step_s: float, share: float = 0.01, seed: int = 1) -> Iterator[float]:
    chance = Random(seed)
    return (step_s * exp(chance.gauss(0, share)) for _ in count())


def taken(step_s: Iterator[float], usual_s: float, seconds: float, precision: float) -> Rounds:
    rounds = Rounds(Child(step_s), Budget(seconds, precision), usual_s)
    rounds.take()
    return rounds


# Step and budget in seconds; iterations and rounds that follow if nothing is precise enough.
PLANS = [
    (0.010, 2.0, 1, 200),
    (0.002, 2.0, 1, 1000),
    (0.001, 2.0, 2, 1000),
    (0.0015, 1.5, 2, 500),
    (3e-6, 2.0, 667, 1000),
    (3e-6, 0.001, 667, MIN_ROUNDS),
    (0.003, 60.0, 1, MAX_ROUNDS),
    (0.500, 2.0, 1, MIN_ROUNDS),
    (2.0, 2.0, 1, MIN_ROUNDS),
    (2.1, 2.0, 1, MIN_LONG_ROUNDS),
    (30.0, 2.0, 1, MIN_LONG_ROUNDS),
]


@pytest.mark.parametrize(("step_s", "seconds", "iterations", "number"), PLANS)
def test_rounds_fill_the_time_and_none_is_shorter_than_the_clock_likes(
    step_s, seconds, iterations, number
):
    rounds = taken(uneven(step_s), step_s, seconds, NEVER)
    assert rounds.iterations == iterations
    assert rounds.iterations * step_s >= ROUND * (1 - 1e-9)
    assert len(rounds.taken) == pytest.approx(number, rel=0.02, abs=1)
    assert len(rounds.taken) >= min(number, MIN_ROUNDS)
    assert rounds.taken == [next(again) for again in [uneven(step_s)] for _ in rounds.taken]


def test_rounds_are_asked_for_in_blocks_that_add_up():
    rounds = taken(uneven(0.05), 0.05, 2.0, NEVER)
    assert sum(block.count for block in rounds.child.asked) == len(rounds.taken)
    assert {block.count for block in rounds.child.asked[:-1]} == {round(BLOCK / 0.05)}
    slow = taken(uneven(3.0), 3.0, 2.0, NEVER)
    assert [block.count for block in slow.child.asked] == [1] * MIN_LONG_ROUNDS


def test_what_is_precise_ends_before_its_time_but_not_by_a_lucky_start():
    rounds = taken(uneven(0.01), 0.01, 60.0, 0.02)
    assert ENOUGH <= rounds.spent_s < ENOUGH + 2 * BLOCK
    longer = taken(uneven(0.01, share=0.1), 0.01, 60.0, 0.02)
    assert rounds.spent_s < longer.spent_s < 60.0, "what is uneven takes more rounds"
    same = taken(iter([0.01] * 50 + [0.02] * 9999), 0.01, 60.0, 0.02)
    assert len(same.taken) == 50, "no two rounds differ"


def test_a_process_that_becomes_slower_has_no_steady_state_and_takes_all_the_time():
    def drifting() -> Iterator[float]:
        noise = uneven(0.01)
        return (next(noise) * (1 + number / 1000) for number in count())

    rounds = taken(drifting(), 0.01, 3.0, 0.02)
    assert rounds.spent_s >= 3.0
    measured = rounds.measured(evolve(BEGUN))
    assert measured.steady is False
    assert measured.rounds_s == tuple(rounds.taken), "shown as it was, and marked"


def test_slow_first_rounds_are_kept_as_warm_up():
    def warming() -> Iterator[float]:
        noise = uneven(0.01)
        return (next(noise) * (3 if number < 20 else 1) for number in count())

    rounds = taken(warming(), 0.01, 60.0, 0.005)
    measured = rounds.measured(BEGUN)
    assert measured.steady is True
    assert measured.warmup_s == (*BEGUN.warmup_s, *rounds.taken[:20])
    assert measured.rounds_s == tuple(rounds.taken[20:])
    assert max(measured.rounds_s) < 0.011


def test_few_rounds_do_not_tell_whether_they_are_steady():
    rounds = taken(uneven(0.5), 0.5, 2.0, NEVER)
    assert len(rounds.taken) < JUDGED
    assert rounds.measured(BEGUN).steady is None


def test_a_child_that_refuses_fails_its_task():
    rounds = Rounds(Unhappy(uneven(0.01)), Budget(2.0, 0.02), 0.01)
    with pytest.raises(WorkerFailed, match=r"RuntimeError: unhappy.*timing rounds"):
        rounds.take()


def test_a_coarse_clock_gives_no_step_of_no_time():
    assert usual([0.0, 0.0, 1.0]) == CLOCK
    assert usual([0.3, 0.1, 0.2]) == 0.2


BEGUN = Measurement(task=TASK, outcome="failed", warmup_s=(0.5,), budget_s=2.0)


@pytest.mark.parametrize("busy", [0.0, 0.5, 2.0])
def test_what_others_used_is_what_the_machine_was_busy_with_but_for_the_child(
    monkeypatch: pytest.MonkeyPatch, busy: float
):
    clock = {"now": 100.0, "busy": 7.0, "stolen": 1.0, "own": 0.0}
    monkeypatch.setattr(cpu, "perf_counter", lambda: clock["now"])
    monkeypatch.setattr(cpu, "process_time", lambda: clock["own"])
    monkeypatch.setattr(cpu, "_machine", lambda: (clock["busy"], clock["stolen"]))
    use = cpu.CpuUse()
    assert (use.others_cores, use.stolen_cores) == (None, None)
    for _ in range(2):
        with use.watched() as used:
            clock["now"] += 2.0
            clock["busy"] += 3.0 + 2 * busy + 0.01
            clock["own"] += 0.01
            clock["stolen"] += 0.5
            used(3.0)
    assert use.others_cores == pytest.approx(busy)
    assert use.stolen_cores == pytest.approx(0.25)
