"""A run in its own process, which a fault may end: `python -m tests.measure.faults.program …`."""

from __future__ import annotations

import sys
from pathlib import Path

from convbench.base.processes.interrupts import Interrupts
from convbench.measure.journal import Journal
from convbench.measure.machine import environment
from convbench.papers.sources import tables_folder
from convbench.report.report import markdown, replace
from tests.measure.faults.harness import Harness
from tests.measure.faults.plans import plan
from tests.support.samples import ENVIRONMENT


def main(seed: str, fault: str, stage: str, folder: str) -> None:
    environment.environment = lambda *_: ENVIRONMENT  # type: ignore[assignment]
    harness = Harness(Path(folder), plan(int(seed), fault, stage))
    interrupts = Interrupts()
    interrupts.catch()
    harness.run()
    interrupts.ignore()
    for objection in harness.objections:
        print(objection)
    entries = list(Journal(harness.journal.path).entries())
    text = markdown(entries, "run", tables_folder())
    replace(harness.journal.path.with_name("report.md"), lambda file: file.write_text(text))
    sys.exit(130 if harness.interrupted is not None else 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
