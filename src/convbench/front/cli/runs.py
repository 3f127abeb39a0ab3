"""The commands about whole runs: bench, report, baseline and environment."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from convbench.base.errors import Unsupported
from convbench.base.text_tables import ABSENT, table
from convbench.base.units import size
from convbench.frameworks.modes import DEFAULT
from convbench.front.cli.shared import (
    DIFFERS,
    OK,
    benchmarks,
    installed,
    positive,
    print_json,
)
from convbench.front.cli.workers import cleaning_up, workers
from convbench.front.options import OPTIONS, share
from convbench.gate import stored
from convbench.gate.statistics import ranks
from convbench.gate.statistics.judging import level
from convbench.gate.stored import Baseline
from convbench.gate.values import QUANTITIES
from convbench.measure.journal import JOURNAL, journal_in
from convbench.measure.machine import environment
from convbench.measure.records import Environment, as_json

HERE = ("processes", "report", "gate", "tolerance", "tables")
"""Options of a run that are not only handed on, or make no sense for a baseline."""
GOAL = 0.10
"""The slowdown for which it says how many processes find it, unless that is tolerated, nearly."""
SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


def add_baseline_arguments(parser: argparse.ArgumentParser) -> None:
    """Where to, how many processes, and the options of a run, as `--bench-` has them."""
    enough, (metavar, tolerance, help_) = stored.ENOUGH, OPTIONS["tolerance"]
    fresh = f"fresh processes for each task (default: {enough})"
    parser.add_argument("--to", metavar="DIR", type=Path, required=True, help="folder for the run")
    parser.add_argument("--processes", metavar="K", type=positive, default=enough, help=fresh)
    parser.add_argument("--tolerance", metavar=metavar, default=tolerance, help=help_)
    for name, (metavar, _, help_) in OPTIONS.items():
        if name not in HERE:
            parser.add_argument(f"--{name}", metavar=metavar, help=help_)


def record_baseline(options: argparse.Namespace) -> int:
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


def report_(options: argparse.Namespace) -> int:
    """Writes `report.md`, its plot and the index again."""
    from convbench.report import report  # noqa: PLC0415  (plots take a second to import)

    journal_in(options.folder)  # raises, where there is none
    print(report.write(options.folder, *options.folders))
    return OK


def bench(arguments: Sequence[str]) -> int:
    """Runs the benchmark files under pytest."""
    command = benchmarks(arguments)
    if os.name == "posix":
        os.execv(sys.executable, command)  # so that Ctrl-C is pytest's, which writes the report
    return subprocess.run(command, check=False).returncode


def add_environment_arguments(parser: argparse.ArgumentParser) -> None:
    """What may be said besides the format."""
    told = "ask each installed framework what decides its speed here (seconds for each)"
    parser.add_argument("--libraries", action="store_true", help=told)


def show_environment(options: argparse.Namespace) -> int:
    """Prints what `machine.environment` finds, and what frameworks say if they are asked."""
    found = environment.environment(Path.cwd())
    libraries = _libraries(installed()) if options.libraries else {}
    if options.format == "json":
        print_json(as_json(found) | ({"libraries": libraries} if options.libraries else {}))
    else:
        print(table(_rows(found, libraries), options.format, left=("value",)))
    return OK


def _libraries(frameworks: Iterable[str]) -> dict[str, dict[str, str]]:
    """What each framework says in a process of its own; raises FrameworkMissing."""
    found = {}
    with cleaning_up(), workers(None) as open_:
        for framework in frameworks:
            with open_(framework, f"{framework} libraries", DEFAULT) as child:
                found[framework] = dict(child.launcher.libraries)
    return found


def _rows(found: Environment, libraries: dict[str, dict[str, str]]) -> list[dict[str, str]]:
    facts = {
        "CPU": f"{found.cpu}, {found.cores} cores",
        "memory": size(found.memory_bytes),
        "GPU": found.gpu or "none",
        "driver": found.driver or ABSENT,
        "system": found.system,
        "Python": found.python,
        "convbench": found.convbench,
        "commit": found.commit or ABSENT,
        **dict(found.packages),
        **dict(found.variables or ()),
    }
    for framework, told in libraries.items():
        facts[f"libraries of {framework}"] = ", ".join(map(" ".join, told.items())) or ABSENT
    return [{"": name, "value": value} for name, value in facts.items()]
