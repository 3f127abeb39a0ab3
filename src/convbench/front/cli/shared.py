"""What `check` and `show` say of reports: rows of tables, and what needs words."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill

from convbench.base.errors import UnknownName
from convbench.base.units import count
from convbench.checks.structure import CheckReport, Finding, erratum_sentence
from convbench.checks.values import PrintedValue, Value, as_text
from convbench.frameworks import registry
from convbench.papers.sources import Source

WIDTH = 100
"""Columns of a sentence on a terminal."""


def verdict(report: CheckReport) -> dict[str, str]:
    """One row of the overview."""
    return {
        "name": report.name,
        "framework": report.framework or "integers",
        "parameters": count(report.parameters),
        "buffers": count(report.buffers),
        "MACs": count(report.macs),
        "layers": str(report.layers),
        **{key: str(number) for key, number in report.counts.items()},
        "verdict": "proven" if report.proven else "NOT PROVEN",
    }


def total(reports: Sequence[CheckReport]) -> str:
    """How many networks and printed numbers that was, whatever number of frameworks saw them."""
    once = [report.counts for report in {report.name: report for report in reports}.values()]
    agree, unverified, errata = (
        count(sum(counts[key] for counts in once)) for key in ("agree", "unverified", "errata")
    )
    differ = count(len({(r.name, f.at, f.quantity, f.source) for r in reports for f in r.differs}))
    return (
        f"\n{count(len(once))} network{'s' * (len(once) != 1)}; {agree} printed numbers agree, "
        f"{unverified} more agree but are unverified, {errata} are errata, {differ} differ."
    )


def wrapped(sentence: str, indent: str = "") -> str:
    """A sentence in lines that are short enough to read; later lines are indented."""
    return fill(
        sentence,
        WIDTH,
        subsequent_indent=indent,
        break_on_hyphens=False,
        break_long_words=False,
    )


def print_words(reports: Sequence[CheckReport], sources: Mapping[str, Source]) -> None:
    """What needs words, once, whatever number of frameworks found it."""
    differs = [f"{r.name} in {r.framework or 'integers'}: {f}" for r in reports for f in r.differs]
    errata = [f"{r.name}: {erratum_sentence(f, sources)}" for r in reports for f in r.errata]
    unverified = [
        f"{r.name}: {f.at}, {f.quantity} {shown(f.printed)} ({f.source}, {f.where}): {f.unverified}"
        for r in reports
        for f in r.unverified
    ]
    for heading, lines in (
        ("Differences", differs),
        ("Errata of the sources", errata),
        ("Unverified", unverified),
    ):
        if lines:
            print(f"\n{heading}:")
            print("\n".join(wrapped(f"- {line}", "  ") for line in dict.fromkeys(lines)))


def shown(value: PrintedValue | Value | None) -> str:
    """A finding's value in a cell of a table, which is empty where there is none."""
    return "" if value is None else as_text(value)


def printed(finding: Finding) -> dict[str, str]:
    """One printed number: where, how, by whom, and whether it is right."""
    status = "unverified" if finding.unverified else finding.status
    return {
        "at": finding.at,
        "quantity": finding.quantity,
        "printed": shown(finding.printed),
        "exact": shown(finding.computed),
        "source": finding.source or "",
        "row": finding.where or "",
        "status": status,
    }


OK, DIFFERS, BROKEN, INTERRUPTED, HUNG_UP = 0, 1, 2, 130, 141  # the last two as a shell counts
JSON_SCHEMA = 2
"""Of what check, show and errata print as JSON; the first, which had no number, held texts."""
FORMATS = ("table", "json", "markdown")
MOST = 10**6
"""More than anybody means by a number of things."""


def print_json(content: object) -> None:
    """Prints plain values as JSON, exact numbers and all."""
    print(json.dumps(content, indent=1, ensure_ascii=False))


def installed() -> list[str]:
    """The frameworks that are meant where none is named, as far as they can be used here."""
    return [name for name in registry.DEFAULT_FRAMEWORKS if registry.missing(name) is None]


def named(text: str) -> list[str]:
    """The frameworks that an option lists; raises UnknownName, FrameworkMissing."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise UnknownName("framework", text, tuple(registry.FRAMEWORKS))
    return [usable(name) for name in names]


def usable(name: str) -> str:
    """`name` if it is a framework that is installed; raises UnknownName, FrameworkMissing."""
    absent = registry.missing(name)
    if absent is not None:
        raise absent
    return name


def positive(text: str) -> int:
    """The whole number that an argument gives; argparse tells of any other text."""
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < MOST:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to {MOST - 1:,}")
    return int(text)


def benchmarks(arguments: Sequence[str]) -> list[str]:
    """The command that runs the benchmark files that came with the package, or the checkout's."""
    packaged = Path(__file__).parents[2] / "bench"
    folder = packaged if packaged.is_dir() else Path(__file__).parents[4] / "bench"
    command = [sys.executable, "-m", "pytest", str(folder), f"--rootdir={Path.cwd()}"]
    return [*command, "-p", "no:cacheprovider", *arguments]
