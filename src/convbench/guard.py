"""Stands between a run and a framework's template on Linux, so that nothing is left of them.

Started as `python -m convbench.guard FRAMEWORK`. It forks the template and sleeps. Whichever of
the two ends first, or is told to end, by a signal that nobody can catch perhaps, it ends all that
the template has started and then itself. Elsewhere it is the template.
"""

from __future__ import annotations

import os
import signal
import sys

from convbench import offspring

WAKING = (signal.SIGTERM, signal.SIGCHLD) if sys.platform == "linux" else ()


def main() -> None:
    """Serves the parent until it hangs up, or does not exist any more."""
    if sys.platform != "linux":
        serve()
        return
    started_by = os.getppid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    signal.pthread_sigmask(signal.SIG_BLOCK, WAKING)
    offspring.adopt()
    template = os.fork()
    if template == 0:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, WAKING)
        serve()
        return
    _let_go_of_pipes()
    offspring.die_with_parent(signal.SIGTERM)
    if os.getppid() == started_by:
        while signal.sigwait(WAKING) != signal.SIGTERM and not _ended(template):
            pass
    offspring.end()


def serve() -> None:
    """Becomes the template."""
    from convbench import worker  # noqa: PLC0415  (takes memory, which this process does without)

    worker.main()


def _let_go_of_pipes() -> None:
    """They are closed when the template and its children are gone, and nobody else has them."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1):
        os.dup2(nothing, stream)


def _ended(template: int) -> bool:
    """Whether the template is among the children that have ended; buries them all."""
    ended = False
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return True
        if pid == 0:
            return ended
        ended = ended or pid == template


if __name__ == "__main__":
    main()
