"""The fake framework with faults of its own: each strikes once, where the harness has armed it.

Chosen as `--bench-framework tests.measure.faults.framework`. The file of `tests.support.fakes`
says which fault is to strike at which stage; a fault empties it first, so that the tasks after it
are left alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NoReturn

import numpy as np
import psutil

from convbench.frameworks.protocol import DeviceMemory
from tests.support import fakes

NAME = "tests.measure.faults.framework"
HUNDRED_MB = 100 * 10**6


def _signal_child(number: int) -> None:
    os.kill(os.getpid(), number)


def _signal_ancestor(generation: int, number: int) -> None:
    """Signals the template, or what stands between it and the run, and does not run ahead."""
    os.kill(psutil.Process().parents()[generation].pid, number)
    time.sleep(0.05)


def _end_run(*numbers: int, daemon: bool = False) -> None:
    """Signals the run itself: what stands above the guard, or above the template."""
    if daemon:
        _fork(_stay, daemon=True)
    above = [process.pid for process in psutil.Process().parents()]
    run = above[above.index(os.getpgid(0)) + 1 if os.getpgid(0) in above else 0]
    for number in numbers:
        os.kill(run, number)
        time.sleep(0.1)


def _starve() -> None:
    """Every allocation of some size fails from here on, whoever makes it."""
    used = psutil.Process().memory_info().vms
    resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 20), resource.RLIM_INFINITY))


def _fill_disk() -> None:
    """No file of this process becomes larger than a little."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))


def _devour() -> None:
    _starve()
    np.ones(1 << 30)


def _sleep() -> NoReturn:
    while True:
        time.sleep(60)


def _close(mode: int) -> None:
    for fd in fakes._message_pipes(mode):
        os.close(fd)


def _say(text: bytes) -> None:
    fakes._say(text)


def _say_and_exit(text: bytes) -> NoReturn:
    _say(text)
    os._exit(0)


def _say_at_length(end: bytes) -> None:
    """A message of 100 MB."""
    part = b"x" * 10**6
    for _ in range(HUNDRED_MB // len(part)):
        _say(part)
    _say(end)


def _message(kind: str, **content: object) -> bytes:
    return json.dumps({"kind": kind, **content}).encode() + b"\n"


def _stay() -> NoReturn:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _sleep()


def _talk() -> NoReturn:
    with contextlib.suppress(BaseException):
        while True:
            _say(b"garbage without end\n")
    os._exit(0)


def _fork(then: Callable[[], NoReturn], *, session: bool = False, daemon: bool = False) -> None:
    """A grandchild; as a daemon it has a parent that is gone, and no file of ours."""
    if os.fork() != 0:
        return
    if session or daemon:
        os.setsid()
    if daemon:
        if os.fork() != 0:
            os._exit(0)
        os.closerange(0, 64)
    then()


def _run() -> None:
    """A program of its own, in a session of its own, that knows nothing of who started it."""
    subprocess.Popen(
        [sys.executable, "-S", "-c", "import time; time.sleep(600)"],
        env={},
        start_new_session=True,
        close_fds=False,
    )


SIGNALS = ("SIGKILL", "SIGSTOP", "SIGSEGV", "SIGTERM", "SIGABRT")

SIGNALLED = {
    **{f"child-{name}": partial(_signal_child, getattr(signal, name)) for name in SIGNALS},
    **{f"template-{name}": partial(_signal_ancestor, 0, getattr(signal, name)) for name in SIGNALS},
    **{f"guard-{name}": partial(_signal_ancestor, 1, getattr(signal, name)) for name in SIGNALS},
}
STARVED = {"starve": _starve, "devour": _devour, "sleep": _sleep, "full": _fill_disk}
CUT = {
    "close-writing": partial(_close, os.O_WRONLY),
    "close-reading": partial(_close, os.O_RDONLY),
}
SAID = {
    "garbage": partial(_say, b"garbage\n"),
    "nul": partial(_say, b"\0" * 100 + b"\n"),
    "not-utf-8": partial(_say, b'{"kind": "timed", "rounds_s": "\xff\xfe\xed\xa0\x80"}\n'),
    "half-a-line": partial(_say, b'{"kind": "prep'),
    "half-a-line-and-out": partial(_say_and_exit, b'{"kind": "prep'),
    "two-in-a-line": partial(_say, _message("peaks", memory={}).strip() * 2 + b"\n"),
    "another-kind": partial(_say, _message("ready", version="2", forks=True)),
    "exited": partial(_say, _message("exited", code=0)),
    "exited-oddly": partial(_say, _message("exited", code=-35)),
    "exited-99": partial(_say, _message("exited", code=-99)),
    "started": partial(_say, _message("started", pid=2**22 + 1)),
    "no-rounds": partial(_say, _message("timed", rounds_s=[])),
    "too-many-rounds": partial(_say, _message("timed", rounds_s=[1.0] * 2000)),
    "not-a-number": partial(_say, b'{"kind": "timed", "rounds_s": [NaN, Infinity, 1e999]}\n'),
    "no-warm-up": partial(
        _say, _message("prepared", report=None, build_s=1.0, first_s=1.0, warmup_s=[])
    ),
    "examined": partial(_say, _message("examined")),
    "nested": partial(_say, b"[" * 10**6 + b"\n"),
    "many-wrong": partial(_say, _message("timed", rounds_s=["x"] * 10**5)),
    "blank-lines": partial(_say, b"\n" * 10**5),
    "100-MB": partial(_say_at_length, b"\n"),
    "100-MB-and-out": partial(_say_at_length, b""),
}
FORKED = {
    "grandchild": partial(_fork, _stay),
    "grandchild-in-a-session": partial(_fork, _stay, session=True),
    "daemon": partial(_fork, _stay, daemon=True),
    "grandchild-that-talks": partial(_fork, _talk),
    "program": _run,
}

ENDED = {
    "run-SIGINT": partial(_end_run, signal.SIGINT),
    "run-SIGINT-twice": partial(_end_run, signal.SIGINT, signal.SIGINT),
    "run-SIGTERM": partial(_end_run, signal.SIGTERM),
    "run-SIGTERM-and-SIGINT": partial(_end_run, signal.SIGTERM, signal.SIGINT),
    "run-SIGINT-and-daemon": partial(_end_run, signal.SIGINT, daemon=True),
    "run-SIGKILL": partial(_end_run, signal.SIGKILL),
    "run-SIGKILL-and-daemon": partial(_end_run, signal.SIGKILL, daemon=True),
}
"""Faults of the run's own process."""


def _once(fault: Callable[[], None]) -> Callable[[], None]:
    def strike() -> None:
        Path(os.environ[fakes.VARIABLE]).write_text("", encoding="ascii")
        fault()

    return strike


FAULTS = {
    name: _once(fault) for name, fault in {**SIGNALLED, **STARVED, **CUT, **SAID, **FORKED}.items()
}


class Faulty(fakes.Fake):
    """The fake, which can also be struck while its memory is read."""

    name = NAME

    def device_memory(self) -> DeviceMemory | None:
        fakes.strike("memory")
        return None


def framework() -> Faulty:
    return Faulty()


resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # who is made to crash leaves nothing behind
fakes.FAULTS |= FAULTS | {name: _once(fault) for name, fault in ENDED.items()}
fakes.strike("importing")
