"""The command `convbench`: parse, call one function, print.

Exit status: 0 all well, 1 something differs from the papers or one of the listed is broken, 2 the
work could not be done, 130 Ctrl-C, 141 nobody reads what is printed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TextIO, TypeAlias

from convbench.base.errors import ConvbenchError, TableError, Unsupported, WorkerFailed
from convbench.base.text_tables import table
from convbench.base.units import count
from convbench.base.version import __version__
from convbench.checks.structure import CheckReport, check, erratum_sentence
from convbench.commands import (
    BROKEN,
    DIFFERS,
    FORMATS,
    HUNG_UP,
    INTERRUPTED,
    OK,
    baseline,
    benchmarks,
    environment,
    explain,
    gate_options,
    installed,
    named,
    parity,
    print_json,
    profile,
)
from convbench.commands.words import print_words, printed, total, verdict, wrapped
from convbench.measure.journal import JOURNAL
from convbench.measure.records import as_json
from convbench.measure.run import ask_check
from convbench.measure.worker.launcher import Launcher
from convbench.networks.zoo import names as architectures
from convbench.papers import own_networks
from convbench.papers.implementations import as_text, compare
from convbench.papers.printed import show
from convbench.papers.sources import read_sources, tables_folder
from convbench.papers.tables import ReferenceTable, read_table


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
    here = formatted("environment", "this machine and the software on it", environment.run)
    environment.add_arguments(here)
    reported = command("report", "write a run's report again from its journal", report_)
    reported.add_argument("folder", metavar="DIR", type=Path)
    recorded = command("baseline", "record a run for --bench-gate to compare with", baseline.run)
    baseline.add_arguments(recorded)
    own = (listed, shown, checked, alike, profiled, explained, errata, reported, recorded)
    for takes_own in own:
        takes_own.add_argument("--tables", metavar="DIR", type=Path, help="of your own networks")
    command("bench", "run the benchmarks; takes pytest's arguments", lambda _: bench([]))
    return parser


def list_(options: argparse.Namespace) -> int:
    """Prints one row for each architecture."""
    rows: list[dict[str, Any]] = []
    broken: dict[str, None] = {}
    for name in architectures.ARCHITECTURES:
        try:
            rows.append(_summary(name, read_table(name, *options.folders), options.folders))
        except TableError as error:
            broken[str(error)] = None
    if options.format == "json":
        print_json(rows)
    else:
        shown = [{k: str(v) if k == "year" else _text(v) for k, v in row.items()} for row in rows]
        print(table(shown, options.format))
    for text in broken:
        print(f"convbench: {text}", file=sys.stderr)
    return DIFFERS if broken else OK


def show_(options: argparse.Namespace) -> int:
    """Prints every layer of one architecture, with what its sources print of it."""
    graph = architectures.architecture(options.name)
    reference = read_table(options.name, *options.folders)
    report = _integers(options.name, reference)
    summary = _summary(options.name, reference, options.folders)
    layers = [
        {
            "at": node.address,
            "layer": type(node.op).__name__,
            "output": list(node.output),
            "parameters": node.parameters,
            "buffers": node.buffers,
            "macs": node.macs,
        }
        for node in graph
    ]
    implementations = compare([options.name], tables_folder())
    if options.format == "json":
        findings, places = as_json(report.findings), _printed_by_place(report)
        layers = [{**layer, "printed": places.get(str(layer["at"]), "")} for layer in layers]
        content = {"layers": layers, "findings": findings, "implementations": implementations}
        print_json({**summary, **content})
        return OK
    print(f"{summary['name']}: {summary['title']} ({summary['year']})\n")
    shown = [{k: _text(v) for k, v in layer.items()} for layer in layers]
    print(table(shown, options.format))
    print(f"\n{count(graph.parameters)} parameters, {count(graph.buffers)} buffers, ", end="")
    print(f"{count(graph.macs)} multiply-accumulates")
    print("\nPrinted:", table([printed(f) for f in report.printed], options.format), sep="\n")
    print_words([report], read_sources(*options.folders))
    if implementations:
        print("\nImplementations:", as_text(implementations, options.format), sep="\n")
    return OK


def check_(options: argparse.Namespace) -> int:
    """Prints what agrees and what does not; 1 if anything differs."""
    chosen = _frameworks(options.framework)
    tables, broken = _whole(architectures.select(options.names or ["all"]), options.folders)
    checked = _check_all(chosen, tables, options)
    reports = [r for group in zip(*(reports for reports, _ in checked), strict=True) for r in group]
    found = [report for report in reports if report is not None]
    failures = [*broken, *(text for _, texts in checked for text in texts)]
    if options.format == "json":
        print_json(as_json(found))
    elif found:
        print(table([verdict(report) for report in found], options.format))
        print(total(found))
        print_words(found, read_sources(*options.folders))
    for text in failures:
        print(f"convbench: {text}", file=sys.stderr)
    if failures:
        return BROKEN
    return OK if all(report.proven for report in found) else DIFFERS


def _whole(
    names: Sequence[str], folders: Sequence[Path]
) -> tuple[dict[str, ReferenceTable], list[str]]:
    """The tables of the networks that are described and have one; a sentence for each other."""
    whole: dict[str, ReferenceTable] = {}
    broken = []
    for name in names:
        try:
            architectures.architecture(name)
            whole[name] = read_table(name, *folders)
        except ConvbenchError as error:
            broken.append(str(error))
    return whole, broken


def errata_(options: argparse.Namespace) -> int:
    """Prints every erratum: where, what is printed, what is right, and why."""
    sources = read_sources(*options.folders)
    found = {
        f"{name}: {erratum_sentence(finding, sources)}": (name, finding)
        for name in architectures.select(options.names or ["all"])
        for finding in _integers(name, read_table(name, *options.folders)).errata
    }
    rows = [
        {
            "name": name,
            "at": finding.at,
            "quantity": finding.quantity,
            "source": sources[finding.source or ""].title,
            "printed": finding.printed or "",
            "exact": finding.computed or "",
            "why": finding.note or "",
        }
        for name, finding in found.values()
    ]
    if options.format == "json":
        print_json(rows)
    elif options.format == "markdown":
        print(table(rows, options.format))
    else:
        for sentence in found:
            print(f"{wrapped(sentence)}\n")
    return OK


def implementations_(options: argparse.Namespace) -> int:
    """Prints what the models of the libraries hold, and where they are not the papers' networks."""
    rows = compare(architectures.select(options.names or ["all"]), tables_folder())
    if options.format == "json":
        print_json(rows)
    else:
        print(as_text(rows, options.format) if rows else "No implementation is listed.")
    return OK


