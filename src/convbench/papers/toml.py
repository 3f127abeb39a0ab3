"""Reads TOML files, and says where in them something is wrong."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from convbench.base.errors import FORM, TableError, hint
from convbench.papers.printed import SHAPE_QUANTITIES, Printed, Value


@frozen
class Place:
    """Where in a file something stands, and how to refuse what stands there."""

    file: str
    where: str

    def refuse(self, wanted: str, got: object, remedy: str | None = None) -> TableError:
        """What to raise for something that stands here."""
        return TableError(self.file, self.where, wanted, repr(got), remedy or FORM)

    def mapping(
        self,
        content: object,
        required: Mapping[str, type],
        optional: Mapping[str, type] | None = None,
    ) -> dict[str, Any]:
        """`content` if it is a table with these keys and types, and no others."""
        known = {**required, **(optional or {})}
        if not isinstance(content, dict):
            raise self.refuse(f"a table with {', '.join(required)}", content)
        for key in required:
            if key not in content:
                raise self.refuse(f"the key {key!r}", sorted(content))
        for key, value in content.items():
            if key not in known:
                raise self.refuse(f"only the keys {', '.join(known)}", key, hint(key, known))
            if not isinstance(value, known[key]) or (known[key] is int and isinstance(value, bool)):
                remedy = "write it in quotes" if known[key] is str else None
                raise self.refuse(f"{key} to be of type {known[key].__name__}", value, remedy)
            if isinstance(value, str) and not value.strip():
                raise self.refuse(f"{key} to say something", value, "read it in the source")
        return dict(content)

    def value(self, quantity: str, text: object, kilo: int) -> Value:
        """What a row prints of `quantity`: dimensions, or a number in its own digits."""
        if quantity in SHAPE_QUANTITIES:
            if isinstance(text, list) and text and all(type(n) is int for n in text):
                return tuple(text)
            raise self.refuse(f"{quantity} as a list of whole numbers", text)
        if not isinstance(text, str):
            raise self.refuse(f"{quantity} as text", text, "write the digits as printed")
        try:
            return Printed(text, kilo)
        except ValueError:
            raise self.refuse(f"{quantity} as a printed number such as '138M'", text) from None


def load(file: Path) -> dict[str, Any]:
    """What a TOML file holds; raises TableError where it cannot be read."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise TableError(file.name, "", f"a file in {file.parent}", "none") from None
    except UnicodeDecodeError as error:
        place = f"byte {error.start}"
        raise TableError(file.name, place, "UTF-8 text", "other bytes", "save it so") from None
    except (ValueError, RecursionError) as error:  # no TOML, too long a number, or too deep
        raise TableError(file.name, "", "TOML", str(error), "mend it there") from None
