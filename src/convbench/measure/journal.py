"""The journal of a run: one line for each thing that was measured, synced as it is written."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator
from io import FileIO
from itertools import count
from pathlib import Path

from convbench.base.errors import BadRecord, Unsupported
from convbench.checks import old_values
from convbench.checks.parity import Parity
from convbench.checks.structure import CheckReport
from convbench.measure.records import (
    _KINDS,
    SCHEMA,
    Attainable,
    Entry,
    Environment,
    Measurement,
    Unchecked,
    as_json,
    load,
    structure,
)

JOURNAL = "measurements.jsonl"
"""The journal's name in the folder of its run."""


def line(entry: Entry) -> str:
    """One journal line, without its end."""
    kind = next(name for name, type_ in _KINDS.items() if isinstance(entry, type_))
    return json.dumps({"schema": SCHEMA, "kind": kind, **as_json(entry)}, ensure_ascii=False)


def parse(text: bytes, where: str) -> Entry:
    """The entry that a journal line holds; raises BadRecord naming `where`."""
    content = load(text, where)
    schema, kind = content.pop("schema", None), content.pop("kind", None)
    if type(schema) is not int or not 1 <= schema <= SCHEMA:
        raise BadRecord(where, f"schema {SCHEMA} of this version", f"schema {schema!r:.80}")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise BadRecord(where, f"one of the kinds {', '.join(_KINDS)}", f"kind {kind!r:.80}")
    if schema == 1 and kind == "check":
        content = old_values.with_values(content)
    entry: Entry = structure(content, _KINDS[kind], where)
    if isinstance(entry, Measurement) and (entry.outcome == "measured") != bool(entry.rounds_s):
        found = f"{len(entry.rounds_s)} of one that is {entry.outcome}"
        raise BadRecord(where, "rounds of what was measured, and of nothing else", found)
    return entry


class Journal:
    """An append-only file of entries, each on disk before the next task begins.

    A `new` one takes, with its first entry, a folder that no other run has: the one that `path`
    names, or the next that is free.
    """

    def __init__(self, path: Path, *, new: bool = False) -> None:
        self.path, self._new = path, new

    def append(self, entry: Entry) -> None:
        """Writes and syncs one entry; raises OSError if the disk does not take it.

        A last line that was cut off makes room for it.
        """
        if self._new:
            self.path, self._new = _new_folder(self.path.parent) / self.path.name, False
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab+", buffering=0) as file:
            _drop_partial_line(file)
            end = file.seek(0, os.SEEK_END)
            text = line(entry).encode(errors="backslashreplace") + b"\n"
            try:
                while text:
                    text = text[file.write(text) :]
                os.fsync(file.fileno())
            except OSError:
                file.truncate(end)
                raise

    def entries(self) -> Iterator[Entry]:
        """All whole entries; a last line that was cut off is left out. Raises BadRecord."""
        lines = self.path.read_bytes().split(b"\n")
        for number, text in enumerate(lines[:-1], start=1):
            yield parse(text, f"{self.path.name}, line {number}")


def journal_in(folder: Path) -> Journal:
    """The journal of the run in `folder`; raises Unsupported if there is none."""
    path = folder / JOURNAL
    if path.is_file():
        return Journal(path)
    if not folder.is_dir():
        raise Unsupported(str(folder), "there is no such folder", f"name one with {JOURNAL}")
    runs = [path.parent.name for path in sorted(folder.glob(f"*/{JOURNAL}"))]
    remedy = f"name one of its runs: {', '.join(runs)}" if runs else f"name one with {JOURNAL}"
    raise Unsupported(str(folder), "it is not the folder of one run", remedy)


def latest(entries: Iterable[Entry]) -> list[Entry]:
    """The newest outcome of everything that was tried more than once, in the order of the first.

    A run that is continued tries again what failed; its journal keeps all that was tried. What has
    come of something once is not undone by a later failure.
    """
    found: dict[object, Entry] = {}
    for number, entry in enumerate(entries):
        subject = _subject(entry, number)
        if is_result(entry) or subject not in found or not is_result(found[subject]):
            found[subject] = entry
    return list(found.values())


def is_result(entry: Entry) -> bool:
    """Whether something has come of what was tried: it need not be tried again."""
    if isinstance(entry, Measurement):
        return entry.outcome == "measured"
    return not isinstance(entry, Unchecked)


def _subject(entry: Entry, number: int) -> object:
    """What two entries have in common that say what came of the same thing."""
    match entry:
        case Measurement():
            return entry.task
        case CheckReport():
            return "structure", entry.name, entry.framework
        case Parity():
            return "parity", entry.name, " and ".join(entry.sides)
        case Attainable():
            return "attainable", entry.framework, entry.device, entry.threads, entry.dtype
        case Unchecked():
            return entry.what, entry.architecture, entry.framework
        case Environment():
            return number


def _new_folder(folder: Path) -> Path:
    """`folder`, made here and now, or `folder-2` and so on if another run was faster."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    for number in count(1):
        made = folder.with_name(f"{folder.name}-{number}") if number > 1 else folder
        with contextlib.suppress(FileExistsError):
            made.mkdir()
            break
    return made


def _drop_partial_line(file: FileIO) -> None:
    end = file.seek(0, os.SEEK_END)
    file.seek(max(end - 1, 0))
    if file.read() not in (b"", b"\n"):
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)
