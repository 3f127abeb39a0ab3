"""The side that asks: starts a framework's template, opens a child per task, reads, kills.

Whatever a child does (dies, hangs, talks nonsense) becomes one WorkerFailed for its task; the
next task gets a fresh child, and if need be a fresh template.
"""

from __future__ import annotations

import contextlib
import os
import queue
import re
import signal
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from time import monotonic
from types import TracebackType
from typing import IO, TypeVar

import psutil

from convbench.base.errors import (
    BadRecord,
    FrameworkMissing,
    OutOfMemory,
    WorkerFailed,
    is_about_memory,
    one_line,
)
from convbench.base.processes.programs import Interpreter, ending
from convbench.base.units import Byte, Second
from convbench.measure.machine import host_memory
from convbench.measure.machine.memory_needs import DoesNotFit
from convbench.measure.worker import messages
from convbench.papers import own_networks

MAX_MESSAGE = 16 * 2**20
IMPORT_TIMEOUT: Second = 180
EXIT_TIMEOUT: Second = 10
LOOK: Second = 0.02
"""How often a child whose memory is limited is looked at."""

_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "2"}
_LOGGED = re.compile(
    r"WARNING: All log messages before absl::InitializeLog\(\)"
    r"|[IWE]\d{4} [\d:.]+ +\d+ \S+:\d+\] "
    r"|\d{4}-\d\d-\d\d [\d:.]+: [IWE] \S+:\d+\] "
)
"""A line of TensorFlow's log that ended nothing: a fatal one begins with F."""

R = TypeVar("R", bound=messages.Reply)


class Launcher:
    """One framework's template process, started when first needed."""

    def __init__(
        self,
        framework: str,
        *,
        timeout_s: Second = 600,
        interpreter: Interpreter | None = None,
        spawn: bool = False,
        own: own_networks.Own | None = None,
        memory_limit: Byte | None = None,
        variables: Sequence[tuple[str, str]] = (),
    ) -> None:
        self._variables = dict(variables)
        self.framework, self.timeout_s, self.own = framework, timeout_s, own
        self.memory_limit = memory_limit
        self.interpreter = interpreter or Interpreter()
        self.version: str | None = None
        self.libraries: tuple[tuple[str, str], ...] = ()
        self._command = [self.interpreter.python, "-m", "convbench.measure.worker", framework]
        self._command += ["--spawn"] if spawn else []
        self._process: subprocess.Popen[bytes] | None = None
        self._lines: queue.Queue[bytes] = queue.Queue()
        self._reader: threading.Thread | None = None
        self._errors: IO[bytes] | None = None
        self._said = 0
        self.forks = True
        self.abandoned = False

    def __enter__(self) -> Launcher:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()

    def open(self, task: str) -> Child:
        """A fresh child for a task; raises FrameworkMissing or WorkerFailed."""
        if self.abandoned:
            raise WorkerFailed(task, "starting", "the run has ended")
        fresh = self._process is None or self._process.poll() is not None
        if fresh:
            self._start(task)
        try:
            return self._opened(task)
        except HungUp:
            if fresh:
                raise
        self._start(task)  # the template had ended since the last task: this one had not begun
        return self._opened(task)

    def _opened(self, task: str) -> Child:
        if self._errors is not None:
            self._said = os.fstat(self._errors.fileno()).st_size
        self.send(messages.Start(self.own, self.memory_limit))
        child = Child(self, task)
        child.begin()
        return child

    def abandon(self) -> None:
        """Ends everything, and starts nothing any more, whichever thread may ask."""
        self.abandoned = True
        self.close()

    def close(self) -> None:
        """Ends the template and everything that it has started."""
        process, self._process = self._process, None
        if process is None:
            return
        end(process, self._reader)
        for stream in (process.stdin, process.stdout, self._errors):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def send(self, request: messages.Request) -> None:
        """Writes one request; a template that is gone is noticed when its answer is read."""
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.write(messages.encode(request))
                self._process.stdin.flush()

    def receive(self, timeout_s: Second) -> messages.Message | None:
        """The next message, None if the template hung up; raises TimeoutError, BadRecord."""
        until, text = monotonic() + timeout_s, b"\n"
        while text == b"\n":  # what separates a child's last words from the template's
            try:
                text = self._lines.get(timeout=max(0.0, until - monotonic()))
            except queue.Empty:
                raise TimeoutError from None
        if not text:
            return None
        if not text.endswith(b"\n"):
            raise BadRecord("message", "a whole line", f"{len(text)} bytes without an end")
        return messages.decode(text)

    def last_words(self) -> str:
        """The last line that this task printed on standard error, if any."""
        if self._errors is None:
            return ""
        # Workers write through the same open file: its offset must stay theirs.
        size = os.fstat(self._errors.fileno()).st_size
        text = os.pread(self._errors.fileno(), max(0, size - self._said), self._said)
        lines = [one_line(line, most=200) for line in text.decode(errors="replace").splitlines()]
        words = [line for line in lines if line and not _LOGGED.match(line)]
        return f"; its last words: {words[-1]}" if words else ""

    def started(self, pid: int) -> bool:
        """Whether a process is one that the template has started, or the template itself."""
        with contextlib.suppress(psutil.Error, ValueError):
            family = psutil.Process(pid), *psutil.Process(pid).parents()
            return self._process is not None and self._process.pid in (p.pid for p in family)
        return False

    def _start(self, task: str) -> None:
        self.close()
        self._lines = queue.Queue()
        try:
            self._errors = tempfile.TemporaryFile()  # noqa: SIM115  (closed with the process)
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                cwd=self.interpreter.folder,
                env={**(self.interpreter.environment or os.environ), **self._variables, **_QUIET},
                start_new_session=True,  # Ctrl-C reaches the parent alone; one kill ends them all
            )
        except OSError as error:  # a full disk, or no more files or processes for this user
            why = f"its process cannot be started: {error.strerror or error}"
            raise WorkerFailed(task, "starting", why) from None
        self._reader = threading.Thread(
            target=_read, args=(self._process, self._lines), daemon=True
        )
        self._reader.start()
        try:
            message = self.receive(IMPORT_TIMEOUT)
        except TimeoutError:
            self._refuse(f"its import takes more than {IMPORT_TIMEOUT:.0f} s")
        except BadRecord as error:
            self._refuse(str(error))
        match message:
            case messages.Ready(form=form) if form != messages.FORM:
                why = f"its convbench speaks form {form} of messages, and this one {messages.FORM}"
                self._refuse(why, "install the same convbench there")
            case messages.Ready(version=version, forks=forks, libraries=libraries):
                self.version, self.forks, self.libraries = version, forks, libraries
            case messages.Unusable(why=why, remedy=remedy):
                self._refuse(why, remedy)
            case _:
                words = self.last_words()
                if "No module named 'convbench." in words:
                    self._refuse("its convbench is too old", "install the same convbench there")
                self._refuse(f"its process ended while importing{words}")

    def _refuse(self, why: str, remedy: str = "try to import it in Python") -> None:
        self.close()
        raise FrameworkMissing(self.framework, why, remedy)


