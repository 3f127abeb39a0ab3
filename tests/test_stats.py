"""Medians and quartiles as their definition has them."""

from __future__ import annotations

from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convbench.stats import FEW, Spread, ratio, spread
from tests.builders import alike

times = st.lists(st.floats(min_value=1e-6, max_value=1e3), min_size=1, max_size=50)


def type_7(values, share):
    """Hyndman and Fan 1996, definition 7, spelled out."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * share
    below = floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


@pytest.mark.parametrize(
    ("values", "want"),
    [
        ([2.0], (2.0, 2.0, 2.0)),
        ([1.0, 3.0], (1.0, 2.0, 3.0)),
        ([4.0, 1.0, 3.0, 2.0], (1.0, 2.5, 4.0)),
        ([4.0, 1.0, 5.0, 3.0, 2.0], (2.0, 3.0, 4.0)),
        ([1.0, 1.0, 1.0, 100.0, 1.0], (1.0, 1.0, 1.0)),
    ],
)
def test_spread(values, want):
    assert spread(values) == Spread(*want)


@pytest.mark.parametrize(
    ("quartiles", "want"),
    [((1.0, 2.0, 3.0), 0.5), ((2.0, 2.0, 2.0), 0.0), ((9.0, 10.0, 12.0), 0.15)],
)
def test_relative_is_half_the_range_over_the_median(quartiles, want):
    assert Spread(*quartiles).relative == pytest.approx(want)


@alike
@given(times)
def test_spread_is_type_7_and_the_extremes_of_a_few(values):
    shares = (0.25, 0.5, 0.75) if len(values) >= FEW else (0, 0.5, 1)
    want = [type_7(values, share) for share in shares]
    found = spread(values)
    assert [found.low, found.median, found.high] == pytest.approx(want)


@alike
@given(times, st.floats(min_value=0.1, max_value=10))
def test_spread_scales_and_ignores_order(values, factor):
    scaled = spread([value * factor for value in reversed(values)])
    assert scaled.median == pytest.approx(spread(values).median * factor)
    assert scaled.relative == pytest.approx(spread(values).relative, abs=1e-9)


@pytest.mark.parametrize(
    ("one", "other", "want"),
    [
        ((2.0, 2.0, 2.0), (4.0, 4.0, 4.0), (0.5, 0.0)),
        ((7.0, 10.0, 13.0), (3.0, 5.0, 7.0), (2.0, 0.5)),  # shares of 0.3 and 0.4
    ],
)
def test_a_ratio_is_of_the_medians_and_its_spread_is_both_in_quadrature(one, other, want):
    assert ratio(Spread(*one), Spread(*other)) == pytest.approx(want)
