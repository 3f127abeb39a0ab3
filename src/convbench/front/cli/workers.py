"""The workers that a command asks, and how it leaves when a signal ends it."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator

from convbench.base.processes.interrupts import ENDING
from convbench.frameworks.registry import Variables, variables
from convbench.measure.examine import Open
from convbench.measure.worker.launcher import Child, Launcher
from convbench.papers.own_networks import Own

SLOW: float = 3600
"""Seconds that one side may take for one network: double precision is not fast."""
LEFT = (signal.SIG_IGN, None)
"""What is ignored stays so, which is what nohup is for; None is a handler that is not Python's."""


@contextlib.contextmanager
def cleaning_up() -> Iterator[None]:
    """Lets a signal that ends the command end it as an error does: with nothing left behind."""

    def leave(number: int, _: object) -> None:
        for other in before:  # what is being taken away is taken away whole
            signal.signal(other, signal.SIG_IGN)
        sys.exit(128 + number)

    before = {n: signal.getsignal(n) for n in ENDING if signal.getsignal(n) not in LEFT}
    for number in before:
        if number != signal.SIGINT:  # which raises KeyboardInterrupt
            signal.signal(number, leave)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def workers(own: Own | None) -> Iterator[Open]:
    """A function that opens a child of a framework.

    Its template is started once, and once more for modes that need another environment.
    """
    launchers: dict[tuple[str, Variables], Launcher] = {}

    def open_(framework: str, label: str, mode: str) -> Child:
        needs = variables(framework, mode)
        if (framework, needs) not in launchers:
            started = Launcher(framework, timeout_s=SLOW, own=own, variables=needs)
            launchers[framework, needs] = started
        return launchers[framework, needs].open(label)

    try:
        yield open_
    finally:
        for launcher in launchers.values():
            launcher.close()
