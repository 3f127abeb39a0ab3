"""`convbench baseline`: records a run for `--bench-gate`, and says what it could see."""

from __future__ import annotations

import argparse
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from convbench.base.errors import Unsupported
from convbench.base.text_tables import ABSENT, table
from convbench.commands import DIFFERS, OK, benchmarks, positive
from convbench.gate import stored
from convbench.gate.statistics import ranks
from convbench.gate.statistics.judging import level
from convbench.gate.stored import Baseline
from convbench.gate.values import QUANTITIES
from convbench.measure.journal import JOURNAL
from convbench.options import OPTIONS, share

HERE = ("processes", "report", "gate", "tolerance", "tables")
"""Options of a run that are not only handed on, or make no sense for a baseline."""
GOAL = 0.10
"""The slowdown for which it says how many processes find it, unless that is tolerated, nearly."""
SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where to, how many processes, and the options of a run, as `--bench-` has them."""
    enough, (metavar, tolerance, help_) = stored.ENOUGH, OPTIONS["tolerance"]
    fresh = f"fresh processes for each task (default: {enough})"
    parser.add_argument("--to", metavar="DIR", type=Path, required=True, help="folder for the run")
    parser.add_argument("--processes", metavar="K", type=positive, default=enough, help=fresh)
    parser.add_argument("--tolerance", metavar=metavar, default=tolerance, help=help_)
    for name, (metavar, _, help_) in OPTIONS.items():
        if name not in HERE:
            parser.add_argument(f"--{name}", metavar=metavar, help=help_)


def run(options: argparse.Namespace) -> int:
    """Records a run and prints what it could see; pytest's own status.

    Raises Unsupported where pytest says that all is well, and nothing was measured.
    """
    tolerance = share("--tolerance", options.tolerance)
    before = _journals(options.to)
    status = _waited(benchmarks([*_arguments(options)]))
    made = [path for path, written in _journals(options.to).items() if before.get(path) != written]
    if not made and status == OK:  # all were skipped
        remedy = "choose a framework that is installed"
        raise Unsupported(f"baseline in {options.to}", "nothing was measured", remedy)
    if not made or status not in (OK, DIFFERS):
        return status  # pytest has said why
    folder = made[-1].parent
    print(f"\n{described(stored.read(folder, str(folder)), tolerance)}")
    words = f"--bench-gate {folder} --bench-processes {options.processes}"
    print(f"\nTo compare with it, give a run with the same options {words}")
    return status


def described(baseline: Baseline, tolerance: float) -> str:
    """The slowdowns that a run with as many processes would find, and what would find more."""
    own = baseline.own
    alpha = level(len(own) * len(QUANTITIES))
    rows, wanted = [], []
    goal = max(GOAL, 2 * tolerance)
    for subject, estimate in zip(stored.subjects(own).values(), own.values(), strict=True):
        row = {"task": subject, "processes": str(len(estimate.measurements))}
        for quantity in QUANTITIES:
            logs = stored.logs(estimate, quantity)
            spread = ranks.spread_of(logs)
            seen = None if spread is None else ranks.visible(spread, len(logs), alpha, tolerance)
            row[quantity] = ABSENT if seen is None else f"{seen:.1%}"
            if quantity == "step time" and spread is not None:
                wanted.append(ranks.needed(spread, goal, alpha, tolerance))
        rows.append(row)
    return "\n".join(
        [
            "By how much each quantity must grow for a run with as many processes to find it, nine "
            f"times in ten; {100 * tolerance:g}% is tolerated:\n",
            table(rows, "table"),
            f"\n{_advice(goal, wanted)}",
        ]
    )


def _advice(goal: float, wanted: Sequence[int | None]) -> str:
    """How many processes find a slowdown in every task."""
    if not wanted:
        return "One process has no spread: give --processes 10."
    if None in wanted:
        return (
            f"A slowdown of {goal:.0%} would take more than {ranks.MOST:,} processes somewhere: "
            "convbench gate, which times both sides side by side, is the better comparison here."
        )
    most = max(number for number in wanted if number is not None)
    return f"A slowdown of {goal:.0%} of the step time is found in every task by {most} processes."


def _arguments(options: argparse.Namespace) -> Iterator[str]:
    """What pytest is to be told."""
    yield from ("--benchmark-only", f"--bench-report={options.to}")
    yield f"--bench-processes={options.processes}"
    if options.tables is not None:
        yield f"--bench-tables={options.tables}"
    for name in OPTIONS:
        value = vars(options).get(name.replace("-", "_"))
        if name not in HERE and value is not None:
            yield f"--bench-{name}={value}"


def _journals(folder: Path) -> dict[Path, int]:
    """The journals of a folder's runs and when each was written, the newest last."""
    found = {path: path.stat().st_mtime_ns for path in folder.glob(f"*/{JOURNAL}")}
    return dict(sorted(found.items(), key=lambda item: item[1]))


def _waited(command: Sequence[str]) -> int:
    """The exit status of a command that gets the signals which are sent to this process."""
    names = [getattr(signal, name) for name in SIGNALS if hasattr(signal, name)]
    with subprocess.Popen(command) as process:
        before = {n: signal.signal(n, lambda this, _: process.send_signal(this)) for n in names}
        try:
            return process.wait()
        finally:
            for name, handler in before.items():
                signal.signal(name, handler)
