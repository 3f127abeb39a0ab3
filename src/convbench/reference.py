"""What the papers print: TOML tables read into rows that keep every digit as it was printed.

A row says where (`at`), and what its source prints there. `reference_tables/README.md` has the
form; a table that does not follow it is refused with the file, the table and the row.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import cached_property, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

from attrs import field, frozen

from convbench.base.errors import FORM, TableError, hint

SHAPE_QUANTITIES = ("output", "size", "kernel", "stride", "padding")
"""Quantities that are printed as lists of integers."""

COUNT_QUANTITIES = (
    *("channels", "parameters", "weights", "buffers", "total"),
    *("macs", "connections", "neurons", "depth"),
)
"""Quantities that are printed as one number."""

QUANTITIES = SHAPE_QUANTITIES + COUNT_QUANTITIES

SOURCES = "sources.toml"
"""The bibliography's name in its folder."""

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


@frozen
class Row:
    """What one row of one table of one source prints of one place."""

    at: tuple[str, ...]
    """Addresses or patterns with `*`; the row holds for each place that they match."""
    times: int | None
    """How many places the row must match: a printed block count."""
    values: Mapping[str, Value]
    source: str
    place: str
    where: str
    """Table and row in the file, for error messages."""
    unverified: str | None = None
    """Why the digits are not known to be the source's own, if they are not."""


@frozen
class Erratum:
    """A place where a source and the arithmetic disagree, with the reason."""

    at: str
    quantity: str
    printed: Value
    should: int | Dims
    source: str
    why: str
    where: str


@frozen
class Claim:
    """A printed ratio between this network and another: "12 times fewer parameters"."""

    quantity: str
    than: str
    """The other network's name."""
    factor: Printed
    more: bool
    """Whether this network has more, not fewer."""
    should: Printed | None
    """The factor that the arithmetic gives, where the source is wrong."""
    why: str | None
    source: str
    place: str
    where: str
    unverified: str | None = None


@frozen(slots=False)
class ReferenceTable:
    """Everything that the sources print of one architecture."""

    name: str
    paper: str
    rows: tuple[Row, ...]
    errata: tuple[Erratum, ...]
    file: str
    claims: tuple[Claim, ...] = ()
    graph: str | None = None
    """The function that describes a network of the user's own, as `module:function`."""

    def erratum(self, row: Row, at: str, quantity: str) -> Erratum | None:
        """The erratum of what a row prints of `quantity` at the address or pattern `at`."""
        return self._errata.get((at, quantity, row.source, row.values[quantity]))

    @cached_property
    def _errata(self) -> dict[tuple[str, str, str, Value], Erratum]:
        keyed = [((e.at, e.quantity, e.source, e.printed), e) for e in self.errata]
        return dict(reversed(keyed))  # so that the first of equal ones is found


@frozen
class Source:
    """One entry of the bibliography."""

    key: str
    title: str
    authors: str
    year: int
    where: str


def tables_folder() -> Path:
    """Where the reference tables are: inside an installed package, or in the checkout."""
    packaged = Path(__file__).parent / "reference_tables"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "reference_tables"


def read_sources(folder: Path, *own: Path) -> Mapping[str, Source]:
    """The bibliography, and what folders of the user's own add to it, if they have one.

    Raises TableError where an entry is incomplete or uses a key that is taken.
    """
    files = (folder / SOURCES, *(f / SOURCES for f in own if (f / SOURCES).exists()))
    return _sources(folder.name, tuple((file, _written(file)) for file in files))


def _written(file: Path) -> tuple[int, int] | None:
    """When a file was last written, and its size: it is parsed again if they change."""
    try:
        status = file.stat()
    except OSError:
        return None  # whoever reads it says so
    return status.st_mtime_ns, status.st_size


@lru_cache(maxsize=16)
def _sources(
    folder: str, files: tuple[tuple[Path, tuple[int, int] | None], ...]
) -> Mapping[str, Source]:
    """The bibliography in `files`, each as last written: every table is checked against it."""
    found: dict[str, Source] = {}
    for file, _ in files:
        for key, entry in load(file).items():
            place = Place(file.name, f"[{key}]")
            if key in found:
                wanted = f"a key that {folder}/{SOURCES} does not have"
                raise place.refuse(wanted, key, "cite that one, or take another key")
            fields = place.mapping(entry, {"title": str, "authors": str, "year": int, "where": str})
            found[key] = Source(key, **fields)
    return MappingProxyType(found)


def read_table(name: str, folder: Path, *own: Path) -> ReferenceTable:
    """The reference table of an architecture; raises TableError with file, table and row.

    One that is in a folder of the user's own says what function describes the network.
    """
    file = next((f / f"{name}.toml" for f in own if (f / f"{name}.toml").exists()), None)
    required: dict[str, type] = {"name": str, "paper": str, "table": list}
    required |= {"graph": str} if file else {}
    file = file or folder / f"{name}.toml"
    content = load(file)
    sources = read_sources(folder, *own)
    top = Place(file.name, "").mapping(content, required, {"erratum": list, "claim": list})
    if top["name"] != name:
        raise TableError(file.name, "name", f"{name!r}, the name of the file", repr(top["name"]))
    rows = tuple(row for i, t in enumerate(top["table"], 1) for row in _rows(file.name, i, t))
    if not rows:
        raise TableError(file.name, "table", "at least one printed row", "none")
    errata = tuple(_erratum(file.name, i, e) for i, e in enumerate(top.get("erratum", []), 1))
    claims = tuple(_claim(file.name, i, c) for i, c in enumerate(top.get("claim", []), 1))
    cited = [("paper", top["paper"]), *((row.where, row.source) for row in rows)]
    cited += [(erratum.where, erratum.source) for erratum in errata]
    cited += [(claim.where, claim.source) for claim in claims]
    for where, key in cited:
        if key not in sources:
            both = " or ".join(f"{f.name}/{SOURCES}" for f in (folder, *own))
            wanted = f"a source that is a key of {both if own else SOURCES}"
            remedy = hint(key, sources) or "add it there"
            raise TableError(file.name, where, wanted, repr(key), remedy)
    _refuse_contradictions(file.name, rows, errata)
    return ReferenceTable(name, top["paper"], rows, errata, file.name, claims, top.get("graph"))


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