class Child:
    """One task's process, as the parent sees it."""

    def __init__(self, launcher: Launcher, task: str) -> None:
        self.launcher, self.task, self.pid = launcher, task, 0
        self.needed_bytes: Byte = 0
        """What its task needs at least, as far as whoever asks for it knows."""
        self._baseline_bytes: Byte = 0
        self._over = False

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        elif not self._over:  # Ctrl-C, say: nobody waits for the round in flight
            self._over = True
            self._kill()

    def begin(self) -> None:
        """Waits until it exists, and notes what it has before it does anything.

        Raises WorkerFailed.
        """
        pid = self.expect(messages.Started, self.launcher.timeout_s, "starting").pid
        if not self.launcher.started(pid):
            raise self._fail("starting", f"calls itself process {pid}, which is none of its own")
        self.pid = pid
        if self.launcher.memory_limit is not None:
            with contextlib.suppress(host_memory.NoProcess):
                self._baseline_bytes = host_memory.resident(pid).own

    def ask(self, request: messages.Request, reply: type[R], stage: str) -> R | messages.Refused:
        """The answer to a request: a `reply`, or the child's refusal. Raises WorkerFailed."""
        self.launcher.send(request)
        return self.expect(reply, self.launcher.timeout_s, stage, refusable=True)

    def answer(self, request: messages.Request, reply: type[R], stage: str) -> R:
        """The answer to a request that is not refused; raises WorkerFailed where it is, too."""
        answer = self.ask(request, reply, stage)
        if isinstance(answer, messages.Refused):
            raise answer.as_error(self.task, stage)
        return answer

    def expect(
        self, reply: type[R], timeout_s: Second, stage: str, *, refusable: bool = False
    ) -> R:
        """The next message if it is a `reply`; anything else ends the child and this task."""
        try:
            message = self._awaited(timeout_s, stage)
        except TimeoutError:
            raise self._fail(stage, f"gave no answer for {timeout_s:g} s and was killed") from None
        except BadRecord as error:
            raise self._fail(stage, f"answered nonsense ({error})") from None
        if isinstance(message, reply) or (refusable and isinstance(message, messages.Refused)):
            return message  # type: ignore[return-value]
        match message:
            case None:
                words, self._over = self.launcher.last_words(), True
                self.launcher.close()
                raise HungUp(self.task, stage, f"the worker ended{words}")
            case messages.Exited(code=code, pid=pid) if pid == (self.pid or pid):
                self._over = True
                words = self.launcher.last_words()
                if is_about_memory(words) or (message.for_memory and code == -signal.SIGKILL):
                    raise self._does_not_fit(stage, message.grown_bytes, None)
                raise WorkerFailed(self.task, stage, f"{ending(code)}{words}")
            case _:
                raise self._fail(stage, f"answered {type(message).__name__} out of turn")

    def _awaited(self, timeout_s: Second, stage: str) -> messages.Message | None:
        """The next message; ends a child that takes more memory than it may have till then."""
        limit = self.launcher.memory_limit
        if limit is None or not self.pid:
            return self.launcher.receive(timeout_s)
        until = monotonic() + timeout_s
        while True:
            message, came = None, True
            try:
                message = self.launcher.receive(min(LOOK, timeout_s))
            except TimeoutError:
                came = False
            grown = self._grown()
            if grown > limit:
                self._fail(stage, "")
                raise self._does_not_fit(stage, grown, limit)
            if came:
                return message
            if monotonic() > until:
                raise TimeoutError

    def _grown(self) -> Byte:
        with contextlib.suppress(host_memory.NoProcess):
            return host_memory.highest_growth(self.pid, self._baseline_bytes)
        return 0  # it has ended, and its end is on its way

    def _does_not_fit(self, stage: str, grown: Byte, limit: Byte | None) -> OutOfMemory:
        why = DoesNotFit.beyond(max(grown, self.needed_bytes), limit)
        return OutOfMemory(self.task, stage, str(why), why.shortage)

    def close(self) -> None:
        """Lets the child leave; one that does not is killed."""
        if self._over:
            return
        self._over = True
        self.launcher.send(messages.Stop())
        if not self.launcher.forks:
            self.launcher.close()
        elif not self._gone(EXIT_TIMEOUT):
            self._kill()

    def _fail(self, stage: str, why: str) -> WorkerFailed:
        if not self._over:
            self._over = True
            self._kill()
        return WorkerFailed(self.task, stage, why)

    def _kill(self) -> None:
        """Ends the child; where the template cannot say that it is gone, the template too."""
        if self.launcher.forks and self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            if self._gone(EXIT_TIMEOUT):
                return
        self.launcher.close()

    def _gone(self, timeout_s: Second) -> bool:
        """Whether the child's end is reported, or the template's; what comes before is dropped."""
        until = monotonic() + timeout_s
        while True:
            try:
                message = self.launcher.receive(until - monotonic())
            except TimeoutError:
                return False
            except BadRecord:
                continue
            if message is None:
                self.launcher.close()
                return True
            if monotonic() > until:
                return False
            if isinstance(message, messages.Exited) and message.pid == self.pid:
                return True


def _read(process: subprocess.Popen[bytes], lines: queue.Queue[bytes]) -> None:
    """Passes on what the worker writes, line by line; an empty line means that it hung up."""
    assert process.stdout is not None
    with contextlib.suppress(ValueError, OSError):  # closed under our hands: it is over
        while text := process.stdout.readline(MAX_MESSAGE):
            lines.put(text)
    lines.put(b"")


def end(process: subprocess.Popen[bytes], reader: threading.Thread | None = None) -> None:
    """Tells a guard to end everything below it; ends by force what does not follow."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(signal, "SIGCONT"):
            process.send_signal(signal.SIGCONT)
        process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(EXIT_TIMEOUT)
    if reader is not None:  # to whom the pipe is closed when the last of them is gone
        reader.join(EXIT_TIMEOUT)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()


class HungUp(WorkerFailed):
    """A task whose template has ended, and every process of the framework with it."""
