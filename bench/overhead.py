"""How much the plugin adds to what it times: the same step in its worker and in a bare loop.

Run as `python bench/overhead.py [ARCHITECTURES] [PASS] [PAIRS]`, by default a small, a middle and a
large network. A pair is a worker as the plugin has it, forked from its template and asked for
rounds over its pipe, and a new process with nothing but the framework and a loop. Both live at the
same time with the same weights, batch and threads, and time their rounds in turns whose order is
chance, in short blocks; what the plugin reports is the worker's rounds as they are. Printed is the
ratio of the step times, the median over the neighbouring blocks of a pair, with its 95% interval
over pairs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import ceil, exp, log
from random import Random
from statistics import median
from typing import TypeAlias

from convbench.base.errors import ConvbenchError
from convbench.base.stats import mean_of
from convbench.measure.machine import environment
from convbench.measure.records import Task
from convbench.measure.sampling import ROUND, WARMUP, usual
from convbench.measure.worker import messages
from convbench.measure.worker.launcher import Launcher
from convbench.papers.sources import tables_folder

PAIRS, BATCH = 20, 4
BLOCK = 0.05
"""Seconds of the rounds of one turn; the plugin's own blocks are longer."""
SECONDS = 1.0
"""Of each side's rounds in a pair, about."""
FEWEST = 10
"""Turns of a pair, at least."""

BARE_LOOP = """
import json, sys, time
from convbench.networks.zoo.names import architecture
from convbench.frameworks.registry import load_framework, weights

name, framework, pass_, batch, threads = sys.argv[1:]
used = load_framework(framework)
used.prepare("cpu", int(threads))
graph = architecture(name)
model = used.build(graph, allocate=True)
used.load(model, weights.filler(graph, 0))
step = used.step(model, pass_, *weights.batch(graph, int(batch), 0))
began = time.perf_counter()
while time.perf_counter() - began < 0.3:
    step()
print("ready", flush=True)
for line in sys.stdin:
    count, iterations = map(int, line.split())
    taken = []
    for _ in range(count):
        start = time.perf_counter()
        for _ in range(iterations):
            step()
        taken.append((time.perf_counter() - start) / iterations)
    print(json.dumps(taken), flush=True)
"""

Block: TypeAlias = Callable[[int, int], float]
"""Seconds of a step, the median of so many rounds of so many steps."""


@contextmanager
def bare(task: Task) -> Iterator[Block]:
    """A block of rounds of a plain loop, in a process that knows nothing of workers."""
    words = [task.architecture, task.framework, task.pass_, str(task.batch), str(task.threads)]
    with subprocess.Popen(
        [sys.executable, "-c", BARE_LOOP, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            sys.exit(f"the bare loop of {task.label} failed; run it to see why")

        def one(count: int, iterations: int) -> float:
            process.stdin.write(f"{count} {iterations}\n")
            process.stdin.flush()
            return median(json.loads(process.stdout.readline()))

        try:
            yield one
        finally:
            process.stdin.close()


def ratio(task: Task, launcher: Launcher, chance: Random) -> float:
    """The plugin's step time over the bare loop's, in one pair."""
    with launcher.open(task.label) as child, bare(task) as bare_block:
        request = messages.Prepare(task, str(tables_folder()), WARMUP)
        reply = child.answer(request, messages.Prepared, "preparing")
        round_s = usual(reply.warmup_s)
        iterations = max(1, ceil(ROUND / round_s))
        round_s *= iterations
        count = max(1, ceil(BLOCK / round_s))

        def plugin_block(count: int, iterations: int) -> float:
            timed = child.answer(messages.Rounds(count, iterations), messages.Timed, "timing")
            return median(timed.rounds_s)

        ratios = []
        for _ in range(max(FEWEST, ceil(SECONDS / round_s / count))):
            taken = {}
            for side in chance.sample((plugin_block, bare_block), 2):
                taken[side] = side(count, iterations)
            ratios.append(log(taken[plugin_block] / taken[bare_block]))
        return median(ratios)


def main() -> None:
    """Prints one line for each network and framework."""
    defaults = ("lenet5,resnet18,vgg16", "forward", str(PAIRS))
    given = tuple(sys.argv[1:4])
    names, pass_, pairs = given + defaults[len(given) :]
    chance, threads = Random(1), environment.default_threads()
    for framework in ("pytorch", "keras"):
        with Launcher(framework) as launcher:
            for name in names.split(","):
                task = Task(
                    architecture=name,
                    framework=framework,
                    pass_=pass_,
                    batch=BATCH,
                    device="cpu",
                    threads=threads,
                )
                print(
                    _line(task, [ratio(task, launcher, chance) for _ in range(int(pairs))]),
                    flush=True,
                )


def _line(task: Task, log_ratios: list[float]) -> str:
    found = mean_of([exp(value) for value in log_ratios])
    return (
        f"{task.label}: plugin / bare loop {found.median:.4f} ({found.low:.4f} to "
        f"{found.high:.4f}, {len(log_ratios)} pairs)"
    )


if __name__ == "__main__":
    try:
        main()
    except ConvbenchError as error:
        sys.exit(f"overhead: {error}")
