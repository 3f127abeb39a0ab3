"""Asks sides to examine a network, and holds their answers against each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from time import perf_counter
from typing import TypeAlias

from attrs import frozen

from convbench.base.errors import WorkerFailed
from convbench.checks.parity import Parity, compare
from convbench.checks.rounding import UNIT, Rounding, judge
from convbench.frameworks import arrays
from convbench.frameworks.modes import DEFAULT, precision, variant
from convbench.measure.worker import messages
from convbench.measure.worker.launcher import Child
from convbench.networks.graph import Graph

Side: TypeAlias = tuple[str, str]
"""A framework and its mode."""

Open: TypeAlias = Callable[[str, str, str], AbstractContextManager[Child]]
"""Opens a child of a framework for a task with a label, and in a mode."""


@frozen(kw_only=True)
class Settings:
    """What both sides are asked to do."""

    batch: int = 2
    threads: int
    seed: int = 0
    steps: int = 1


def parity(graph: Graph, sides: tuple[Side, Side], settings: Settings, open_: Open) -> Parity:
    """Whether two sides compute the same function, with arrays kept in a temporary folder.

    The sides run one after the other: both at once may not fit. Raises WorkerFailed for a side
    that cannot do it, and what `open_` raises.
    """
    began = perf_counter()
    dtype = precision(*(mode for _, mode in sides))
    with _room(f"{graph.name} parity", 2) as (one, other):
        files = (one, other)
        for side, file in zip(sides, files, strict=True):
            _examine(graph.name, side, settings, dtype, file, open_)
        names = (variant(*sides[0]), variant(*sides[1]))
        return compare(graph, names, files, dtype, perf_counter() - began)


def rounding(graph: Graph, side: Side, dtype: str, settings: Settings, open_: Open) -> Rounding:
    """How far a side in `dtype` is from its framework's default in double precision.

    Raises as `parity` does.
    """
    began = perf_counter()
    double, unit = (side[0], DEFAULT), UNIT[dtype]
    with _room(f"{graph.name} rounding", 3) as (exact, found, moved):
        _examine(graph.name, double, settings, "float64", exact, open_)
        _examine(graph.name, side, settings, dtype, found, open_)
        _examine(graph.name, double, settings, "float64", moved, open_, moved=unit)
        seconds = perf_counter() - began
        files, batch = (exact, found, moved), settings.batch
        return judge(graph, variant(*side), dtype, batch, files, seconds)


@contextmanager
def _room(label: str, files: int) -> Iterator[tuple[Path, ...]]:
    """Files for what sides compute; raises WorkerFailed if there is no room for them."""
    try:
        with arrays.room(files) as paths:
            yield paths
    except OSError as error:
        why = f"no temporary file can be used: {error.strerror or error}"
        raise WorkerFailed(label, "making room", why) from None


def _examine(
    name: str,
    side: Side,
    settings: Settings,
    dtype: str,
    file: Path,
    open_: Open,
    *,
    moved: float = 0.0,
) -> None:
    framework, mode = side
    label, stage = f"{name} {variant(framework, mode)} parity", f"computing in {dtype}"
    request = messages.Examine(
        architecture=name,
        mode=mode,
        batch=settings.batch,
        threads=settings.threads,
        seed=settings.seed,
        steps=settings.steps,
        dtype=dtype,
        path=str(file),
        moved=moved,
    )
    with open_(framework, label, mode) as child:
        reply = child.ask(request, messages.Examined, stage)
    if isinstance(reply, messages.Refused):
        raise WorkerFailed(label, stage, reply.why)
