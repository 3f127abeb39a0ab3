"""Files that are written as a whole or not at all."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable
from pathlib import Path

import psutil


def replace(file: Path, write_: Callable[[Path], object]) -> None:
    """Has a file written as a whole or not at all, whoever else reads or writes it meanwhile."""
    unfinished = f".{file.name}.convbench-"  # a name that nobody else gives
    for left in file.parent.glob(f"{glob.escape(unfinished)}*"):
        writer = left.name.removeprefix(unfinished)
        if writer.isdecimal() and not psutil.pid_exists(int(writer)):
            left.unlink(missing_ok=True)  # by somebody who was killed on the way
    whole = file.with_name(f"{unfinished}{os.getpid()}")
    try:
        write_(whole)
        whole.replace(file)
    finally:
        whole.unlink(missing_ok=True)


def replace_text(file: Path, text: str) -> None:
    """The same of a text; halves of characters, which JSON may hold, are written as escapes."""
    replace(file, lambda at: at.write_text(text, encoding="utf-8", errors="backslashreplace"))
