"""The workers that a command asks, and how it leaves when a signal ends it."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator

from convbench.examination import Open
from convbench.launcher import Child, Launcher
from convbench.messages import Own

SLOW: float = 3600
"""Seconds that one side may take for one network: double precision is not fast."""


@contextlib.contextmanager
def cleaning_up() -> Iterator[None]:
    """Lets a signal that ends the command end it as an error does: with nothing left behind."""

    def leave(number: int, _: object) -> None:
        sys.exit(128 + number)

    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {name: signal.signal(getattr(signal, name), leave) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)


@contextlib.contextmanager
def workers(own: Own | None) -> Iterator[Open]:
    """A function that opens a child of a framework, whose template is started once."""
    launchers: dict[str, Launcher] = {}

    def open_(framework: str, label: str) -> Child:
        if framework not in launchers:
            launchers[framework] = Launcher(framework, timeout_s=SLOW, own=own)
        return launchers[framework].open(label)

    try:
        yield open_
    finally:
        for launcher in launchers.values():
            launcher.close()
