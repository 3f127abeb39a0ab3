"""`convbench environment`: the machine and the software, as every run records them.

What frameworks say of their libraries a run records with each measurement. Here each installed
framework is asked if that is wanted: it takes the seconds of its import.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

from convbench.base.text_tables import ABSENT, table
from convbench.base.units import size
from convbench.commands import OK, installed, print_json
from convbench.commands.children import cleaning_up, workers
from convbench.frameworks.modes import DEFAULT
from convbench.measure.machine import environment
from convbench.measure.records import Environment, as_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What may be said besides the format."""
    told = "ask each installed framework what decides its speed here (seconds for each)"
    parser.add_argument("--libraries", action="store_true", help=told)


def run(options: argparse.Namespace) -> int:
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
