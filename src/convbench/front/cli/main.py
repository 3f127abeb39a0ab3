"""The command `convbench`: parse, call one function, print.

Exit status: 0 all well, 1 something differs from the papers or one of the listed is broken, 2 the
work could not be done, 130 Ctrl-C, 141 nobody reads what is printed.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TextIO

from convbench.base.errors import ConvbenchError
from convbench.base.version import __version__
from convbench.front.cli import explain, parity, profile, runs
from convbench.front.cli.check import check_
from convbench.front.cli.gate import options as gate_options
from convbench.front.cli.networks import errata_, implementations_, list_, show_
from convbench.front.cli.runs import bench, report_
from convbench.front.cli.shared import (
    BROKEN,
    FORMATS,
    HUNG_UP,
    INTERRUPTED,
)
from convbench.papers import own_networks
from convbench.papers.sources import tables_folder


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and leaves with its exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    _ready_streams()
    try:
        status = _run(words)
        sys.stdout.flush()
    except ConvbenchError as error:
        print(f"convbench: {error}", file=sys.stderr)
        status = BROKEN
    except OSError as error:
        status = HUNG_UP if isinstance(error, BrokenPipeError) else BROKEN
        if status == BROKEN:
            print(f"convbench: {error.filename or 'output'}: {error.strerror}", file=sys.stderr)
    except KeyboardInterrupt:
        print("convbench: interrupted", file=sys.stderr)
        status = INTERRUPTED
    for stream in (sys.stdout, sys.stderr):
        _drain(stream)
    sys.exit(status)


def _drain(stream: TextIO) -> None:
    """Lets a stream go that takes nothing more, or Python ends with a status of its own."""
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _run(words: Sequence[str]) -> int:
    """One command, for which the user's own networks are part of the canon."""
    if words[:1] == ["bench"]:  # its arguments are pytest's
        return bench(words[1:])
    options = _parser().parse_args(words)
    options.words = words
    options.own = (
        own_networks.own(options.tables, "--tables", Path.cwd()) if options.tables else None
    )
    options.folders = own_networks.folders(tables_folder(), options.own)
    with own_networks.joined(options.own):
        status: int = options.run(options)
    return status


def _ready_streams() -> None:
    """What a terminal cannot show must not end the command, nor a stream that is closed."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="convbench", description="The networks of the papers, proven layer by layer."
    )
    parser.add_argument("--version", action="version", version=f"convbench {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, help_: str, run: Callable[[argparse.Namespace], int]) -> Any:
        added = commands.add_parser(name, help=help_, description=help_)
        added.set_defaults(run=run, tables=None)
        return added

    def formatted(name: str, help_: str, run: Callable[[argparse.Namespace], int]) -> Any:
        added = command(name, help_, run)
        added.add_argument("--format", choices=FORMATS, default="table")
        return added

    listed = formatted("list", "every architecture with its paper and its size", list_)
    shown = formatted("show", "one architecture, layer by layer, with what is printed", show_)
    shown.add_argument("name", metavar="NAME")
    checked = formatted("check", "the papers against the arithmetic and the real models", check_)
    checked.add_argument("names", metavar="NAME", nargs="*", help="names or families; default all")
    checked.add_argument(
        "--framework", metavar="NAMES", help="pytorch, keras, none (default: what is installed)"
    )
    same = "whether frameworks, modes or precisions compute the same"
    alike = formatted("parity", same, parity.run)
    parity.add_arguments(alike)
    profiled = formatted("profile", "where a network's time goes, node by node", profile.run)
    profile.add_arguments(profiled)
    explained = formatted("explain", "whether a model is the paper's, and where not", explain.run)
    explain.add_arguments(explained)
    gated = formatted("gate", "whether a head is slower, larger or other than its base", gate_)
    gate_options.add_arguments(gated)
    errata = formatted("errata", "where the sources are wrong, and why", errata_)
    errata.add_argument("names", metavar="NAME", nargs="*", help="names or families; default all")
    others = formatted(
        "implementations",
        "the models of the libraries beside the papers' networks",
        implementations_,
    )
    others.add_argument("names", metavar="NAME", nargs="*", help="names or families; default all")
    here = formatted("environment", "this machine and the software on it", runs.show_environment)
    runs.add_environment_arguments(here)
    reported = command("report", "write a run's report again from its journal", report_)
    reported.add_argument("folder", metavar="DIR", type=Path)
    recorded = command(
        "baseline", "record a run for --bench-gate to compare with", runs.record_baseline
    )
    runs.add_baseline_arguments(recorded)
    own = (listed, shown, checked, alike, profiled, explained, errata, reported, recorded)
    for takes_own in own:
        takes_own.add_argument("--tables", metavar="DIR", type=Path, help="of your own networks")
    command("bench", "run the benchmarks; takes pytest's arguments", lambda _: bench([]))
    return parser


def gate_(options: argparse.Namespace) -> int:
    """Compares a head with its base."""
    from convbench.front.cli.gate import command as gate  # noqa: PLC0415  (statistics take half a second to import)

    return gate.run(options)
