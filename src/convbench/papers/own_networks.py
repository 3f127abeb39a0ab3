"""The canon of one run: convbench's networks, and for its duration the user's own.

A table of the user's own names the function that describes its network. It is imported when the
network is first asked for, and nothing else that is read here is ever executed.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from convbench.base.errors import (
    BadOption,
    TableError,
    hint,
    one_line,
    said,
)
from convbench.networks.graph import Graph
from convbench.networks.zoo.names import Entry, added, groups
from convbench.papers.sources import SOURCES, tables_folder
from convbench.papers.tables import ReferenceTable, read_table

FUNCTION = re.compile(r"(?P<module>[^\W\d]\w*(\.[^\W\d]\w*)*):(?P<function>[^\W\d]\w*)")


def own(folder: Path, option: str, home: Path) -> Own:
    """The networks whose tables are in `folder`, as an option says.

    Their functions are looked for on Python's path as it is now, and in `home`. Raises BadOption
    if there are no tables.
    """
    there = False
    with contextlib.suppress(OSError):  # such as a name that is too long
        there = bool(_files(folder))
    if not there:
        raise BadOption(option, "a folder with a table for each network", str(folder))
    path = [str(Path(entry).absolute()) for entry in (*sys.path, str(home))]
    return Own(str(folder.absolute()), tuple(dict.fromkeys(path)))


def folders(tables: Path, own: Own | None) -> tuple[Path, ...]:
    """Where tables and sources are: convbench's folder, then the user's."""
    return (tables, *([Path(own.folder)] if own else []))


@contextlib.contextmanager
def joined(own: Own | None) -> Iterator[None]:
    """Within it the user's networks are architectures like all others.

    Raises TableError for a table that cannot be read or that takes a name which means another.
    """
    found = [_read(file, own) for file in _files(Path(own.folder))] if own else []
    path = [entry for entry in own.path if entry not in sys.path] if own else []
    sys.path += path
    try:
        with added({table.name: _description(table) for table in found}):
            yield
    finally:
        sys.path[:] = [entry for entry in sys.path if entry not in path]


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.glob("*.toml") if file.name != SOURCES)


def _read(file: Path, own: Own) -> ReferenceTable:
    name = file.stem
    if not re.fullmatch(r"\w+", name, re.ASCII):
        wanted = "a name of letters, digits and _"
        raise TableError(file.name, "name", wanted, repr(name), "rename file and network")
    if name in groups():
        wanted = "a name that means nothing else"
        found = f"{name!r}, which convbench has already"
        raise TableError(file.name, "name", wanted, found, "rename file and network")
    table = read_table(name, *folders(tables_folder(), own))
    if not FUNCTION.fullmatch(table.graph or ""):
        wanted = "module:function, such as nets.small:describe"
        raise TableError(file.name, "graph", wanted, repr(table.graph))
    return table


def _description(table: ReferenceTable) -> Entry:
    """What stands for the user's function until it is called; its module names the family."""
    target = table.graph or ""
    module, _, function = target.partition(":")

    def describe(name: str) -> Graph:
        found = _function(table.file, module, function)
        wanted = f"a function that describes {name}"
        try:
            graph = found(name)
        except (Exception, SystemExit) as error:  # whatever the user's code does
            tried = f"see what python -c 'import {module}; {module}.{function}(\"{name}\")' says"
            raise TableError(
                table.file, "graph", wanted, f"{target}, {_raising(error)}", tried
            ) from error
        if not isinstance(graph, Graph):
            given = f"{target}, which returns {one_line(repr(graph), most=80)}"
            raise TableError(table.file, "graph", wanted, given, "return the Builder's graph()")
        return evolve(graph, name=name)

    return Entry(module.rpartition(".")[2], describe)


def _function(file: str, module: str, function: str) -> Callable[[str], Any]:
    """The function of the user's own that a table names; raises TableError."""
    try:
        imported = importlib.import_module(module)
    except (Exception, SystemExit) as error:  # whatever the user's code does
        remedy = f"see what python -c 'import {module}' says"
        if isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}."):
            remedy = "put it into the current folder, pytest's rootdir or on the Python path"
        wanted, found = "a module that can be imported", f"{module}, {_raising(error)}"
        raise TableError(file, "graph", wanted, found, remedy) from error
    if not callable(getattr(imported, function, None)):
        place = inspect.getsourcefile(imported) if hasattr(imported, "__file__") else "Python"
        remedy = hint(function, vars(imported)) or "write it there"
        raise TableError(file, "graph", f"a function {function} in {place}", "none", remedy)
    given: Callable[[str], Any] = getattr(imported, function)
    return given


def _raising(error: BaseException) -> str:
    return f"which raises {said(error)}"


@frozen
class Own:
    """The user's own networks: the folder of their tables, and where functions come from."""

    folder: str
    path: tuple[str, ...]
    """The Python path on which the functions that describe them are found."""
