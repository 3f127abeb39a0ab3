"""What the implementations that people use hold, beside the paper's network.

The figures are measured from the libraries, each with its version, and are never a source of a
reference table. `reference_tables/README.md` has the form of the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from attrs import frozen

from convbench.base.errors import TableError, nearest
from convbench.base.text_tables import table
from convbench.base.units import count, signed
from convbench.networks.graph import Graph
from convbench.networks.zoo.names import architecture, names
from convbench.papers.toml import Place, load

LIBRARIES = ("keras", "timm", "torchvision")

FILE = "implementations.toml"

Argument: TypeAlias = bool | int | float | str


@frozen(kw_only=True)
class Implementation:
    """One model of one library that goes by the name of an architecture."""

    architecture: str
    library: str
    version: str
    model: str
    """The library's name of it."""
    arguments: Mapping[str, Argument]
    """What its constructor is told beyond the defaults."""
    parameters: int
    """Trainable values."""
    buffers: int
    """Values that are kept but not trained, without counters of batches."""
    differs: str | None
    """One sentence on where it is another network than ours; None where nothing is known."""
    where: str
    """Its place in the file, for error messages."""

    @property
    def call(self) -> str:
        """How the model is made: `googlenet(aux_logits=False)`, or its name alone."""
        arguments = ", ".join(f"{key}={value!r}" for key, value in self.arguments.items())
        return f"{self.model}({arguments})" if arguments else self.model


def read_implementations(folder: Path) -> tuple[Implementation, ...]:
    """Every implementation in the order of the file; raises TableError with file and entry."""
    content = Place(FILE, "").mapping(load(folder / FILE), {"implementation": list})
    found = tuple(_read(i, entry) for i, entry in enumerate(content["implementation"], start=1))
    seen: dict[tuple[str, str, str], str] = {}
    for each in found:
        first = seen.setdefault((each.architecture, each.library, each.call), each.where)
        if first != each.where:
            raise TableError(FILE, each.where, "each model once", f"that of {first} again")
    return found


def compare(names: Iterable[str], folder: Path) -> list[dict[str, Any]]:
    """One row for each implementation of these architectures, with what it has more than ours.

    Raises TableError where the counts differ and no sentence says why.
    """
    implementations = read_implementations(folder)
    rows = []
    for name in names:
        found = [each for each in implementations if each.architecture == name]
        if found:
            graph = architecture(name)
            rows += [_row(each, graph) for each in found]
    return rows


def as_text(rows: Sequence[Mapping[str, Any]], format_: str) -> str:
    """The rows of `compare` as a table; Markdown has the reasons in it, a terminal below it."""
    shown = [
        {
            "name": row["name"],
            "implementation": f"{row['library']} {row['version']} {row['model']}",
            "parameters": count(row["parameters"]),
            "more than ours": signed(row["parameters_more"]),
            "buffers": count(row["buffers"]),
            "more buffers": signed(row["buffers_more"]),
            "differs": row["differs"] or "",
        }
        for row in rows
    ]
    if format_ == "markdown":
        return table(shown, format_)
    counts = table([{k: v for k, v in row.items() if k != "differs"} for row in shown], format_)
    reasons = [
        f"- {r['name']}: {r['implementation']}: {r['differs']}" for r in shown if r["differs"]
    ]
    return "\n".join((counts, "", "Where they differ:", *reasons) if reasons else (counts,))


def _row(each: Implementation, ours: Graph) -> dict[str, Any]:
    more = each.parameters - ours.parameters, each.buffers - ours.buffers
    if more != (0, 0) and each.differs is None:
        by = " and ".join(map(signed, more))
        wanted = f"differs to say why its parameters and buffers differ from ours by {by}"
        raise TableError(FILE, each.where, wanted, "none")
    return {
        "name": each.architecture,
        "library": each.library,
        "version": each.version,
        "model": each.call,
        "parameters": each.parameters,
        "parameters_more": more[0],
        "buffers": each.buffers,
        "buffers_more": more[1],
        "differs": each.differs,
    }


def _read(number: int, content: object) -> Implementation:
    place = Place(FILE, f"implementation {number}")
    required = {
        **dict.fromkeys(("architecture", "library", "version", "model"), str),
        **dict.fromkeys(("parameters", "buffers"), int),
    }
    entry = place.mapping(content, required, {"arguments": dict, "differs": str})
    place = Place(FILE, f"implementation {number} ({entry['library']} {entry['model']})")
    for key, value in entry.items():
        if isinstance(value, str) and not value.strip():
            raise place.refuse(f"{key} as text", value)
        if isinstance(value, int) and value < 0:
            raise place.refuse(f"{key} to be 0 or more", value)
    if entry["architecture"] not in names():
        near = nearest(entry["architecture"], names()) or list(names())
        raise place.refuse(f"an architecture such as {', '.join(near)}", entry["architecture"])
    if entry["library"] not in LIBRARIES:
        raise place.refuse(f"library to be one of {', '.join(LIBRARIES)}", entry["library"])
    arguments = entry.pop("arguments", {})
    for key, value in arguments.items():
        if not isinstance(value, Argument):
            raise place.refuse(f"argument {key} as a number, a truth value or text", value)
    differs = entry.pop("differs", None)
    return Implementation(**entry, arguments=arguments, differs=differs, where=place.where)
