"""Which modules of this process come from a certain folder of the user's own.

It stands alone: the gate copies it to where an interpreter that has no convbench finds it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

PREFIX = "convbench-side-"
"""How the names of the folders begin that the gate makes for a side."""
LIBRARIES = ("site-packages", "dist-packages")


def belongs(file: str, tree: str) -> bool:
    """Whether a file is the tree's own: neither installed in it nor made there by the gate."""
    file, tree = os.path.realpath(file), os.path.realpath(tree)
    if not _within(file, tree):
        return False
    parts = Path(file).relative_to(tree).parts
    if any(part in LIBRARIES or part.startswith(PREFIX) for part in parts):
        return False
    pythons = (os.path.realpath(prefix) for prefix in (sys.prefix, sys.base_prefix))
    return not any(at != tree and _within(at, tree) and _within(file, at) for at in pythons)


def imported(tree: str) -> dict[str, str]:
    """One file of each package that this process has imported from the tree."""
    found: dict[str, str] = {}
    for name, module in [*sys.modules.items()]:
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and belongs(file, tree):
            found.setdefault(name.partition(".")[0], file)
    return found


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)
