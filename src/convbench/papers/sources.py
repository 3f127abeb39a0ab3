"""The bibliography: what the tables were transcribed from."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from attrs import frozen

from convbench.papers.toml import Place, load

SOURCES = "sources.toml"
"""The bibliography's name in its folder."""


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
    packaged = Path(__file__).parents[1] / "reference_tables"
    return packaged if packaged.is_dir() else Path(__file__).parents[3] / "reference_tables"


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
