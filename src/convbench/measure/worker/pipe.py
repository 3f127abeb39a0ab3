"""The pipe between a worker and its parent."""

from __future__ import annotations

import os
from typing import BinaryIO

from attrs import define

from convbench.measure.worker import messages


@define
class Pipe:
    """Messages over two file descriptors that nothing else in the process writes to."""

    reading: BinaryIO
    writing: BinaryIO

    def send(self, message: messages.Reply) -> None:
        """Writes one message."""
        self.writing.write(messages.encode(message))
        self.writing.flush()

    def receive(self) -> messages.Message | None:
        """The next message; None when the other side is gone."""
        text = self.reading.readline()
        return messages.decode(text) if text else None

    def break_line(self) -> None:
        """Ends whatever a child that is gone may have left unfinished."""
        self.writing.write(b"\n")


def take_standard_streams() -> Pipe:
    """Keeps stdin and stdout for messages and gives everybody else stderr."""
    pipe = Pipe(os.fdopen(os.dup(0), "rb", buffering=0), os.fdopen(os.dup(1), "wb"))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    return pipe
