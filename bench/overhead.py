"""How much the plugin adds to what it times: the same step through the plugin and in a bare loop.

Run as `python bench/overhead.py [ARCHITECTURES] [PASS] [PAIRS]`, by default a small, a middle and a
large network. Both sides are fresh processes with the same weights, batch and threads, side by side
in alternating order; what is printed is the ratio of the medians, with its 95% interval over pairs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from convbench import machine
from convbench.stats import mean_of

PAIRS = 10
BATCH = 4
SECONDS = 2.0

BARE_LOOP = """
import math, sys, time
from statistics import median
from convbench.architectures import architecture
from convbench.frameworks import load_framework, weights
from convbench.timing import ROUND

name, framework, pass_, batch, threads, seconds = sys.argv[1:]
used = load_framework(framework)
used.prepare("cpu", int(threads))
graph = architecture(name)
model = used.build(graph, allocate=True)
used.load(model, weights.filler(graph, 0))
step = used.step(model, pass_, *weights.batch(graph, int(batch), 0))
step()
start = time.perf_counter()
step()
iterations = max(1, math.ceil(ROUND / (time.perf_counter() - start)))  # as the plugin's rounds have
begun, taken = time.perf_counter(), []
while len(taken) < 8 or time.perf_counter() - begun < float(seconds):
    start = time.perf_counter()
    for _ in range(iterations):
        step()
    taken.append((time.perf_counter() - start) / iterations)
print(median(taken[3:]))
"""


def bare(name: str, framework: str, pass_: str, threads: int) -> float:
    """Median seconds of a step in a plain loop, in a process that knows nothing of pytest."""
    words = [name, framework, pass_, str(BATCH), str(threads), str(SECONDS)]
    command = [sys.executable, "-c", BARE_LOOP, *words]
    environment = {"TF_CPP_MIN_LOG_LEVEL": "2"}
    return float(_output(command, environment).splitlines()[-1])


def through_plugin(name: str, framework: str, pass_: str, threads: int) -> float:
    """Median seconds of a step as pytest-benchmark stores it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "benchmark.json"
        options = {
            "arch": name,
            "framework": framework,
            "pass": pass_,
            "batch": BATCH,
            "device": "cpu",
            "threads": threads,
            "seconds": SECONDS,
            "report": "none",
        }
        command = [sys.executable, "-m", "pytest", str(Path(__file__).parent), "--benchmark-only"]
        command += [f"--benchmark-json={file}", "-q"]
        _output(command + [f"--bench-{key}={value}" for key, value in options.items()], {})
        return float(json.loads(file.read_text())["benchmarks"][0]["stats"]["median"])


def _output(command: list[str], environment: dict[str, str]) -> str:
    env = {**os.environ, **environment}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command[:4])} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def main() -> None:
    """Prints one line for each network and framework."""
    defaults = ("lenet5,resnet18,vgg16", "forward", str(PAIRS))
    given = tuple(sys.argv[1:4])
    names, pass_, pairs = given + defaults[len(given) :]
    threads = machine.default_threads()
    for name in names.split(","):
        for framework in ("pytorch", "keras"):
            ratios = []
            for pair in range(int(pairs)):
                sides = [through_plugin, bare] if pair % 2 else [bare, through_plugin]
                taken = {side: side(name, framework, pass_, threads) for side in sides}
                ratios.append(taken[through_plugin] / taken[bare])
            found = mean_of(ratios)
            print(
                f"{name} {framework} {pass_}: plugin / bare loop {found.median:.3f} "
                f"({found.low:.3f} to {found.high:.3f}, {pairs} pairs; their median "
                f"{median(ratios):.3f})",
                flush=True,
            )


if __name__ == "__main__":
    main()
