"""`convbench parity --dtype`: how far a precision is from double precision in one framework."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from convbench.base.errors import ConvbenchError, UnknownName
from convbench.base.text_tables import ABSENT, table
from convbench.checks.parity import ORDER
from convbench.checks.rounding import UNIT, Rounding, Worst
from convbench.frameworks.modes import DEFAULT
from convbench.front.cases import cases
from convbench.front.cli.shared import BROKEN, DIFFERS, OK, installed, named, print_json
from convbench.front.cli.workers import cleaning_up, workers
from convbench.measure.examine import Settings, Side, rounding
from convbench.measure.machine import environment
from convbench.measure.records import as_json
from convbench.networks.zoo import names as architectures

NOTE = """
Largest relative errors against float64 with the same weights and batch, and where they are.
"roundings": the largest error in multiples of what one rounding of every weight and pixel does to
the same place, and the multiple up to which rounding explains it. "switched": the largest share of
a layer's units that rounding turned on or off. Where so much would be explained that nothing is
left of the values, nobody can tell. Rounding explains {explained} of {all}."""


def run(options: argparse.Namespace) -> int:
    """Prints how far each precision is off on each network; 1 if rounding does not explain it."""
    tasks = _tasks(options)
    settings = Settings(
        batch=options.batch, steps=options.steps, threads=environment.default_threads()
    )
    found: list[Rounding] = []
    failures = []
    with cleaning_up(), workers(options.own) as open_:
        for number, (name, side, dtype) in enumerate(tasks, start=1):
            graph = architectures.architecture(name)
            try:
                found.append(rounding(graph, side, dtype, settings, open_))
            except ConvbenchError as error:
                failures.append(str(error))
                continue
            if sys.stderr.isatty() and options.format == "table":
                said = f"{name}, {side[0]} in {dtype}: {found[-1].verdict}"
                print(f"[{number}/{len(tasks)}] {said}", file=sys.stderr)
    if options.format == "json":
        print_json([_plain(result) for result in found])
    elif found:
        _print(found, options.format)
    for text in failures:
        print(f"convbench: {text}", file=sys.stderr)
    if failures:
        return BROKEN
    return DIFFERS if any(result.unexplained for result in found) else OK


def _tasks(options: argparse.Namespace) -> list[tuple[str, Side, str]]:
    """Each network, in each framework and precision."""
    names = architectures.select(options.names or ["all"])
    chosen = named(options.framework) if options.framework else installed()
    dtypes = [word.strip() for text in options.dtype for word in text.split(",")]
    for dtype in dtypes:
        if dtype not in UNIT:
            raise UnknownName("dtype", dtype, tuple(UNIT))
    return [
        (case.architecture, (case.framework, case.mode), dtype)
        for case in cases(names, chosen, [options.mode or DEFAULT])
        for dtype in dict.fromkeys(dtypes)
    ]


def _print(found: list[Rounding], form: str) -> None:
    print(table([_row(result) for result in found], form))
    explained = sum(result.verdict == "rounding" for result in found)
    print(NOTE.format(explained=explained, all=len(found)))
    for result in found:
        subject = f"{result.name}, {result.side} in {result.dtype}"
        if result.unexplained:
            print(f"\n{subject}, is not rounding alone: {result.unexplained}")
        elif result.untold:
            print(f"\n{subject}, cannot be told from {result.untold}")


def _plain(result: Rounding) -> dict[str, Any]:
    return {**as_json(result), "verdict": result.verdict}


def _row(result: Rounding) -> dict[str, str]:
    return {
        "name": result.name,
        "side": result.side,
        "dtype": result.dtype,
        **{f"{kind}s": _cell(result.worst.get(kind)) for kind in ORDER},
        f"losses of {len(result.losses)}": f"{max(result.losses):.0e}",
        "switched": f"{result.switched:.0e}",
        "roundings": f"{result.roundings:.1f} of {result.allowed:.0f}",
        "seconds": f"{result.seconds:.1f}",
        "verdict": result.verdict,
    }


def _cell(worst: Worst | None) -> str:
    return f"{worst.error:.0e} {worst.at}" if worst else ABSENT
