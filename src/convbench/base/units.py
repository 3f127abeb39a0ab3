"""Base units used everywhere inside convbench, and the only place where they become text.

Times are seconds, memory is bytes, counts are plain integers. Names carry the unit
(`wall_s`, `peak_bytes`); formatting happens here and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal

Second = float
Byte = int
ImagesPerSecond = float

_SECONDS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_BYTES = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))


def significant(value: float, digits: int = 3) -> str:
    """`value` as plain decimal text with at least `digits` significant digits.

    >>> significant(1234.5), significant(12.345), significant(0.012345)
    ('1,234', '12.3', '0.0123')
    """
    if abs(value) >= 10**digits:
        return f"{value:,.0f}"
    return f"{Decimal(f'{value:.{digits - 1}e}'):,f}"


def seconds(value: Second) -> str:
    """A duration in the unit that keeps it between 1 and 1000.

    >>> seconds(0.0123), seconds(75.0), seconds(2.5e-7)
    ('12.3 ms', '75.0 s', '250 ns')
    """
    for size, name in _SECONDS:
        if abs(value) >= size:
            return f"{significant(value / size)} {name}"
    return f"{significant(value / 1e-9)} ns"


def clock(value: Second) -> str:
    """A waiting time as people read it: minutes and seconds.

    >>> clock(75.4), clock(3725)
    ('1:15', '1:02:05')
    """
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def about(value: Second) -> str:
    """A waiting time that is known roughly, in one unit.

    >>> about(40.4), about(170), about(8000)
    ('40 s', '3 min', '2 h')
    """
    for size, name in ((3600.0, "h"), (60.0, "min")):
        if value >= 1.5 * size:
            return f"{value / size:.0f} {name}"
    return f"{max(1, round(value))} s"


def size(value: Byte) -> str:
    """An amount of memory in binary units.

    >>> size(1536), size(3 * 2**30)
    ('1.50 KiB', '3.00 GiB')
    """
    for unit, name in _BYTES:
        if abs(value) >= unit:
            return f"{significant(value / unit)} {name}"
    return f"{value} B"


def per_second(value: float, what: str) -> str:
    """A rate with a decimal prefix, as rates of arithmetic and of memory are given.

    >>> per_second(4.76e11, "FLOP"), per_second(4.55e10, "B"), per_second(12.0, "FLOP")
    ('476 GFLOP/s', '45.5 GB/s', '12.0 FLOP/s')
    """
    for size, prefix in _PREFIXES:
        if value >= size:
            return f"{significant(value / size)} {prefix}{what}/s"
    return f"{significant(value)} {what}/s"


_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_UNITS |= {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
SIZES = "a size such as 8GiB or 500MB"


def byte_count(text: str) -> Byte:
    """The amount of memory that a text means; raises ValueError for what has no known unit.

    >>> byte_count("8GiB"), byte_count("0.5 MB")
    (8589934592, 500000)
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([A-Za-z]+)", text.strip())
    units = {name.lower(): value for name, value in _UNITS.items()}
    if found is None or found[2].lower() not in units:
        raise ValueError(f"{SIZES} was wanted, not {text!r}")
    return int(float(found[1]) * units[found[2].lower()])


def count(value: int) -> str:
    """An exact integer with thousands separators.

    >>> count(138357544)
    '138,357,544'
    """
    return f"{value:,}"


def shape(sizes: Iterable[int]) -> str:
    """The sizes of an array.

    >>> shape((3, 224, 224))
    '3x224x224'
    """
    return "x".join(map(str, sizes))


def signed(value: int) -> str:
    """An exact difference with its sign; no difference has none.

    >>> signed(26560), signed(-7), signed(0)
    ('+26,560', '-7', '0')
    """
    return f"{value:+,}" if value else "0"


def rate(value: ImagesPerSecond) -> str:
    """Throughput in images per second, three significant digits.

    >>> rate(12.345)
    '12.3'
    """
    return significant(value)
