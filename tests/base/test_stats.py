"""Intervals that hold as often as they say, and steady states found where they begin."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convbench.base.stats import FEW, JUDGED, Interval, mean_of, median_of, ratio, steady_from
from tests.support.builders import alike

times = st.lists(st.floats(min_value=1e-6, max_value=1e3), min_size=1, max_size=50)
RUNS = 400


def rounds(number: int, correlated: float, chance: np.random.Generator) -> np.ndarray:
    """Seconds whose median is 1, unevenly distributed, each like the one before."""
    noise = chance.normal(size=number)
    for i in range(1, number):
        noise[i] = correlated * noise[i - 1] + (1 - correlated**2) ** 0.5 * noise[i]
    return np.exp(0.05 * noise + 0.02 * np.abs(noise) * (noise > 0))


@pytest.mark.parametrize("correlated", [0.0, 0.4, 0.8])
@pytest.mark.parametrize("number", [30, 200])
def test_the_interval_of_the_median_holds_it_19_times_of_20(number, correlated):
    chance = np.random.default_rng(1)
    found = [median_of(rounds(number, correlated, chance)) for _ in range(RUNS)]
    held = np.mean([interval.low <= 1.0 <= interval.high for interval in found])
    assert 0.92 <= held < 1.0


def test_an_interval_that_took_rounds_for_independent_would_not_hold():
    chance, held = np.random.default_rng(1), []
    for _ in range(RUNS):
        values = rounds(200, 0.8, chance)
        found = median_of(chance.permutation(values))  # hides that neighbours are alike
        held.append(found.low <= 1.0 <= found.high)
    assert np.mean(held) < 0.7


def test_rounds_that_follow_each_other_count_for_less():
    chance = np.random.default_rng(1)
    values = rounds(300, 0.8, chance)
    assert median_of(values).relative > 1.5 * median_of(chance.permutation(values)).relative


@pytest.mark.parametrize("number", range(1, FEW))
def test_too_few_rounds_have_extremes_and_no_interval(number):
    values = [1.0, 5.0, 2.0, 4.0, 3.0][:number]
    found = median_of(values)
    assert (found.low, found.high, found.known) == (min(values), max(values), False)
    assert median_of([*values, *range(6, 12 - number)]).known


@alike
@given(times, st.floats(min_value=0.1, max_value=10))
def test_the_interval_of_the_median_scales_and_contains_it(values, factor):
    found, scaled = median_of(values), median_of([value * factor for value in values])
    assert found.low <= found.median <= found.high
    assert scaled.median == pytest.approx(found.median * factor)
    assert (scaled.low, scaled.high) == pytest.approx((found.low * factor, found.high * factor))


def test_rounds_that_are_all_alike_have_an_interval_of_no_width():
    assert median_of([0.25] * 20) == Interval(0.25, 0.25, 0.25)


def test_an_interval_over_processes_is_students_on_logarithms():
    found = mean_of([1.0, 2.0, 4.0])
    half = 2.0 ** (4.302653 / 3**0.5)  # t of 2 degrees of freedom; deviation of one octave
    assert found.median == pytest.approx(2.0)
    assert (found.low, found.high) == pytest.approx((2 / half, 2 * half), rel=1e-5)


def test_the_interval_over_processes_holds_what_they_scatter_about():
    chance = np.random.default_rng(1)
    found = [mean_of(np.exp(chance.normal(0, 0.12, size=5))) for _ in range(RUNS)]
    held = np.mean([interval.low <= 1.0 <= interval.high for interval in found])
    assert 0.92 <= held <= 0.98


def noisy(number: int, seed: int = 3) -> np.ndarray:
    """Rounds around 1, a few of which are slow by chance."""
    chance = np.random.default_rng(seed)
    slow = (chance.random(number) < 0.03) * chance.exponential(0.5, number)
    return rounds(number, 0.4, chance) * np.exp(slow)


def judged(values_of) -> list[int | None]:
    return [steady_from(values_of(noisy(300, seed))) for seed in range(50)]


def test_rounds_that_are_steady_are_found_to_be():
    found = judged(lambda values: values)
    assert None not in found
    assert np.median(found) <= 10


@pytest.mark.parametrize("slow", [30, 60, 90])
def test_slow_first_rounds_are_left_out(slow):
    def warming(values):
        values[:slow] *= 1.5
        return values

    found = judged(warming)
    assert np.mean([start is not None and start >= slow - 3 for start in found]) > 0.85


PLACE = np.arange(300)
CHANGING = {
    "slower and slower": np.linspace(1, 1.3, 300),
    "slower after the middle": np.where(PLACE > 160, 1.2, 1.0),
    "faster near the end": np.where(PLACE > 225, 0.8, 1.0),
}


@pytest.mark.parametrize("change", [*CHANGING.values()], ids=[*CHANGING])
def test_what_changes_to_the_end_is_not_steady(change):
    found = judged(lambda values: values * change)
    assert np.mean([start is None for start in found]) > 0.9


def test_few_rounds_are_not_judged():
    assert steady_from(np.linspace(9, 1, JUDGED - 1)) == 0
    assert steady_from(np.linspace(9, 1, JUDGED)) is None
    assert steady_from([0.5] * 100) == 0


@pytest.mark.parametrize(
    ("interval", "want"),
    [((1.0, 2.0, 3.0), 0.5), ((2.0, 2.0, 2.0), 0.0), ((9.0, 10.0, 12.0), 0.15)],
)
def test_relative_is_half_the_width_over_the_value(interval, want):
    assert Interval(*interval).relative == pytest.approx(want)


@pytest.mark.parametrize(
    ("one", "other", "want"),
    [
        ((2.0, 2.0, 2.0), (4.0, 4.0, 4.0), (0.5, 0.0)),
        ((7.0, 10.0, 13.0), (3.0, 5.0, 7.0), (2.0, 0.5)),  # shares of 0.3 and 0.4
    ],
)
def test_a_ratio_is_of_the_values_and_its_share_is_both_in_quadrature(one, other, want):
    assert ratio(Interval(*one), Interval(*other)) == pytest.approx(want)
