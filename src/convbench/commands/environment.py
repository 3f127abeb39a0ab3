"""`convbench environment`: the machine and the software, as every run records them."""

from __future__ import annotations

import argparse
from pathlib import Path

from convbench import machine
from convbench.commands import OK, print_json
from convbench.record import Environment, as_json
from convbench.tables import ABSENT, table
from convbench.units import size


def run(options: argparse.Namespace) -> int:
    """Prints what `machine.environment` finds."""
    found = machine.environment(Path.cwd())
    if options.format == "json":
        print_json(as_json(found))
    else:
        print(table(_rows(found), options.format, left=("value",)))
    return OK


def _rows(found: Environment) -> list[dict[str, str]]:
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
    }
    return [{"": name, "value": value} for name, value in facts.items()]
