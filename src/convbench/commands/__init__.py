"""What the subcommands of `convbench` share: exit statuses, formats, choices."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from convbench.base.errors import UnknownName
from convbench.frameworks import registry

OK, DIFFERS, BROKEN, INTERRUPTED, HUNG_UP = 0, 1, 2, 130, 141  # the last two as a shell counts
FORMATS = ("table", "json", "markdown")
MOST = 10**6
"""More than anybody means by a number of things."""


def print_json(content: object) -> None:
    """Prints plain values as JSON, exact numbers and all."""
    print(json.dumps(content, indent=1, ensure_ascii=False))


def installed() -> list[str]:
    """The frameworks that are meant where none is named, as far as they can be used here."""
    return [name for name in registry.DEFAULT_FRAMEWORKS if registry.missing(name) is None]


def named(text: str) -> list[str]:
    """The frameworks that an option lists; raises UnknownName, FrameworkMissing."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise UnknownName("framework", text, tuple(registry.FRAMEWORKS))
    return [usable(name) for name in names]


def usable(name: str) -> str:
    """`name` if it is a framework that is installed; raises UnknownName, FrameworkMissing."""
    absent = registry.missing(name)
    if absent is not None:
        raise absent
    return name


def positive(text: str) -> int:
    """The whole number that an argument gives; argparse tells of any other text."""
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < MOST:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to {MOST - 1:,}")
    return int(text)


def benchmarks(arguments: Sequence[str]) -> list[str]:
    """The command that runs the benchmark files that came with the package, or the checkout's."""
    packaged = Path(__file__).parents[1] / "bench"
    folder = packaged if packaged.is_dir() else Path(__file__).parents[3] / "bench"
    command = [sys.executable, "-m", "pytest", str(folder), f"--rootdir={Path.cwd()}"]
    return [*command, "-p", "no:cacheprovider", *arguments]
