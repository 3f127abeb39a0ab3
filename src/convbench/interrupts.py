"""Ctrl-C and SIGTERM while a run is on: the first ends it, and the next disturbs no report."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

USUAL = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}


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
