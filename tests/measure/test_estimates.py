"""What a task came to, over the rounds of one process or over several processes."""

from __future__ import annotations

import pytest
from attrs import evolve

from convbench.base.stats import mean_of, median_of
from convbench.measure.estimates import estimates, times_as_fast
from convbench.measure.records import Measurement, Memory
from tests.support import samples

TASK = samples.task("lenet5", "keras", "forward")
ROUNDS = (1.1, 0.9, 1.0, 1.0, 1.1, 0.9)


def measured(step_s: float, process: int = 1, framework: str = "keras", **more) -> Measurement:
    task = evolve(TASK, process=process, framework=framework)
    rounds_s = tuple(step_s * share for share in ROUNDS)
    return evolve(samples.measured(task, step_s, None), rounds_s=rounds_s, **more)


def test_one_process_is_known_by_its_rounds():
    (found,) = estimates([measured(0.5)])
    assert found.step_s == median_of([0.5 * share for share in ROUNDS])
    assert found.task == TASK


def test_several_processes_are_one_task_known_by_their_medians():
    (found,) = estimates([measured(0.5, 2), measured(0.25, 1), measured(1.0, 3)])
    assert found.step_s == mean_of([0.5, 0.25, 1.0])
    assert found.task == TASK
    assert found.images_per_s.median == pytest.approx(TASK.batch / 0.5)


def test_throughput_is_least_where_the_step_is_longest():
    (found,) = estimates([measured(0.5)])
    rates, steps = found.images_per_s, found.step_s
    assert (rates.low, rates.high) == (TASK.batch / steps.high, TASK.batch / steps.low)


def test_what_failed_is_no_estimate_and_other_batches_are_other_tasks():
    failed = Measurement(task=TASK, outcome="failed", reason="was killed")
    other = measured(0.5)
    other = evolve(other, task=evolve(TASK, batch=TASK.batch + 1))
    assert len(estimates([failed, measured(0.5), other])) == 2


def test_memory_is_the_highest_peak_that_anybody_told():
    (found,) = estimates(
        [
            measured(0.5, 1, memory=Memory(host_bytes=7)),
            measured(0.5, 2, memory=Memory(host_bytes=9, device_allocated_bytes=3)),
        ]
    )
    assert found.memory == Memory(host_bytes=9, device_allocated_bytes=3)


def test_one_process_that_was_not_steady_is_enough_to_say_so():
    steady = [measured(0.5, process, steady=state) for process, state in enumerate((True, None), 1)]
    assert estimates(steady)[0].steady
    assert not estimates([*steady, measured(0.5, 3, steady=False)])[0].steady


def test_the_first_result_is_built_and_then_computed():
    one, two = (
        measured(0.5, 1, build_s=1.0, first_s=2.0),
        measured(0.5, 2, build_s=2.0, first_s=5.0),
    )
    assert estimates([one, two])[0].first_result_s == 5.0
    assert estimates([measured(0.5, build_s=None)])[0].first_result_s is None


def test_a_ratio_over_pairs_cancels_what_the_machine_did_to_both():
    slow = (1.0, 1.4, 0.8, 1.2)
    keras = [measured(0.5 * by, process) for process, by in enumerate(slow, 1)]
    torch = [measured(0.25 * by, process, "pytorch") for process, by in enumerate(slow, 1)]
    (one,), (other,) = estimates(torch), estimates(keras)
    assert one.step_s.relative > 0.2, "the processes are far apart"
    paired = times_as_fast(one, other)
    assert (paired.low, paired.median, paired.high) == pytest.approx((2.0, 2.0, 2.0))
    (fewer,) = estimates(keras[:-1])
    assert times_as_fast(one, fewer).relative > 0.2, "processes that have no partner cancel nothing"


def test_a_ratio_of_single_processes_adds_both_intervals():
    (one,), (other,) = estimates([measured(0.25)]), estimates([measured(0.5)])
    found = times_as_fast(one, other)
    assert found.median == 2.0
    assert found.relative == pytest.approx(0.1 * 2**0.5)


def test_what_an_estimate_tells_is_computed_once():
    (found,) = estimates([measured(0.5)])
    assert found.step_s is found.step_s
    assert found.images_per_s is found.images_per_s
    assert found.memory is found.memory
