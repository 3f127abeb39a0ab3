"""The commands that show networks and what their sources print."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from convbench.base.errors import TableError
from convbench.base.text_tables import table
from convbench.base.units import count
from convbench.checks.structure import CheckReport, erratum_sentence
from convbench.front.cli.check import integers
from convbench.front.cli.shared import (
    DIFFERS,
    JSON_SCHEMA,
    OK,
    print_json,
    print_words,
    printed,
    shown,
    wrapped,
)
from convbench.measure.records import as_json
from convbench.networks.zoo import names as architectures
from convbench.papers.implementations import as_text, compare
from convbench.papers.printed import show
from convbench.papers.sources import read_sources, tables_folder
from convbench.papers.tables import ReferenceTable, read_table


def list_(options: argparse.Namespace) -> int:
    """Prints one row for each architecture."""
    rows: list[dict[str, Any]] = []
    broken: dict[str, None] = {}
    for name in architectures.names():
        try:
            rows.append(_summary(name, read_table(name, *options.folders), options.folders))
        except TableError as error:
            broken[str(error)] = None
    if options.format == "json":
        print_json(rows)
    else:
        cells = [{k: str(v) if k == "year" else _text(v) for k, v in row.items()} for row in rows]
        print(table(cells, options.format))
    for text in broken:
        print(f"convbench: {text}", file=sys.stderr)
    return DIFFERS if broken else OK


def show_(options: argparse.Namespace) -> int:
    """Prints every layer of one architecture, with what its sources print of it."""
    graph = architectures.architecture(options.name)
    reference = read_table(options.name, *options.folders)
    report = integers(options.name, reference)
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
        places = _printed_by_place(report)
        layers = [{**layer, "printed": places.get(str(layer["at"]), [])} for layer in layers]
        content = {"layers": layers, "findings": as_json(report.findings)}
        content["implementations"] = implementations
        print_json({"schema": JSON_SCHEMA, **summary, **content})
        return OK
    print(f"{summary['name']}: {summary['title']} ({summary['year']})\n")
    print(table([{k: _text(v) for k, v in layer.items()} for layer in layers], options.format))
    print(f"\n{count(graph.parameters)} parameters, {count(graph.buffers)} buffers, ", end="")
    print(f"{count(graph.macs)} multiply-accumulates")
    print("\nPrinted:", table([printed(f) for f in report.printed], options.format), sep="\n")
    print_words([report], read_sources(*options.folders))
    if implementations:
        print("\nImplementations:", as_text(implementations, options.format), sep="\n")
    return OK


def errata_(options: argparse.Namespace) -> int:
    """Prints every erratum: where, what is printed, what is right, and why."""
    sources = read_sources(*options.folders)
    found = {
        f"{name}: {erratum_sentence(finding, sources)}": (name, finding)
        for name in architectures.select(options.names or ["all"])
        for finding in integers(name, read_table(name, *options.folders)).errata
    }
    rows: list[dict[str, Any]] = [
        {
            "name": name,
            "at": finding.at,
            "quantity": finding.quantity,
            "source": sources[finding.source or ""].title,
            "printed": finding.printed,
            "exact": finding.computed,
            "why": finding.note or "",
        }
        for name, finding in found.values()
    ]
    if options.format == "json":
        print_json({"schema": JSON_SCHEMA, "errata": as_json(rows)})
    elif options.format == "markdown":
        print(table([{k: shown(v) for k, v in row.items()} for row in rows], options.format))
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


def _printed_by_place(report: CheckReport) -> dict[str, list[dict[str, Any]]]:
    """What the sources print of each place, each value once."""
    places: dict[str, list[dict[str, Any]]] = {}
    for f in report.findings:
        if f.printed is not None:
            of = places.setdefault(f.at, [])
            said = {"quantity": f.quantity, "printed": as_json(f.printed), "status": f.status}
            if said not in of:
                of.append(said)
    return places


def _text(value: object) -> str:
    if isinstance(value, list):
        return show(tuple(value)) or ""
    return count(value) if type(value) is int else str(value)
