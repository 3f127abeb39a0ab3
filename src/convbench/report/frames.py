"""A run as pandas data frames: plain numbers, with their units in the names of the columns."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from attrs import asdict, evolve, frozen

from convbench.base.errors import BadRecord
from convbench.checks.parity import Parity
from convbench.checks.structure import CheckReport
from convbench.measure.estimates import Estimate, estimates
from convbench.measure.journal import journal_in, latest
from convbench.measure.records import Entry, Environment, Task
from convbench.report.throughput import measurements_of

TEXT, WHOLE, REAL, TRUTH = "string[python]", "Int64", "Float64", "boolean"
"""Types that have a value for what nobody could tell, which is never nought."""

TASK = {
    **dict.fromkeys(("architecture", "framework", "mode", "dtype", "pass"), TEXT),
    "batch": WHOLE,
    "device": TEXT,
    "threads": WHOLE,
}
THROUGHPUT = {
    **TASK,
    **dict.fromkeys((f"images_per_second{end}" for end in ("", "_low", "_high")), REAL),
    **dict.fromkeys((f"step_s{end}" for end in ("", "_low", "_high")), REAL),
    "interval_known": TRUTH,
    "processes": WHOLE,
    "rounds": WHOLE,
    "steady": TRUTH,
    "first_result_s": REAL,
}
PEAKS = ("host", "device_allocated", "device_reserved", "device_process")
MEMORY = {**TASK, **{f"{peak}_bytes": WHOLE for peak in PEAKS}}
STRUCTURE = {
    **dict.fromkeys(("architecture", "framework"), TEXT),
    **dict.fromkeys(("parameters", "buffers", "macs", "layers"), WHOLE),
    **dict.fromkeys(("agree", "unverified", "errata", "differ"), WHOLE),
    "proven": TRUTH,
}
PARITY = {
    **dict.fromkeys(("architecture", "one", "other", "dtype"), TEXT),
    **dict.fromkeys(("outputs", "gradients", "statistics", "losses"), REAL),
    "steps": WHOLE,
    "worst_node": TEXT,
    "seconds": REAL,
    "same": TRUTH,
}
ENVIRONMENT = {
    **dict.fromkeys(("started", "cpu"), TEXT),
    **dict.fromkeys(("cores", "memory_bytes"), WHOLE),
    **dict.fromkeys(("gpu", "driver", "system", "python", "convbench", "commit"), TEXT),
    **dict.fromkeys(("order_seed", "memory_limit_bytes"), WHOLE),
}


@frozen(eq=False)  # data frames have no truth of being equal
class RunFrames:
    """What a run's report shows, as data frames; what was not measured has no row."""

    throughput: pd.DataFrame
    """A row for each task: images per second, and seconds of a step, each with its interval."""
    memory: pd.DataFrame
    """A row for each task: the highest peaks of any process."""
    structure: pd.DataFrame
    """A row for each model that was held against its paper."""
    parity: pd.DataFrame
    """A row for each two sides that were compared: the largest relative errors."""
    environment: pd.DataFrame
    """A row for each time that the run was begun or continued."""


def load_run(folder: str | os.PathLike[str]) -> RunFrames:
    """The run whose journal is in `folder`, as pandas data frames.

    A last line that was cut off is left out, as in the report, with a warning. Raises
    ConvbenchError for a folder without a journal, or with one that is not a run's.
    """
    journal = journal_in(Path(folder))
    try:
        entries = latest(journal.entries())
        environments = [entry for entry in entries if isinstance(entry, Environment)]
        if not environments:
            raise BadRecord(journal.path.name, "an environment as its first line", "none")
        frames = _frames(entries, environments)
    except BadRecord as error:
        raise evolve(error, where=str(Path(folder) / error.where)) from None
    except OverflowError as error:
        raise BadRecord(str(journal.path), "numbers of 64 bits at most", str(error)) from None
    if not journal.path.read_bytes().endswith(b"\n"):
        said = "its last line was cut off and is left out; continue the run to measure it again"
        warnings.warn(f"{journal.path}: {said}", stacklevel=2)
    return frames


def _frames(entries: Sequence[Entry], environments: Iterable[Environment]) -> RunFrames:
    measured = estimates(measurements_of(entries))
    return RunFrames(
        throughput=_frame(map(_throughput, measured), THROUGHPUT),
        memory=_frame(({**_task(e.task), **asdict(e.memory)} for e in measured), MEMORY),
        structure=_frame((_structure(e) for e in entries if isinstance(e, CheckReport)), STRUCTURE),
        parity=_frame((_parity(e) for e in entries if isinstance(e, Parity)), PARITY),
        environment=_environment(environments),
    )


def _frame(rows: Iterable[Mapping[str, Any]], types: Mapping[str, str]) -> pd.DataFrame:
    """Each column has its type also where there are no rows, or no values in them."""
    found = [*rows]
    columns = {
        name: pd.Series([row.get(name) for row in found], dtype=type_)
        for name, type_ in types.items()
    }
    return pd.DataFrame(columns)


def _task(task: Task) -> dict[str, Any]:
    return {**asdict(task), "pass": task.pass_}


def _throughput(estimate: Estimate) -> dict[str, Any]:
    rates, step = estimate.images_per_s, estimate.step_s
    return {
        **_task(estimate.task),
        "images_per_second": rates.median,
        "images_per_second_low": rates.low,
        "images_per_second_high": rates.high,
        "step_s": step.median,
        "step_s_low": step.low,
        "step_s_high": step.high,
        "interval_known": step.known,
        "processes": len(estimate.measurements),
        "rounds": estimate.rounds,
        "steady": estimate.steady,
        "first_result_s": estimate.first_result_s,
    }


def _structure(report: CheckReport) -> dict[str, Any]:
    return {
        **asdict(report, recurse=False),
        "architecture": report.name,
        **report.counts,
        "proven": report.proven,
    }


def _parity(found: Parity) -> dict[str, Any]:
    one, other = found.sides
    return {
        **asdict(found, recurse=False),
        "architecture": found.name,
        "one": one,
        "other": other,
        "same": found.same,
    }


def _environment(environments: Iterable[Environment]) -> pd.DataFrame:
    """The frame; versions of packages and variables have columns as far as they are known."""
    rows = [
        {
            **{f"version_{name}": version for name, version in environment.packages},
            **{f"variable_{name}": value for name, value in environment.variables or ()},
            **asdict(environment, recurse=False),
        }
        for environment in environments
    ]
    more = [n for row in rows for n in row if n.startswith(("version_", "variable_"))]
    return _frame(rows, {**ENVIRONMENT, **dict.fromkeys(more, TEXT)})
