"""How much memory a process has taken: what of it is resident, and the highest that it has been.

Only what belongs to the process counts. Pages of files (the code of libraries, which a forked
child maps anew as it runs it) are the system's, and are shared with everybody else who uses them.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import sys
from pathlib import Path

import psutil
from attrs import frozen

from convbench.base.units import Byte

PROC = Path("/proc")
NoProcess = psutil.NoSuchProcess
"""Raised of a process that has ended."""
KIB = 1024


@frozen
class Resident:
    """The memory of one process that is in RAM."""

    own: Byte
    """Pages with no file behind them. Those that are shared with the process that forked it, or
    that were copied since because one of both wrote to them, count alike."""
    files: Byte
    """Pages of files, as far as the system tells them apart."""


def resident(pid: int | None = None) -> Resident:
    """What a process, this one by default, has in RAM now."""
    lines = _status(pid)
    if "RssAnon" in lines:
        return Resident(lines["RssAnon"] + lines.get("RssShmem", 0), lines.get("RssFile", 0))
    return Resident(psutil.Process(pid).memory_info().rss, 0)


def peak(pid: int | None = None) -> Byte | None:
    """The highest that the resident memory of a process has been, files and all.

    None where the system does not say.
    """
    lines = _status(pid)
    if "VmHWM" in lines:
        return lines["VmHWM"]
    if sys.platform == "darwin" and pid is None:
        import resource  # noqa: PLC0415  (not everywhere)

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return getattr(psutil.Process(pid).memory_info(), "peak_wset", None)


def highest_growth(pid: int, baseline: Byte) -> Byte:
    """By how much a process has been above `baseline`; by how much it is, where nobody knows."""
    now = resident(pid)
    return max(now.own, (peak(pid) or 0) - now.files) - baseline


def begin_peak() -> bool:
    """Lets this process's peak begin anew; False where the system cannot (all but Linux)."""
    try:
        (PROC / "self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def give_back() -> None:
    """Returns to the system what was freed, which glibc's allocator would keep for later."""
    gc.collect()
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError, OSError):  # other C libraries have no such call
            ctypes.CDLL(None).malloc_trim(0)


def awaited(child: int) -> tuple[int, Byte, bool]:
    """The status of a forked child once it has ended, and what memory had to do with that.

    By how much it was larger than this process, at least; and whether the system has killed
    a process, which may be another one, for want of memory meanwhile.
    """
    own, killed = psutil.Process().memory_info().rss, _killed_by_system()
    _, status, usage = os.wait4(child, 0)
    largest = usage.ru_maxrss * (1 if sys.platform == "darwin" else KIB)
    return status, max(0, largest - own), _killed_by_system() > killed


def _killed_by_system() -> int:
    """How many processes Linux has killed for want of memory since it was started."""
    with contextlib.suppress(OSError):
        for line in (PROC / "vmstat").read_text("ascii").splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0


@frozen
class Stepping:
    """From here on the peak of this process is that of its steps."""

    baseline: Byte
    """What it had of its own when it was forked."""
    before: Byte | None
    """The peak until here, where it could not begin anew."""

    @classmethod
    def begin(cls, baseline: Byte) -> Stepping:
        """Forgets what was needed, and freed, to come here."""
        give_back()
        return cls(baseline, None if begin_peak() else peak())

    def growth(self) -> Byte | None:
        """The peak of the steps above `baseline`; None where nobody can tell.

        A peak that could not begin anew is that of the steps if they have raised it.
        """
        highest = peak()
        if highest is None or (self.before is not None and highest <= self.before):
            return None
        # Pages of files come and stay: what there are now there were, nearly, at the peak.
        return highest - resident().files - self.baseline


def _status(pid: int | None) -> dict[str, Byte]:
    """What Linux says of a process's memory; nothing elsewhere."""
    if sys.platform != "linux":
        return {}
    try:
        text = (PROC / str(pid or os.getpid()) / "status").read_text("utf-8", "replace")
    except OSError:
        return {}
    words = (line.split() for line in text.splitlines())
    return {w[0].rstrip(":"): int(w[1]) * KIB for w in words if w[-1:] == ["kB"]}
