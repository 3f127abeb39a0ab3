"""What a framework computed, array by array, in one file: what parity compares.

Arrays are written as they come and read one at a time, so that a network's outputs need not fit
in memory twice. The file is numpy's own `.npz`; nothing that is read is executed.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

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
    """What `path` holds, in the order in which it was written."""
    with np.load(path, allow_pickle=False) as file:
        keys: list[tuple[Kind, str]] = [tuple(name.split(":", 1)) for name in file.files]
        yield {(kind, key): partial(file.__getitem__, f"{kind}:{key}") for kind, key in keys}
