"""What convbench costs before it does anything: seconds and memory of fresh processes.

Run as `python bench/imports.py [PROCESSES]`. Each row is the median of several processes: seconds
by the clock, seconds of CPU, and the most memory, each beyond the process that it is held against.
"""

from __future__ import annotations

import json
import subprocess
import sys
from statistics import median
from time import perf_counter
from typing import TypeAlias

Cost: TypeAlias = tuple[float, float, float]
"""Seconds by the clock, seconds of CPU, MB."""

PYTHON = "pass"
PYTEST = "import pytest, pytest_benchmark.plugin"
ROWS = {
    "import convbench": ("import convbench", PYTHON),
    "architecture": ("import convbench; convbench.architecture('lenet5')", PYTHON),
    "convbench --help": (
        "import sys, contextlib; from convbench.front.cli.main import main\n"
        "with contextlib.suppress(SystemExit): main(['--help'])",
        PYTHON,
    ),
    "pytest plugin": (f"{PYTEST}, convbench.front.plugin.plugin", PYTEST),
}
"""Each row: a program, and the one that it is held against."""


def cost(program: str) -> Cost:
    """The cost of one fresh process that runs a program."""
    parent = (
        "import json, resource, subprocess, sys\n"
        "command = [sys.executable, '-c', sys.argv[1]]\n"
        "subprocess.run(command, stdout=subprocess.DEVNULL, check=True)\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(json.dumps([used.ru_utime + used.ru_stime, used.ru_maxrss]))"
    )
    begun = perf_counter()
    subprocess.run([sys.executable, "-c", program], stdout=subprocess.DEVNULL, check=True)
    passed = perf_counter() - begun
    command = [sys.executable, "-c", parent, program]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    cpu, memory = json.loads(told.stdout)
    return passed, cpu, memory / (1e6 if sys.platform == "darwin" else 1e3)


def main(processes: int) -> None:
    """Prints the table; programs take turns, so that a busy machine meets all alike."""
    programs = dict.fromkeys(program for row in ROWS.values() for program in row)
    costs: dict[str, list[Cost]] = {program: [] for program in programs}
    for _ in range(processes):
        for program, found in costs.items():
            found.append(cost(program))
    middle = {p: tuple(map(median, zip(*found, strict=True))) for p, found in costs.items()}
    print(f"{'':20} {'seconds':>8} {'CPU':>8} {'MB':>8}")
    for name, (program, against) in ROWS.items():
        more = [a - b for a, b in zip(middle[program], middle[against], strict=True)]
        print(f"{name:20} {more[0]:8.3f} {more[1]:8.3f} {more[2]:8.1f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
