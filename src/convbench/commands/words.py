"""What `check` and `show` say of reports: rows of tables, and what needs words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill

from convbench.base.units import count
from convbench.checks.structure import CheckReport, Finding, erratum_sentence
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
        f"{r.name}: {f.at}, {f.quantity} {f.printed} ({f.source}, {f.where}): {f.unverified}"
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


def printed(finding: Finding) -> dict[str, str]:
    """One printed number: where, how, by whom, and whether it is right."""
    status = "unverified" if finding.unverified else finding.status
    return {
        "at": finding.at,
        "quantity": finding.quantity,
        "printed": finding.printed or "",
        "exact": finding.computed or "",
        "source": finding.source or "",
        "row": finding.where or "",
        "status": status,
    }
