"""Stands between a run and a process that it starts on Linux, so that nothing of that is left.

`watch` forks what is to run and sleeps. Whichever of the two ends first, or is told to end, even by
a signal that cannot be caught, the guard ends everything that was started and then itself.
Elsewhere it only runs what is to run.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable

from convbench.base.processes import descendants

WAKING = (signal.SIGTERM, signal.SIGCHLD) if sys.platform == "linux" else ()


def watch(run: Callable[[], None]) -> int:
    """Has something run in a process of its own, and ends all that it has started.

    Its exit code, negative where a signal ended it; 0 in that process itself.
    """
    if sys.platform != "linux":
        run()
        return 0
    started_by = os.getppid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    signal.pthread_sigmask(signal.SIG_BLOCK, WAKING)
    descendants.adopt()
    watched = os.fork()
    if watched == 0:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, WAKING)
        run()
        return 0
    _let_go_of_pipes()
    descendants.die_with_parent(signal.SIGTERM)
    code = None
    if os.getppid() == started_by:
        while signal.sigwait(WAKING) != signal.SIGTERM and (code := _ended(watched)) is None:
            pass
    descendants.end()
    return -signal.SIGTERM if code is None else code


def _let_go_of_pipes() -> None:
    """They are closed when the template and its children are gone, and nobody else has them."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1):
        os.dup2(nothing, stream)


def _ended(watched: int) -> int | None:
    """The exit code of a process, if it is among the children that have ended; buries them all."""
    code = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return 0 if code is None else code
        if pid == 0:
            return code
        if pid == watched:
            code = os.waitstatus_to_exitcode(status)
