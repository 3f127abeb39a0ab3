"""A printed number, with the digits that it was printed with."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TypeAlias

from attrs import field, frozen

SHAPE_QUANTITIES = ("output", "size", "kernel", "stride", "padding")
"""Quantities that are printed as lists of integers."""


COUNT_QUANTITIES = (
    *("channels", "parameters", "weights", "buffers", "total"),
    *("macs", "connections", "neurons", "depth"),
)
"""Quantities that are printed as one number."""


QUANTITIES = SHAPE_QUANTITIES + COUNT_QUANTITIES


_SUFFIXES = {"": 0, "K": 1, "k": 1, "thousand": 1, "M": 2, "million": 2, "B": 3, "billion": 3}


_NUMBER = re.compile(
    r"(?P<digits>([0-9]{1,3}(,[0-9]{3})+|[0-9]+)(\.[0-9]+)?)\s*"
    r"(?:(?P<suffix>[KkMB]|thousand|million|billion)|[x×]10\^(?P<power>[0-9]{1,2}))?"
)


Dims: TypeAlias = tuple[int, ...]


@frozen
class Printed:
    """A number as its source prints it: `138M`, `62.3 million`, `3.8×10^9`, `143,667,240`.

    >>> Printed("138M").agrees(138_357_544), Printed("138.1M").agrees(138_357_544)
    (True, False)
    >>> Printed("2.7K", kilo=1024).agrees(2_800)
    True
    """

    text: str
    kilo: int = 1000
    """What one K stands for: 1024 in a table that counts so."""

    unit: Fraction = field(init=False)
    """Value of the last printed digit."""

    digits: int = field(init=False)
    """The printed digits as one integer, so that the value is `digits * unit`."""

    def __attrs_post_init__(self) -> None:
        match = _NUMBER.fullmatch(self.text)
        if match is None:
            raise ValueError(f"not a number: {self.text!r}")
        plain = match["digits"].replace(",", "")
        whole, _, decimals = plain.partition(".")
        if match["power"] is not None:
            scale = Fraction(10) ** int(match["power"])
        else:
            scale = Fraction(self.kilo) ** _SUFFIXES[match["suffix"] or ""]
        object.__setattr__(self, "unit", scale / 10 ** len(decimals))
        object.__setattr__(self, "digits", int(whole + decimals))

    def agrees(self, exact: int | Fraction) -> bool:
        """Whether `exact` rounds or truncates to the printed digits."""
        in_units = exact / self.unit
        rounded = (in_units + Fraction(1, 2)).__floor__()
        return self.digits in (in_units.__floor__(), rounded)

    def __str__(self) -> str:
        return self.text


Value: TypeAlias = Printed | Dims


def show(value: Value | int | None) -> str | None:
    """A printed or exact value as text: `138M`, `96x55x55`, `34,944`."""
    match value:
        case None:
            return None
        case int():
            return f"{value:,}"
        case Printed():
            return value.text
        case _:
            return "x".join(map(str, value))
