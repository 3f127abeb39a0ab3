"""Programs of others: what they are given of this process's environment, and how they are ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

import psutil
from attrs import frozen

from convbench.base.errors import one_line
from convbench.base.processes.interrupts import deferred
from convbench.base.processes.provenance import belongs
from convbench.base.units import Byte, Second

READ: Byte = 2**20
"""How much of what a program prints is looked at: the end of it."""
OF_A_HOOK = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")
"""What git tells a hook of the repository that it runs in, and what is wrong in any other."""


@frozen(kw_only=True)
class Interpreter:
    """A Python, and how it is started."""

    python: str = sys.executable
    folder: Path | None = None
    """Where it runs; None for where this process does."""
    environment: Mapping[str, str] | None = None
    """Its environment variables; None for this process's."""


@frozen
class Ran:
    """What came of a program."""

    code: int
    """Exit code; the negative number of the signal that killed it."""
    output: str
    errors: str

    @property
    def last_words(self) -> str:
        """The last line that it printed, of its errors if there were any."""
        lines = [one_line(text, most=300) for text in (self.errors or self.output).splitlines()]
        return next(filter(None, reversed(lines)), "")

    @property
    def end(self) -> str:
        """How it ended, in words, with its last."""
        words = self.last_words
        return ending(self.code) + (f": {words}" if words else " without a word")


def run(
    command: Sequence[str] | str,
    limit_s: Second,
    *,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Ran:
    """Runs a program to its end, and ends what it leaves; raises TimeoutError and OSError.

    A command that is one text is the shell's.
    Whatever ends the wait (Ctrl-C, say) ends the program and all that it has started.
    """
    process: subprocess.Popen[bytes] | None = None
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        try:
            with deferred():  # so that there is no moment in which it runs and nobody knows it
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=errors,
                    shell=isinstance(command, str),
                    cwd=folder,
                    env=inherited() if environment is None else environment,
                    start_new_session=True,  # Ctrl-C reaches this process alone
                )
            process.wait(limit_s)
        except subprocess.TimeoutExpired:
            raise TimeoutError from None
        finally:
            if process is not None:
                _end(process)
        return Ran(process.returncode, _end_of(output), _end_of(errors))


def inherited(path: Sequence[str] = (), without: Path | None = None) -> dict[str, str]:
    """This process's environment variables, with folders put before those of PYTHONPATH.

    Of those it leaves out what is a folder's own.
    """
    kept = {name: value for name, value in os.environ.items() if name not in OF_A_HOOK}
    given = [at for at in kept.pop("PYTHONPATH", "").split(os.pathsep) if at]
    if without is not None:
        given = [at for at in given if not (Path(at).is_absolute() and belongs(at, str(without)))]
    if folders := [*path, *given]:
        kept["PYTHONPATH"] = os.pathsep.join(folders)
    return kept


def activated(environment: Path) -> dict[str, str]:
    """Environment variables as in a virtual environment that was activated, and nothing beside."""
    kept = inherited()
    for name in ("PYTHONPATH", "PYTHONHOME"):
        kept.pop(name, None)
    programs = str(programs_of(environment))
    search = os.pathsep.join(filter(None, [programs, kept.get("PATH")]))
    quiet = {"PIP_DISABLE_PIP_VERSION_CHECK": "1"}  # so that its last words are to the point
    return {**kept, **quiet, "VIRTUAL_ENV": str(environment), "PATH": search}


def programs_of(environment: Path) -> Path:
    """Where a virtual environment has its programs, `python` among them."""
    return environment / ("Scripts" if os.name == "nt" else "bin")


def python_path() -> list[Path]:
    """The folders of PYTHONPATH, as far as they stand fast wherever a program is started."""
    folders = map(Path, filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)))
    return [folder for folder in folders if folder.is_absolute()]


def ending(code: int) -> str:
    """How a process ended, in words.

    >>> ending(-9), ending(3)
    ('was killed by SIGKILL, perhaps for want of memory,', 'ended with exit code 3')
    """
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:  # one of those that have no meaning of their own
        name = f"signal {-code}"
    hint = ", perhaps for want of memory," if name == "SIGKILL" else ""
    return f"was killed by {name}{hint}"


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends a program that is still there, and all that it has started."""
    started: list[psutil.Process] = []
    with contextlib.suppress(psutil.Error):
        started = psutil.Process(process.pid).children(recursive=True)
    with deferred():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg"):
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
        for other in started:  # in sessions of their own, perhaps
            with contextlib.suppress(psutil.Error):
                other.kill()
        process.wait()


def _end_of(file: IO[bytes]) -> str:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - READ))
    return file.read().decode(errors="replace")
