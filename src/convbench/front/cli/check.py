"""The command `convbench check`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias

from convbench.base.errors import ConvbenchError, WorkerFailed
from convbench.base.text_tables import table
from convbench.checks.structure import CheckReport, check
from convbench.front.cli.shared import (
    BROKEN,
    DIFFERS,
    JSON_SCHEMA,
    OK,
    installed,
    named,
    print_json,
    print_words,
    total,
    verdict,
)
from convbench.measure.records import as_json
from convbench.measure.run import ask_check
from convbench.measure.worker.launcher import Launcher
from convbench.networks.zoo import names as architectures
from convbench.papers.sources import read_sources
from convbench.papers.tables import ReferenceTable, read_table


def check_(options: argparse.Namespace) -> int:
    """Prints what agrees and what does not; 1 if anything differs."""
    chosen = _frameworks(options.framework)
    tables, broken = _whole(architectures.select(options.names or ["all"]), options.folders)
    checked = _check_all(chosen, tables, options)
    reports = [r for group in zip(*(reports for reports, _ in checked), strict=True) for r in group]
    found = [report for report in reports if report is not None]
    failures = [*broken, *(text for _, texts in checked for text in texts)]
    if options.format == "json":
        print_json({"schema": JSON_SCHEMA, "reports": as_json(found)})
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


Checked: TypeAlias = tuple[list[CheckReport | None], list[str]]
"""A report for each name, and a sentence for each that has none."""


def _check_all(
    chosen: Sequence[str | None], tables: Mapping[str, ReferenceTable], options: argparse.Namespace
) -> list[Checked]:
    """What each framework says of each name, all frameworks at once."""
    if None in chosen:
        return [([integers(name, table_) for name, table_ in tables.items()], [])]
    launchers = [Launcher(framework, own=options.own) for framework in chosen if framework]
    with ThreadPoolExecutor(max_workers=len(launchers)) as pool:
        try:
            return list(
                pool.map(
                    lambda launcher: _check_in(launcher, [*tables], options.folders[0]), launchers
                )
            )
        except BaseException:
            for launcher in launchers:  # Ctrl-C, say: the other threads need not wait
                launcher.abandon()
            raise


def integers(name: str, table_: ReferenceTable) -> CheckReport:
    """The paper against the arithmetic alone."""
    network = architectures.architecture
    return check(network(name), table_, others=network)


def _check_in(launcher: Launcher, names: Sequence[str], tables: Path) -> Checked:
    framework = launcher.framework
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
