"""The largest batch: what is tried, what stops the search, and what it then says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convbench.measure.batch_search import GRAIN, MOST, Found, largest
from tests.support.builders import alike


class Machine:
    """Holds batches up to `room`, and notes which were tried; each try takes `takes_s`."""

    def __init__(self, room: int, takes_s: float = 0.0) -> None:
        self.room, self.takes_s, self.tried, self.time_s = room, takes_s, [], 0.0

    def __call__(self, batch: int) -> str | None:
        self.tried.append(batch)
        self.time_s += self.takes_s
        return None if batch <= self.room else f"needs {batch} GiB"

    def now(self) -> float:
        return self.time_s


def test_batches_are_doubled_until_one_does_not_fit_and_then_halved():
    machine = Machine(100)
    found = largest(machine)
    assert machine.tried == [1, 2, 4, 8, 16, 32, 64, 128, 96, 112, 104, 100]
    assert found == Found(100, "batch 100 fits, 104 does not: needs 104 GiB")


@alike
@given(room=st.integers(1, MOST - 1))
def test_what_is_found_fits_and_a_sixteenth_more_does_not(room):
    machine = Machine(room)
    found = largest(machine)
    assert found.batch <= room < found.batch + max(1, found.batch // GRAIN)
    assert len(machine.tried) <= 2 + 17 + 5
    assert len(set(machine.tried)) == len(machine.tried), "none is tried twice"


@pytest.mark.parametrize("first", [1, 2, 4])
def test_where_nothing_fits_one_try_is_enough(first):
    machine = Machine(0)
    stopped = f"batch {first} does not fit: needs {first} GiB"
    assert largest(machine, first=first) == Found(None, stopped)
    assert machine.tried == [first]


@pytest.mark.parametrize("most", [1, 7, 33, 64])
def test_where_everything_fits_the_largest_that_is_tried_is_told(most):
    machine = Machine(10**9)
    found = largest(machine, most=most)
    assert found == Found(most, f"batch {most} fits, and is the largest that is tried")
    assert machine.tried[-1] == most == max(machine.tried)


def test_the_search_ends_with_its_time():
    machine = Machine(10**9, takes_s=10.0)
    found = largest(machine, time_s=35, now=machine.now)
    assert found == Found(8, "batch 8 fits, and after 0:35 it was enough")
    machine = Machine(100, takes_s=10.0)
    found = largest(machine, time_s=85, now=machine.now)
    why = "needs 128 GiB; after 1:25 no more were tried"
    assert found == Found(96, f"batch 96 fits, 128 does not: {why}")


def test_a_first_batch_that_takes_long_is_found_all_the_same():
    machine = Machine(10**9, takes_s=100.0)
    assert largest(machine, time_s=1, now=machine.now).batch == 1


@alike
@given(st.sets(st.integers(1, 300)))
def test_what_is_said_was_seen_whatever_fits(fitting):
    seen = {}

    def why_not(batch: int) -> str | None:
        seen[batch] = None if batch in fitting else "it is odd"
        return seen[batch]

    found = largest(why_not, most=300)
    if found.batch is None:
        assert seen == {1: "it is odd"}
        return
    assert seen[found.batch] is None
    if " does not: it is odd" in found.stopped:
        other = int(found.stopped.split("fits, ")[1].split(" ")[0])
        assert seen[other] == "it is odd"
        assert 0 < other - found.batch <= max(1, found.batch // GRAIN)
    else:
        assert found.batch == 300


def test_a_failure_that_is_no_matter_of_fitting_ends_the_search():
    def why_not(_: int) -> str | None:
        raise RuntimeError("no such network")

    with pytest.raises(RuntimeError, match="no such network"):
        largest(why_not)
