"""`convbench parity`: whether two frameworks, or two modes of one, compute the same function."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from convbench.base.errors import ConvbenchError, Unsupported
from convbench.base.text_tables import table
from convbench.checks.parity import SAME, Parity
from convbench.checks.rounding import UNIT
from convbench.frameworks.modes import DEFAULT, MODES
from convbench.front.cases import Case, cases
from convbench.front.cli import rounding
from convbench.front.cli.shared import BROKEN, DIFFERS, OK, installed, named, positive, print_json
from convbench.front.cli.workers import cleaning_up, workers
from convbench.measure.examine import Settings, Side, parity
from convbench.measure.machine import environment
from convbench.measure.records import as_json
from convbench.networks.zoo import names as architectures


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Tells the parser what may be chosen."""
    parser.add_argument("names", metavar="NAME", nargs="*", help="names or families; default all")
    parser.add_argument(
        "--framework", metavar="NAMES", help="two, or one with --mode (default: all installed)"
    )
    parser.add_argument(
        "--mode",
        metavar="NAME",
        help=f"compare this of {', '.join(MODES)} of one framework with its default",
    )
    parser.add_argument(
        "--dtype",
        metavar="NAMES",
        action="append",
        help=f"compare a framework in {' or '.join(UNIT)} with itself in float64",
    )
    parser.add_argument("--batch", metavar="N", type=positive, default=2, help="images; default 2")
    parser.add_argument(
        "--steps", metavar="N", type=positive, default=1, help="SGD steps; default 1"
    )


def run(options: argparse.Namespace) -> int:
    """Prints how far two sides are apart on each network; 1 if on one they differ."""
    if options.dtype:
        return rounding.run(options)
    tasks = _tasks(options)
    settings = Settings(
        batch=options.batch, steps=options.steps, threads=environment.default_threads()
    )
    found, failures = [], []
    with cleaning_up(), workers(options.own) as open_:
        for number, (name, sides) in enumerate(tasks, start=1):
            try:
                result = parity(architectures.architecture(name), sides, settings, open_)
            except ConvbenchError as error:
                failures.append(str(error))
                continue
            found.append(result)
            if sys.stderr.isatty() and options.format == "table":
                verdict = "same" if result.same else "DIFFERENT"
                print(f"[{number}/{len(tasks)}] {name}: {verdict}", file=sys.stderr)
    if options.format == "json":
        print_json([_plain(result) for result in found])
    elif found:
        print(table([_row(result) for result in found], options.format))
        print(
            f"\nLargest relative errors; up to {SAME['float64']:.0e} ({SAME['float32']:.0e} in "
            f"float32) two sides are the same. {sum(r.same for r in found)} of {len(found)} are."
        )
        for result in found:
            if result.disagreement:
                print(f"\n{result.name}, {' and '.join(result.sides)}: {result.disagreement}")
    for text in failures:
        print(f"convbench: {text}", file=sys.stderr)
    if failures:
        return BROKEN
    return OK if all(result.same for result in found) else DIFFERS


def _tasks(options: argparse.Namespace) -> list[tuple[str, tuple[Side, Side]]]:
    """Each network with the two sides that are compared on it."""
    names = architectures.select(options.names or ["all"])
    chosen = named(options.framework) if options.framework else installed()
    if options.mode is None:
        if len(chosen) != 2:
            raise Unsupported(
                "parity",
                f"it compares two frameworks, not {len(chosen)}",
                "name two, as in --framework pytorch,keras, or one with --mode",
            )
        if chosen[0] == chosen[1]:
            raise Unsupported("parity", f"{chosen[0]} is {chosen[0]}", "name two frameworks")
        return [(name, ((chosen[0], DEFAULT), (chosen[1], DEFAULT))) for name in names]
    if options.mode == DEFAULT:
        raise Unsupported("parity", "the default is the default", "name another --mode")
    found: list[Case] = cases(names, chosen, [options.mode])
    return [
        (case.architecture, ((case.framework, DEFAULT), (case.framework, case.mode)))
        for case in found
    ]


def _plain(result: Parity) -> dict[str, Any]:
    return {**as_json(result), "same": result.same}


def _row(result: Parity) -> dict[str, str]:
    return {
        "name": result.name,
        "sides": ", ".join(result.sides),
        "dtype": result.dtype,
        "outputs": f"{result.outputs:.0e}",
        "gradients": f"{result.gradients:.0e}",
        "statistics": f"{result.statistics:.0e}",
        f"losses of {result.steps}": f"{result.losses:.0e}",
        "worst node": result.worst_node,
        "seconds": f"{result.seconds:.1f}",
        "verdict": "same" if result.same else "DIFFERENT",
    }
