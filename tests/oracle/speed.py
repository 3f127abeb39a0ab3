"""Our compiled models against the same networks by others, side by side in one run.

`python tests/oracle/speed.py [PROCESSES [FRAMEWORK]]`. Each line is one network in one pass: how
many times as many images per second ours gives as keras.applications', or as a plain PyTorch
module's. Each side is a fresh process; the two of a pair run one after the other, in an order by
chance, and the interval is over pairs. Both have the same framework, batch, threads and precision.
"""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random

from attrs import evolve

from convbench.base.importing import refer
from convbench.base.text_tables import table
from convbench.measure.estimates import estimates, times_as_fast
from convbench.measure.machine import environment
from convbench.measure.records import Measurement, Task
from convbench.measure.run import Run
from convbench.measure.sampling import Budget
from convbench.measure.worker.messages import OwnModel
from convbench.papers.sources import tables_folder
from convbench.report.throughput import figure, times

ROOT = Path(__file__).parents[2]
BATCH, SECONDS, PRECISION = 4, 3.0, 0.02
OTHERS = (
    ("resnet50", "keras", "tests.support.library_keras:resnet50"),
    ("mobilenet", "keras", "tests.support.library_keras:mobilenet"),
    ("vgg16", "keras", "tests.support.library_keras:vgg16"),
    ("resnet50", "pytorch", "tests.support.plain_torch:ResNet50"),
    ("mobilenet", "pytorch", "tests.support.plain_torch:MobileNet"),
)
PASSES = ("forward", "train_step")
IMAGE = {"keras": (224, 224, 3), "pytorch": (3, 224, 224)}


def pairs(run: Run, ours: Task, theirs: OwnModel, processes: int) -> list[list[Measurement]]:
    """The measurements of both sides, process by process."""
    chance, found = Random(1), [[], []]
    for process in range(1, processes + 1):
        task = evolve(ours, process=process)
        sides = [
            (0, lambda task=task: run.time(task)),
            (1, lambda task=task: run.time_own(task, theirs)),
        ]
        chance.shuffle(sides)
        for place, measure in sides:
            found[place].append(measure())
    return found


def main() -> None:
    """Prints one table when all of it is measured, and a line for each that is."""
    processes = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    run = Run(tables_folder(), Budget(SECONDS, PRECISION), 600, None, ROOT)
    wanted = sys.argv[2:] or [framework for _, framework, _ in OTHERS]
    rows = []
    try:
        for name, framework, other in (one for one in OTHERS if one[1] in wanted):
            theirs = OwnModel(
                make=refer(other), input=IMAGE[framework], classes=1000, path=(str(ROOT),)
            )
            for pass_ in PASSES:
                task = Task(
                    architecture=name,
                    framework=framework,
                    pass_=pass_,
                    batch=BATCH,
                    device="cpu",
                    threads=environment.default_threads(),
                )
                (ours,), (others,) = map(estimates, pairs(run, task, theirs, processes))
                rows.append(
                    {
                        "network": name,
                        "pass": pass_,
                        "other": other.removeprefix("tests."),
                        "ours, images/s": figure(ours),
                        "other, images/s": figure(others),
                        "ours / other": times(times_as_fast(ours, others)),
                    }
                )
                print(*rows[-1].values(), sep="  ", flush=True)
    finally:
        run.close()
    print(f"\n{table(rows)}")


if __name__ == "__main__":
    main()