def _rows(file: str, number: int, content: object) -> Iterator[Row]:
    place = Place(file, f"table {number}")
    table = place.mapping(
        content, {"source": str, "place": str, "rows": list}, {"kilo": int, "unverified": str}
    )
    if table.get("kilo", 1000) not in (1000, 1024):
        raise place.refuse("kilo as 1000 or 1024", table["kilo"])
    for i, entry in enumerate(table["rows"], start=1):
        at = Place(file, f"table {number} ({table['place']}), row {i}")
        types: dict[str, type] = dict.fromkeys(SHAPE_QUANTITIES, list)
        types |= dict.fromkeys(COUNT_QUANTITIES, str)
        row = at.mapping(entry, {"at": object}, {**types, "times": int})
        addresses = row.pop("at")
        addresses = [addresses] if isinstance(addresses, str) else addresses
        texts = isinstance(addresses, list) and all(isinstance(a, str) for a in addresses)
        if not texts or not addresses:
            raise at.refuse("at as an address or a list of addresses", addresses)
        if len({*addresses}) < len(addresses):
            raise at.refuse("each address once", addresses, "leave the others out")
        times = row.pop("times", None)
        if not row:
            raise at.refuse(f"at least one of {', '.join(QUANTITIES)}", entry)
        values = {q: at.value(q, text, table.get("kilo", 1000)) for q, text in row.items()}
        yield Row(
            tuple(addresses),
            times,
            values,
            table["source"],
            table["place"],
            at.where,
            table.get("unverified"),
        )


def _erratum(file: str, number: int, content: object) -> Erratum:
    place = Place(file, f"erratum {number}")
    keys: dict[str, type] = {"at": str, "quantity": str, "printed": object, "should": object}
    entry = place.mapping(content, {**keys, "source": str, "why": str}, {"kilo": int})
    quantity, should = entry["quantity"], entry["should"]
    if quantity not in QUANTITIES:
        raise place.refuse(f"quantity to be one of {', '.join(QUANTITIES)}", quantity)
    if isinstance(should, list):
        should = place.value(quantity, should, 1000)
    elif type(should) is not int or quantity in SHAPE_QUANTITIES:
        raise place.refuse("should as the exact value", should)
    printed = place.value(quantity, entry["printed"], entry.get("kilo", 1000))
    return Erratum(
        entry["at"], quantity, printed, should, entry["source"], entry["why"], place.where
    )


def _claim(file: str, number: int, content: object) -> Claim:
    place = Place(file, f"claim {number}")
    keys: dict[str, type] = {"quantity": str, "than": str, "factor": str, "more": bool}
    keys |= {"source": str, "place": str}
    corrected = dict.fromkeys(("printed", "should", "why"), str)
    entry = place.mapping(content, keys, {**corrected, "unverified": str})
    countable = tuple(q for q in COUNT_QUANTITIES if q != "channels")
    if entry["quantity"] not in countable:
        raise place.refuse(f"quantity to be one of {', '.join(countable)}", entry["quantity"])
    if len(corrected.keys() & entry.keys()) not in (0, len(corrected)):
        raise place.refuse("printed, should and why together, or none of them", sorted(entry))
    if entry.pop("printed", entry["factor"]) != entry["factor"]:
        raise place.refuse("printed to repeat the factor", entry["factor"])
    for key in ("factor", "should"):
        if key in entry:
            entry[key] = place.value(entry["quantity"], entry[key], 1000)
            if not entry[key].digits:
                raise place.refuse(f"{key} to be more than nothing", entry[key].text)
    return Claim(where=place.where, **{"should": None, "why": None, **entry})


def _refuse_contradictions(file: str, rows: tuple[Row, ...], errata: tuple[Erratum, ...]) -> None:
    """An erratum must speak of something that its source prints, and only once."""
    seen = set()
    for erratum in errata:
        key = (erratum.at, erratum.quantity, erratum.source, show(erratum.printed))
        if key in seen:
            raise TableError(file, erratum.where, "one erratum for one place", f"a second: {key}")
        seen.add(key)
        alike = [
            row
            for row in rows
            if row.source == erratum.source and row.values.get(erratum.quantity) == erratum.printed
        ]
        if not any(erratum.at in row.at for row in alike):
            printed = f"{erratum.quantity} {show(erratum.printed)}"
            places = [f"one at {' and '.join(row.at)} in {row.where}" for row in alike]
            raise TableError(
                file,
                erratum.where,
                f"a row at {erratum.at!r} of {erratum.source!r} that prints {printed}",
                ", ".join(places) or "none",
                "mend whichever address is misspelt" if places else "write what the row says",
            )


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