def gate_(options: argparse.Namespace) -> int:
    """Compares a head with its base."""
    from convbench.commands import gate  # noqa: PLC0415  (statistics take half a second to import)

    return gate.run(options)


def report_(options: argparse.Namespace) -> int:
    """Writes `report.md`, its plot and the index again."""
    from convbench.report import report  # noqa: PLC0415  (plots take a second to import)

    if not (options.folder / JOURNAL).exists():
        runs = [path.parent.name for path in sorted(options.folder.glob(f"*/{JOURNAL}"))]
        raise Unsupported(
            str(options.folder),
            "it is not the folder of one run",
            f"name one of its runs: {', '.join(runs)}" if runs else f"name one with {JOURNAL}",
        )
    print(report.write(options.folder, *options.folders))
    return OK


def bench(arguments: Sequence[str]) -> int:
    """Runs the benchmark files under pytest."""
    command = benchmarks(arguments)
    if os.name == "posix":
        os.execv(sys.executable, command)  # so that Ctrl-C is pytest's, which writes the report
    return subprocess.run(command, check=False).returncode


Checked: TypeAlias = tuple[list[CheckReport | None], list[str]]
"""A report for each name, and a sentence for each that has none."""


def _check_all(
    chosen: Sequence[str | None], tables: Mapping[str, ReferenceTable], options: argparse.Namespace
) -> list[Checked]:
    """What each framework says of each name, all frameworks at once."""
    if None in chosen:
        return [([_integers(name, table_) for name, table_ in tables.items()], [])]
    launchers = [Launcher(framework, own=options.own) for framework in chosen if framework]
    with ThreadPoolExecutor(max_workers=len(launchers)) as pool:
        try:
            return list(pool.map(lambda launcher: _check_in(launcher, [*tables]), launchers))
        except BaseException:
            for launcher in launchers:  # Ctrl-C, say: the other threads need not wait
                launcher.abandon()
            raise


def _integers(name: str, table_: ReferenceTable) -> CheckReport:
    """The paper against the arithmetic alone."""
    network = architectures.architecture
    return check(network(name), table_, others=network)


def _check_in(launcher: Launcher, names: Sequence[str]) -> Checked:
    tables, framework = tables_folder(), launcher.framework
    reports: list[CheckReport | None] = []
    failures = []
    with launcher:
        while len(reports) < len(names):  # a child that dies takes one architecture with it
            try:
                with launcher.open(f"{framework} structure") as child:
                    while len(reports) < len(names):
                        reports.append(ask_check(child, names[len(reports)], tables))
            except WorkerFailed as error:
                failures.append(str(error))
                reports.append(None)
    return reports, failures


def _frameworks(text: str | None) -> list[str | None]:
    """The frameworks to check in; None stands for the arithmetic alone."""
    if text is None:
        return [*installed()] or [None]
    return [None] if text == "none" else [*named(text)]


def _summary(name: str, reference: ReferenceTable, folders: Sequence[Path]) -> dict[str, Any]:
    graph = architectures.architecture(name)
    source = read_sources(*folders)[reference.paper]
    return {
        "name": name,
        "family": architectures.family(name),
        "year": source.year,
        "title": source.title,
        "input": list(graph.input),
        "parameters": graph.parameters,
        "buffers": graph.buffers,
        "macs": graph.macs,
    }


def _printed_by_place(report: CheckReport) -> dict[str, str]:
    """What the sources print of each place, each value once."""
    places: dict[str, dict[str, None]] = {}
    for f in report.findings:
        if f.printed is not None:
            mark = " (erratum)" if f.status == "erratum" else ""
            places.setdefault(f.at, {})[f"{f.quantity} {f.printed}{mark}"] = None
    return {at: ", ".join(values) for at, values in places.items()}


def _text(value: object) -> str:
    if isinstance(value, list):
        return show(tuple(value)) or ""
    return count(value) if type(value) is int else str(value)
