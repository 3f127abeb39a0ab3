"""What the papers print: TOML tables read into rows that keep every digit as it was printed.

A row says where (`at`), and what its source prints there. `reference_tables/README.md` has the
form; a table that does not follow it is refused with the file, the table and the row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path

from attrs import frozen

from convbench.base.errors import TableError, hint
from convbench.papers.printed import (
    COUNT_QUANTITIES,
    QUANTITIES,
    SHAPE_QUANTITIES,
    Dims,
    Printed,
    Value,
    show,
)
from convbench.papers.sources import SOURCES, read_sources
from convbench.papers.toml import Place, load


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
