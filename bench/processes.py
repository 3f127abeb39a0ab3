"""What a fresh process costs, and whether one that is forked gives other figures than a new one.

`python bench/processes.py [PAIRS]`. For each framework: milliseconds from asking for a child to its
first word, forked from the template and started anew; and how many times as many images per second
a forked child gives, over pairs of one of each in an order by chance.
"""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter

from attrs import evolve

from convbench.base.units import Second
from convbench.measure.estimates import estimates, times_as_fast
from convbench.measure.machine import environment
from convbench.measure.records import Measurement, Task
from convbench.measure.run import Run
from convbench.measure.sampling import Budget
from convbench.measure.worker.launcher import Launcher
from convbench.papers.sources import tables_folder
from convbench.report.throughput import times

ROOT = Path(__file__).parents[1]
STARTS = 20
NETWORK, PASS = "resnet18", "forward"


def start_s(framework: str, *, spawn: bool, starts: int) -> Second:
    """The median time until a child says that it is there."""
    taken = []
    with Launcher(framework, spawn=spawn) as launcher:
        if not spawn:
            launcher.open("first").close()  # which starts the template
        for _ in range(starts):
            began = perf_counter()
            child = launcher.open("start")
            taken.append(perf_counter() - began)
            child.close()
    return median(taken)


def pairs(framework: str, number: int) -> tuple[list[Measurement], list[Measurement]]:
    """Measurements of forked children, and of processes of their own."""

    def launching(*, spawn: bool) -> Run:
        def launch(name: str, **options: object) -> Launcher:
            return Launcher(name, spawn=spawn, **options)

        return Run(tables_folder(), Budget(3.0, 0.02), 600, None, ROOT, launch=launch)

    task = Task(
        architecture=NETWORK,
        framework=framework,
        pass_=PASS,
        batch=4,
        device="cpu",
        threads=environment.default_threads(),
    )
    runs, chance = (launching(spawn=False), launching(spawn=True)), Random(1)
    found: tuple[list[Measurement], list[Measurement]] = ([], [])
    try:
        for process in range(1, number + 1):
            for side in chance.sample((0, 1), 2):
                found[side].append(runs[side].time(evolve(task, process=process)))
    finally:
        for run in runs:
            run.close()
    return found


def main() -> None:
    """Prints two lines for each framework."""
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    for framework in ("pytorch", "keras"):
        forked = start_s(framework, spawn=False, starts=STARTS)
        spawned = start_s(framework, spawn=True, starts=3)
        print(f"{framework}: {1e3 * forked:.1f} ms forked, {1e3 * spawned:.0f} ms started anew")
        (one,), (other,) = map(estimates, pairs(framework, number))
        print(
            f"{framework}: {NETWORK} {PASS}, forked / started anew "
            f"{times(times_as_fast(one, other))} ({number} pairs)",
            flush=True,
        )


if __name__ == "__main__":
    main()
