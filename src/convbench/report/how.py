"""The section of a report that says how it was measured, and how to repeat it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from convbench.base.errors import one_line
from convbench.frameworks.modes import DEFAULT, SINGLE
from convbench.measure.records import Environment, Measurement

RUNS = {
    "pytorch": "PyTorch eagerly (inference mode for forward)",
    "keras": "Keras as a compiled TensorFlow graph",
    "keras-jax": "Keras on JAX as a function that XLA compiles",
    "keras-torch": "Keras on PyTorch layer by layer from Python",
}
"""How a framework's documentation says to run it."""


def section(
    measurements: Sequence[Measurement], environment: Environment, own: Sequence[Path]
) -> str:
    """The section; `own` are the folders of the user's own tables."""
    if not measurements:
        return ""
    words = " ".join(
        f"--bench-{name} {_word(value)}"
        for name, value in _options(measurements, environment, own).items()
    )
    return "\n\n".join(
        [
            "## How it was measured",
            "- Each model is verified against the papers' tables in the process that times it.\n"
            "- Each process is fresh, forked after the framework's import, with the same weights, "
            "batch, precision and number of threads for every framework.\n"
            f"{_frameworks(measurements)}"
            "- Rounds are timed until the 95% interval of their median is as narrow as was asked "
            "for, or the time is over. Warm-up rounds are not in the figures; each step ends when "
            "the device has finished.\n"
            f"{_events(measurements)}"
            f"{_processes(measurements)}"
            "- Raw rounds are in `measurements.jsonl` beside this file.",
            f"Repeat it with\n\n```\npytest bench/ --benchmark-only {words}\n```\n\nor, without a "
            f"checkout, with\n\n```\nconvbench bench --benchmark-only {words}\n```",
        ]
    )


def _options(
    measurements: Sequence[Measurement], environment: Environment, own: Sequence[Path]
) -> dict[str, str]:
    """The options of the run, but for those that are not theirs alone, such as the report's."""
    timed = [m for m in measurements if m.rounds_s] or measurements
    first, tasks = timed[0], [m.task for m in timed]
    batches = ["max" if m.batch_search else str(m.task.batch) for m in timed]
    options = {
        "arch": ",".join(dict.fromkeys(task.architecture for task in tasks)),
        "framework": ",".join(dict.fromkeys(task.framework for task in tasks)),
        "pass": ",".join(dict.fromkeys(task.pass_ for task in tasks)),
        "batch": ",".join(dict.fromkeys(batches)),
        "device": first.task.device,
        "threads": str(first.task.threads),
    }
    for name, usual in (("mode", DEFAULT), ("dtype", SINGLE)):
        found = [*dict.fromkeys(getattr(task, name) for task in tasks)]
        if found != [usual]:
            options[name] = ",".join(found)
    if first.budget_s is not None:
        options["seconds"] = f"{first.budget_s:g}"
    if first.precision is not None:
        options["precision"] = f"{100 * first.precision:g}%"
    processes = max(task.process for task in tasks)
    if processes > 1:
        options |= {"processes": str(processes), "seed": str(environment.order_seed)}
    if environment.memory_limit_bytes is not None:
        options["memory-limit"] = f"{environment.memory_limit_bytes}B"
    for folder in own:
        if any((folder / f"{task.architecture}.toml").exists() for task in tasks):
            options["tables"] = os.path.relpath(folder)
    return options


def _word(value: str) -> str:
    """A value as one word of a command that people copy: names may come from another's journal."""
    return shlex.quote(one_line(value, most=10_000))


def _frameworks(measurements: Sequence[Measurement]) -> str:
    """How each framework was run, as far as it is known here."""
    names = dict.fromkeys(m.task.framework for m in measurements)
    ways = ", ".join(RUNS[name] for name in names if name in RUNS)
    if not ways:
        return ""
    modes = {m.task.mode for m in measurements}
    but_for = "" if modes == {DEFAULT} else ", but for the mode that stands beside its name"
    return f"- Each framework runs as its documentation says: {ways}{but_for}.\n"


def _events(measurements: Sequence[Measurement]) -> str:
    """Which figures are by a GPU's own events; nothing where none are."""
    names = dict.fromkeys(m.task.framework for m in measurements if m.gpu and m.gpu.host_s)
    if not names:
        return ""
    return (
        f"- Rounds of {' and '.join(names)} are timed on the GPU by events around all steps of a "
        "round, which waits for the device once; others by the host's clock, waiting in each "
        "step. A ratio of the two has that difference in it.\n"
    )


def _processes(measurements: Sequence[Measurement]) -> str:
    """How often each task was repeated in a process of its own."""
    processes = max(m.task.process for m in measurements)
    if processes == 1:
        return "- One process a row: the spread between processes is not known from this run.\n"
    return (
        f"- Each row is {processes} processes, in blocks of one process a task, in an order by "
        "chance within the block; its interval is over processes.\n"
    )
