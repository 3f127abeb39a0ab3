"""`python -m convbench.gate.own_tests PATH COMMAND...`: runs a command of one side.

When it ends, or the gate does, nothing of it is left. It runs under the gate's own interpreter: the
one of the side need not have convbench. PATH is its PYTHONPATH.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from convbench.base.processes import guard

NOT_STARTED = 127
"""The exit code of what could not be started, as a shell has it; a signal adds 128 to its own."""


def main() -> None:
    """Ends as the command does."""
    path, *command = sys.argv[1:]
    environment = {**os.environ, "PYTHONPATH": path}

    def run() -> None:
        try:
            if sys.platform != "linux":
                sys.exit(subprocess.run(command, env=environment, check=False).returncode)
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # which the guard ignores
            os.execvpe(command[0], command, environment)
        except OSError as error:
            print(f"{command[0]}: {error.strerror or error}", file=sys.stderr)
            sys.stderr.flush()
            os._exit(NOT_STARTED)

    code = guard.watch(run)
    sys.exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    main()
