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
from typing import TextIO, TypeAlias

from convbench.base.errors import ConvbenchError
from convbench.base.version import __version__

# A command's modules are imported when it is given: all of them together take a second.
# ruff: noqa: PLC0415


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and leaves with its exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    _ready_streams()
    try:
        status = _run(words)
        sys.stdout.flush()
    except (ConvbenchError, OSError, KeyboardInterrupt) as error:
        status = _failed(error)
    for stream in (sys.stdout, sys.stderr):
        _drain(stream)
    sys.exit(status)


def _failed(error: BaseException) -> int:
    """The exit status of a command that an error ended, which is printed unless nobody reads."""
    from convbench.front.cli.shared import BROKEN, HUNG_UP, INTERRUPTED

    match error:
        case ConvbenchError():
            said, status = str(error), BROKEN
        case BrokenPipeError():
            return HUNG_UP
        case OSError():
            said, status = f"{error.filename or 'output'}: {error.strerror}", BROKEN
        case _:
            said, status = "interrupted", INTERRUPTED
    print(f"convbench: {said}", file=sys.stderr)
    return status


def _drain(stream: TextIO) -> None:
    """Lets a stream go that takes nothing more, or Python ends with a status of its own."""
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _run(words: Sequence[str]) -> int:
    """One command, for which the user's own networks are part of the canon."""
    if words[:1] == ["bench"]:  # its arguments are pytest's
        from convbench.front.cli.runs import bench

        return bench(words[1:])
    options = _parser(next((word for word in words if word in COMMANDS), "")).parse_args(words)
    from convbench.papers import own_networks
    from convbench.papers.sources import tables_folder

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


Run: TypeAlias = Callable[[argparse.Namespace], int]
"""What carries a command out and returns its exit status."""


def _parser(chosen: str) -> argparse.ArgumentParser:
    """All commands with their help; the arguments of the chosen one alone, which are slow."""
    parser = argparse.ArgumentParser(
        prog="convbench", description="The networks of the papers, proven layer by layer."
    )
    parser.add_argument("--version", action="version", version=f"convbench {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, (help_, prepare) in COMMANDS.items():
        command = commands.add_parser(name, help=help_, description=help_)
        if name == chosen:
            command.set_defaults(run=prepare(command), tables=None)
    return parser


def _formatted(parser: argparse.ArgumentParser) -> None:
    from convbench.front.cli.shared import FORMATS

    parser.add_argument("--format", choices=FORMATS, default="table")


def _own(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tables", metavar="DIR", type=Path, help="of your own networks")


def _names(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", metavar="NAME", nargs="*", help="names or families; default all")


def _list(parser: argparse.ArgumentParser) -> Run:
    from convbench.front.cli.networks import list_

    _formatted(parser)
    _own(parser)
    return list_


def _show(parser: argparse.ArgumentParser) -> Run:
    from convbench.front.cli.networks import show_

    _formatted(parser)
    parser.add_argument("name", metavar="NAME")
    _own(parser)
    return show_


def _check(parser: argparse.ArgumentParser) -> Run:
    from convbench.front.cli.check import check_

    _formatted(parser)
    _names(parser)
    parser.add_argument(
        "--framework", metavar="NAMES", help="pytorch, keras, none (default: what is installed)"
    )
    _own(parser)
    return check_


def _parity(parser: argparse.ArgumentParser) -> Run:
    from convbench.front.cli import parity

    _formatted(parser)
    parity.add_arguments(parser)
    _own(parser)
    return parity.run


def _profile(parser: argparse.ArgumentParser) -> Run:
    from convbench.front.cli import profile

    _formatted(parser)
    profile.add_arguments(parser)
    _own(parser)
    return profile.run


def _explain(parser: argparse.ArgumentParser) -> Run:
    from convbench.front.cli import explain

    _formatted(parser)
    explain.add_arguments(parser)
    _own(parser)
    return explain.run


def _gate(parser: argparse.ArgumentParser) -> Run:
    from convbench.front.cli.gate import options

    _formatted(parser)
    options.add_arguments(parser)
    return gate_


def _errata(parser: argparse.ArgumentParser) -> Run:
    from convbench.front.cli.networks import errata_

    _formatted(parser)
    _names(parser)
    _own(parser)
    return errata_


def _implementations(parser: argparse.ArgumentParser) -> Run:
    from convbench.front.cli.networks import implementations_

    _formatted(parser)
    _names(parser)
    return implementations_


def _environment(parser: argparse.ArgumentParser) -> Run:
    from convbench.front.cli import runs

    _formatted(parser)
    runs.add_environment_arguments(parser)
    return runs.show_environment


def _report(parser: argparse.ArgumentParser) -> Run:
    from convbench.front.cli.runs import report_

    parser.add_argument("folder", metavar="DIR", type=Path)
    _own(parser)
    return report_


def _baseline(parser: argparse.ArgumentParser) -> Run:
    from convbench.front.cli import runs

    runs.add_baseline_arguments(parser)
    _own(parser)
    return runs.record_baseline


def _bench(_: argparse.ArgumentParser) -> Run:
    from convbench.front.cli.runs import bench

    return lambda _: bench([])


def gate_(options: argparse.Namespace) -> int:
    """Compares a head with its base."""
    from convbench.front.cli.gate import command as gate  # statistics take half a second to import

    return gate.run(options)


COMMANDS: dict[str, tuple[str, Callable[[argparse.ArgumentParser], Run]]] = {
    "list": ("every architecture with its paper and its size", _list),
    "show": ("one architecture, layer by layer, with what is printed", _show),
    "check": ("the papers against the arithmetic and the real models", _check),
    "parity": ("whether frameworks, modes or precisions compute the same", _parity),
    "profile": ("where a network's time goes, node by node", _profile),
    "explain": ("whether a model is the paper's, and where not", _explain),
    "gate": ("whether a head is slower, larger or other than its base", _gate),
    "errata": ("where the sources are wrong, and why", _errata),
    "implementations": (
        "the models of the libraries beside the papers' networks",
        _implementations,
    ),
    "environment": ("this machine and the software on it", _environment),
    "report": ("write a run's report again from its journal", _report),
    "baseline": ("record a run for --bench-gate to compare with", _baseline),
    "bench": ("run the benchmarks; takes pytest's arguments", _bench),
}
"""Each command with its help, and the function that adds its arguments and returns what runs it."""
