"""Numbers become text in one place, with the digits that a reader needs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convbench.base import units
from tests.support.builders import alike


@pytest.mark.parametrize(
    ("form", "value", "text"),
    [
        (units.significant, 0.0, "0.00"),
        (units.significant, 1.0, "1.00"),
        (units.significant, -12.345, "-12.3"),
        (units.significant, 0.00012345, "0.000123"),
        (units.significant, 999.4, "999"),
        (units.significant, 999.96, "1,000"),
        (units.significant, 1234567.0, "1,234,567"),
        (units.seconds, 0.0, "0.00 ns"),
        (units.seconds, 1.0, "1.00 s"),
        (units.seconds, 0.5, "500 ms"),
        (units.seconds, 1e-3, "1.00 ms"),
        (units.seconds, 4.2e-6, "4.20 µs"),
        (units.seconds, 1e-9, "1.00 ns"),
        (units.seconds, 5e-11, "0.0500 ns"),
        (units.seconds, 3600.0, "3,600 s"),
        (units.seconds, -0.0123, "-12.3 ms"),
        (units.clock, 0, "0:00"),
        (units.clock, 59.6, "1:00"),
        (units.clock, 60, "1:00"),
        (units.clock, 3599.5, "1:00:00"),
        (units.clock, 36_005, "10:00:05"),
        (units.size, 0, "0 B"),
        (units.size, 2**10 - 1, "1023 B"),
        (units.size, 2**10, "1.00 KiB"),
        (units.size, 2**20, "1.00 MiB"),
        (units.size, 2**30, "1.00 GiB"),
        (units.size, 5 * 2**40, "5,120 GiB"),
        (units.size, -(2**20), "-1.00 MiB"),
        (units.count, 0, "0"),
        (units.count, 60_000, "60,000"),
        (units.rate, 0.5, "0.500"),
        (units.rate, 1500.0, "1,500"),
    ],
)
def test_text(form, value, text):
    assert form(value) == text


SIZES = {
    "8GiB": 8 * 2**30,
    "500MB": 500 * 10**6,
    " 1.5 gib ": 3 * 2**29,
    "100kb": 10**5,
    "7B": 7,
    "2TiB": 2**41,
}


@pytest.mark.parametrize(("text", "value"), SIZES.items())
def test_an_amount_of_memory_is_read_with_its_unit(text, value):
    assert units.byte_count(text) == value


@pytest.mark.parametrize("text", ["", "8", "GiB", "-1GiB", "8 gigs", "1e3MB", "8GiB of RAM"])
def test_an_amount_without_a_known_unit_is_not_guessed_at(text):
    with pytest.raises(ValueError, match="a size such as 8GiB or 500MB was wanted, not"):
        units.byte_count(text)


@alike
@given(st.floats(min_value=1e-9, max_value=1e9), st.integers(min_value=1, max_value=6))
def test_significant_digits_keep_the_value(value, digits):
    text = units.significant(value, digits)
    assert float(text.replace(",", "")) == pytest.approx(value, rel=0.5 * 10 ** (1 - digits))
    assert "e" not in text.lower()
