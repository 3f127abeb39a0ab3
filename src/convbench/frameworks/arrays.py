"""What a framework computed, array by array, in one file: what parity compares.

Arrays are written as they come and read one at a time, so that a network's outputs need not fit
in memory twice. The file is numpy's own `.npz`; nothing that is read is executed.
"""

from __future__ import annotations

import os
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from convbench.base.errors import BadRecord, telling_line

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Kind: TypeAlias = Literal["output", "gradient", "statistic", "loss"]
Keep: TypeAlias = Callable[[Kind, str, Array], None]
"""Takes one array: a node's output, the gradient of `address/parameter`, a step's loss."""


Found: TypeAlias = Mapping[tuple[Kind, str], Callable[[], Array]]
"""A function for each kind and key that reads the array."""


@contextmanager
def writing(path: Path) -> Iterator[Keep]:
    """A function that appends arrays to `path`; raises OSError if the disk does not take them."""
    with zipfile.ZipFile(path, "w") as file:

        def keep(kind: Kind, key: str, array: Array) -> None:
            with file.open(f"{kind}:{key}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.asarray(array), allow_pickle=False)

        yield keep


@contextmanager
def reading(path: Path) -> Iterator[Found]:
    """What `path` holds, in the order in which it was written.

    Raises BadRecord, also when an array is read, if that is not what `writing` writes.
    """
    with ExitStack() as stack:
        with _unread():
            file = stack.enter_context(np.load(path, allow_pickle=False))
            keys: list[tuple[Kind, str]] = [tuple(name.split(":", 1)) for name in file.files]
        yield {(kind, key): partial(_read, file, f"{kind}:{key}") for kind, key in keys}


def _read(file: Mapping[str, Array], name: str) -> Array:
    with _unread():
        array = file[name]
    if not isinstance(array, np.ndarray):  # numpy hands on the bytes of what is none
        raise BadRecord("what was computed", "arrays", f"{name} without an array's header")
    return array


UNREADABLE = (
    *(OSError, EOFError, ValueError, LookupError, TypeError, AttributeError),
    *(zipfile.BadZipFile, zlib.error),
)
"""What numpy and zipfile raise at files that nobody has written, or that were cut off."""


@contextmanager
def _unread() -> Iterator[None]:
    try:
        yield
    except UNREADABLE as error:
        raise BadRecord("what was computed", "arrays", telling_line(str(error), most=200)) from None


@contextmanager
def room(count: int) -> Iterator[tuple[Path, ...]]:
    """Paths of empty files for any process of this user, gone when this process is.

    On Linux they have no name that could be left behind; raises OSError if there is no room.
    """
    with ExitStack() as stack:
        if sys.platform == "linux":
            files = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(count)]
            yield tuple(Path(f"/proc/{os.getpid()}/fd/{file.fileno()}") for file in files)
        else:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="convbench-")))
            yield tuple(folder / f"{number}.npz" for number in range(count))
