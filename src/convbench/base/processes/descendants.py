"""Ends what a process has started, and what that has started, however well it hides.

On Linux a process can ask to be given its descendants' orphans, those in sessions of their own
among them. Whoever asks for that can be sure to find all of them, and to leave none.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Collection, Iterator
from time import monotonic, sleep

import psutil

from convbench.base.units import Second

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
PATIENCE: Second = 5
"""How long to look for more: what a driver holds does not end when it is told to."""


def adopt() -> None:
    """Makes children of this process of all its descendants' orphans; on Linux alone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(number: signal.Signals = signal.SIGKILL) -> None:
    """Signals this process when the one that started it ends, however that ends; on Linux alone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)


def children() -> frozenset[int]:
    """The processes that this one has started, or was given."""
    return frozenset(process.pid for process in psutil.Process().children())


def end(kept: Collection[int] = ()) -> None:
    """Ends every descendant of this process, but for the children in `kept` and what is theirs."""
    until = monotonic() + PATIENCE
    while (left := list(_unwanted(kept))) and monotonic() < until:
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()
            with contextlib.suppress(ChildProcessError):
                os.waitpid(process.pid, os.WNOHANG)
        sleep(0.001)


def _unwanted(kept: Collection[int]) -> Iterator[psutil.Process]:
    for child in psutil.Process().children():
        if child.pid not in kept:
            yield child
            with contextlib.suppress(psutil.Error):
                yield from child.children(recursive=True)
