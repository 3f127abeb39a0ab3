"""What came of timing a model of one's own, pass by pass, and how it prints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from statistics import median
from typing import Any

from attrs import frozen

from convbench.base.units import Byte, ImagesPerSecond, Second, seconds, shape, size
from convbench.measure.estimates import Estimate, estimates
from convbench.measure.records import Measurement, as_json

UNPROVEN = "unproven: a model of your own"
"""Said with every figure: no paper's table stands behind it."""


@frozen(repr=False)
class PassThroughput:
    """One pass: every round as it was timed, and what follows from them."""

    measurement: Measurement

    @property
    def images_per_second(self) -> ImagesPerSecond:
        """The batch divided by the median of the rounds."""
        return self.measurement.throughput(self.step_s)

    @property
    def step_s(self) -> Second:
        """The median of the rounds."""
        return median(self.rounds_s)

    @property
    def rounds_s(self) -> tuple[Second, ...]:
        """Seconds of one step in each round."""
        return self.measurement.rounds_s

    @property
    def uncertainty(self) -> float:
        """Half of the 95% interval of the median, as a share of it."""
        return _estimate(self.measurement).step_s.relative

    @property
    def host_peak_bytes(self) -> Byte | None:
        """Growth of the worker's memory since before the model was made; None if unknown."""
        return self.measurement.memory.host_bytes

    @property
    def device_peak_bytes(self) -> Byte | None:
        """Peak of what the framework's allocator handed out on a GPU; None without one."""
        return self.measurement.memory.device_allocated_bytes

    def __repr__(self) -> str:
        task = self.measurement.task
        return f"<{task.label}: {_figure(self.measurement)} images/s, {UNPROVEN}>"


@frozen
class Throughput(Mapping[str, PassThroughput]):
    """The passes of one model by their names; as text a table."""

    passes: dict[str, PassThroughput]
    image: tuple[int, ...]
    """One image as the model takes it."""

    def __getitem__(self, pass_: str) -> PassThroughput:
        return self.passes[pass_]

    def __iter__(self) -> Iterator[str]:
        return iter(self.passes)

    def __len__(self) -> int:
        return len(self.passes)

    def __str__(self) -> str:
        measurements = [found.measurement for found in self.passes.values()]
        first, task = measurements[0], measurements[0].task
        threads = f"{task.threads} thread{'s' if task.threads > 1 else ''}"
        return (
            f"{task.architecture} in {first.version}, {UNPROVEN}\n"
            f"{task.batch} x {shape(self.image)} in a batch, {task.dtype}, {task.device}, {threads}"
            f"\n\n{as_table(map(_row, measurements))}"
        )

    def extra_info(self) -> dict[str, Any]:
        """All of it as plain values, for pytest-benchmark's JSON."""
        passes = {pass_: as_json(found.measurement) for pass_, found in self.passes.items()}
        return {"status": UNPROVEN, "image": [*self.image], "passes": passes}


def summary(results: Iterable[tuple[str, Measurement]]) -> str:
    """One table of many results, each with the name of its test."""
    return as_table(
        {
            "test": test,
            "model": f"{m.task.architecture} {m.task.framework}",
            "batch": str(m.task.batch),
            **_row(m),
        }
        for test, m in results
    )


def as_table(rows: Iterable[Mapping[str, str]]) -> str:
    """Rows for the terminal, without a column for what none of them has."""
    from convbench.base.text_tables import ABSENT, table  # noqa: PLC0415  (pandas, in everybody's pytest)

    rows = [*rows]
    known = [key for key in rows[0] if any(row[key] for row in rows)]
    return table([{key: row[key] or ABSENT for key in known} for row in rows], "simple")


def _row(measurement: Measurement) -> dict[str, str]:
    found = PassThroughput(measurement)
    host, device = found.host_peak_bytes, found.device_peak_bytes
    return {
        "pass": measurement.task.pass_,
        "images/s": _figure(measurement),
        "step": seconds(found.step_s),
        "rounds": str(len(found.rounds_s)),
        "host peak": "" if host is None else size(host),
        "device peak": "" if device is None else size(device),
    }


def _figure(measurement: Measurement) -> str:
    """Throughput as reports have it."""
    from convbench.report.throughput import figure  # noqa: PLC0415  (imports pandas)

    return figure(_estimate(measurement))


def _estimate(measurement: Measurement) -> Estimate:
    """The estimate of the one process that timed a model of one's own."""
    (found,) = estimates([measurement])
    return found
