"""Ctrl-C and SIGTERM while a run is on: the first ends it, and the next disturbs no report."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

USUAL = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}

ENDING = (*USUAL, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []))
"""What asks a program to end."""


class Interrupts:
    """What the signals that ask a program to end do to a run."""

    def __init__(self) -> None:
        self.terminated = False
        """Whether SIGTERM has ended the run."""
        self._before: dict[signal.Signals, Any] = {}

    def catch(self) -> None:
        """Makes a KeyboardInterrupt of the first signal, where nobody else has plans for it."""
        if threading.current_thread() is not threading.main_thread():
            return  # which alone may say what a signal does
        for number, usual in USUAL.items():
            if signal.getsignal(number) == usual:
                self._before[number] = signal.signal(number, self._end)

    def ignore(self) -> None:
        """From here on there is nothing left to end: what is known is being written."""
        for number in self._before:
            signal.signal(number, signal.SIG_IGN)

    def release(self) -> None:
        """Puts things back as they were."""
        while self._before:
            signal.signal(*self._before.popitem())

    def _end(self, number: int, _: FrameType | None) -> None:
        self.ignore()
        self.terminated = number == signal.SIGTERM
        raise KeyboardInterrupt


@contextmanager
def deferred() -> Iterator[None]:
    """Within it nothing is interrupted; a signal to end that came meanwhile takes effect after."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are handled in the main thread alone
        return
    came: list[int] = []
    handlers = {number: signal.getsignal(number) for number in ENDING}
    # One that is None was set by somebody who does not speak Python. What is ignored stays so, also
    # in the programs that are started within.
    left = (None, signal.SIG_IGN)
    ours = {number: handler for number, handler in handlers.items() if handler not in left}
    for number in ours:
        signal.signal(number, lambda number, _: came.append(number))
    try:
        yield
    finally:
        for number, handler in ours.items():
            signal.signal(number, handler)
        for came_first in came[:1]:
            signal.raise_signal(came_first)
