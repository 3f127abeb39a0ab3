"""What `convbench gate` prints and writes, and which files it refuses before the time is spent."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from convbench.base.errors import BadOption, ConvbenchError, Unsupported
from convbench.base.files import replace_text
from convbench.front.cli.gate.options import add_arguments
from convbench.front.cli.profile import PLOTS
from convbench.front.cli.shared import BROKEN, OK
from convbench.gate.outputs import json_file, junit, markdown, terminal
from convbench.gate.values import GateResult

OUTPUTS = ("json", "junit", "markdown", "plot")


def refuse(options: argparse.Namespace) -> None:
    """Raises BadOption for what would be missed when the time is spent, or not be heeded."""
    if options.from_ is not None:
        _refuse_others(options)
    plot = options.plot
    if plot is not None and plot.suffix not in PLOTS:
        raise BadOption("--plot", f"a file that ends in {' or '.join(PLOTS)}", str(plot))
    seen: dict[Path, str] = {}
    for name, file in _files(options).items():
        _refuse_unwritable(f"--{name}", file)
        other = seen.setdefault(file.resolve(), name)
        if other != name:
            raise BadOption(f"--{name}", f"another file than that of --{other}", str(file))


def _files(options: argparse.Namespace) -> dict[str, Path]:
    """The files that were asked for, by their options."""
    given = {name: getattr(options, name) for name in OUTPUTS}
    return {name: file for name, file in given.items() if file is not None}


def _refuse_unwritable(option: str, file: Path) -> None:
    if file.exists() and not file.is_file():
        raise BadOption(option, "a file", str(file))
    try:
        with tempfile.TemporaryFile(dir=file.parent):
            pass
    except OSError as error:
        wanted = f"in a folder that can be written to ({error.strerror or error})"
        raise BadOption(option, wanted, str(file)) from None


def _refuse_others(options: argparse.Namespace) -> None:
    """Raises BadOption for what a run that is told again cannot heed."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    parser.add_argument("--format")
    parser.set_defaults(**dict.fromkeys(vars(parser.parse_args([]))))
    given = vars(parser.parse_args(options.words[1:]))
    others = [name for name, value in given.items() if value is not None]
    others = [name for name in others if name not in {*OUTPUTS, "format", "from_"}]
    if others:
        heeded = ", ".join(f"--{name}" for name in (*OUTPUTS, "format"))
        named = ", ".join(f"--{name.strip('_').replace('_', '-')}" for name in others)
        raise BadOption("--from", f"given with nothing else than {heeded}", f"with {named}")


def tell(result: GateResult, options: argparse.Namespace) -> int:
    """Prints a result and writes the files that were asked for; the exit status."""
    failures: list[str] = []
    try:
        _print(result, options)
    finally:  # whoever does not read to the end (`| head`) gets the files all the same
        failures += write(result, options)
    return result.status or (BROKEN if failures else OK)


def _print(result: GateResult, options: argparse.Namespace) -> None:
    if options.format == "json":
        print(json_file.text(result), end="")
    elif options.format == "markdown":
        print(markdown.comment(result), end="")
    else:
        terminal.show(result, terminal.Screen())
    sys.stdout.flush()
    other_reason = result.differences or result.broken or result.interrupted
    if not result.measured and not other_reason:
        print("convbench: nothing was measured; give it more --budget", file=sys.stderr)


def write(result: GateResult, options: argparse.Namespace) -> list[str]:
    """Writes each file, whatever becomes of the others; what could not be, which it says too."""
    failures = []
    for write_ in _writes(result, options):
        try:
            write_()
        except ConvbenchError as error:
            failures.append(str(error))
    for text in failures:
        print(f"convbench: {text}", file=sys.stderr)
    return failures


def _writes(result: GateResult, options: argparse.Namespace) -> Iterator[Callable[[], None]]:
    if options.json is not None:
        yield partial(json_file.write, options.json, result)
    if options.junit is not None:
        yield lambda: _write(options.junit, junit.xml(result))
    if options.plot is not None and result.verdicts:
        yield partial(_draw, result, options.plot)
    if options.markdown is not None:
        yield lambda: _write(options.markdown, markdown.comment(result, _link(options, result)))


def _draw(result: GateResult, file: Path) -> None:
    from convbench.gate.outputs import plot as plots_gate  # noqa: PLC0415  (takes a second to import)

    try:
        plots_gate.ratios(result, file)
    except OSError as error:
        raise _unwritten(file, error) from None


def _link(options: argparse.Namespace, result: GateResult) -> str | None:
    """The plot as the comment finds it."""
    if options.plot is None or not result.verdicts:
        return None
    return Path(os.path.relpath(options.plot, options.markdown.parent)).as_posix()


def _write(path: Path, text: str) -> None:
    try:
        replace_text(path, text)
    except OSError as error:
        raise _unwritten(path, error) from None


def _unwritten(path: Path, error: OSError) -> Unsupported:
    why = f"it cannot be written: {error.strerror or error}"
    return Unsupported(str(path), why, "make room or name another file")
