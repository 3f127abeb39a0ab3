"""The template process: imports one framework, and forks a child for each task.

It waits for the child's end; whatever the child has started and left ends with it. Whatever a
framework prints goes to standard error, never between the messages. Where the system cannot fork,
the process serves one task itself.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import NoReturn

from convbench.base.errors import (
    BadRecord,
    FrameworkMissing,
)
from convbench.base.processes import descendants
from convbench.frameworks.registry import libraries, load_framework
from convbench.measure.machine import host_memory
from convbench.measure.worker import messages
from convbench.measure.worker.child import Child
from convbench.measure.worker.pipe import Pipe, take_standard_streams


def main() -> None:
    """Serves the parent until it hangs up."""
    pipe = take_standard_streams()
    descendants.adopt()
    descendants.die_with_parent(signal.SIGTERM)
    signal.signal(signal.SIGTERM, end_all)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    try:
        framework = load_framework(sys.argv[1])
        version = framework.version()
    except FrameworkMissing as error:
        pipe.send(messages.Unusable(error.why, error.remedy))
        return
    forks = hasattr(os, "fork") and "--spawn" not in sys.argv[2:]
    host_memory.give_back()
    gc.freeze()  # what the framework's import made is nobody's garbage, in any child
    pipe.send(messages.Ready(version, forks, messages.FORM, libraries(framework)))
    kept = descendants.children()  # helpers of a framework, which are nobody's leftovers
    while (start := wait_for_start(pipe)) is not None:
        if not forks:
            Child(pipe, framework, start.own, start.memory_limit).serve()
            return
        child = os.fork()
        if child == 0:
            run_child(Child(pipe, framework, start.own, start.memory_limit))
        status, grown_bytes, for_memory = host_memory.awaited(child)
        descendants.end(kept)  # first, so that nobody else talks
        pipe.break_line()
        code = os.waitstatus_to_exitcode(status)
        pipe.send(messages.Exited(code, child, for_memory=for_memory, grown_bytes=grown_bytes))


def end_all(*_: object) -> NoReturn:
    """Ends this process with everything that it has started."""
    descendants.end()
    os._exit(128 + signal.SIGTERM)


def wait_for_start(pipe: Pipe) -> messages.Start | None:
    """The wish for a child; drops what was meant for one that has died meanwhile."""
    while True:
        try:
            request = pipe.receive()
        except BadRecord:
            continue  # the rest of a line that a dying child had begun to read
        if request is None or isinstance(request, messages.Start):
            return request


def run_child(child: Child) -> NoReturn:
    """Serves one task in a forked child, which never returns to the template's code."""
    code = 1
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        descendants.die_with_parent()
        with contextlib.suppress(OSError):  # if memory runs out, it is this process that goes
            Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
        child.serve()
        code = 0
    except BaseException:  # its last line becomes the last words that the parent quotes
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)  # no exit handlers: they belong to the template
