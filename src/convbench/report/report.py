"""Markdown reports: a pure function of a journal and the reference tables.

Nothing is measured or judged here; made twice from the same journal, a report is the same to
the byte.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from convbench.base.errors import BadRecord
from convbench.base.files import replace, replace_text
from convbench.base.text_tables import ABSENT, Markup, escaped, table
from convbench.base.units import count, size
from convbench.checks.parity import Parity
from convbench.checks.structure import CheckReport, erratum_sentence
from convbench.checks.values import as_text
from convbench.measure.estimates import Estimate, estimates
from convbench.measure.journal import JOURNAL, Journal, latest
from convbench.measure.records import Entry, Environment, Measurement, Memory, Unchecked
from convbench.networks.graph import NETWORK
from convbench.networks.passes import PASSES
from convbench.papers.sources import Source, read_sources
from convbench.report import gpu, how, modes, parity, physics, plots
from convbench.report.throughput import (
    busy,
    loads_of,
    measurements_of,
    proven,
    throughput,
)


def write(folder: Path, *tables: Path) -> Path:
    """Writes `report.md` and its plot beside the journal in `folder`, and renews the index.

    `tables` are the folders of the reference tables: convbench's, and perhaps the user's own.

    Raises OSError if the disk does not take them, BadRecord for a journal that cannot be read.
    """
    entries = latest(Journal(folder / JOURNAL).entries())
    measured = estimates(measurements_of(entries))
    if measured:
        replace(folder / "throughput.png", partial(plots.throughput, _panels(measured)))
    report = folder / "report.md"
    replace_text(report, markdown(entries, folder.name, *tables))
    write_index(folder.parent)
    return report


def markdown(entries: Sequence[Entry], name: str, *tables: Path) -> str:
    """The whole report as text."""
    measurements = measurements_of(entries)
    parts = [
        f"# convbench report {name}",
        _environment(entries),
        _structure([e for e in entries if isinstance(e, CheckReport)], read_sources(*tables)),
        parity.section(entries),
        "## Throughput" if measurements else "",
        "![Throughput by architecture, pass and framework](throughput.png)"
        if any(m.rounds_s for m in measurements)
        else "",
        throughput(entries),
        modes.section(estimates(measurements), proven(entries)),
        physics.section(entries),
        gpu.section(entries),
        _memory(estimates(measurements)),
        _unfinished(entries),
        how.section(measurements, _first_environment(entries), tables[1:]),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def write_index(folder: Path) -> None:
    """Writes `README.md` beside the runs: one line for each, the newest first."""
    rows = []
    for path in sorted(folder.glob(f"*/{JOURNAL}"), reverse=True):
        try:
            entries = latest(Journal(path).entries())
            environment = _first_environment(entries)
        except (BadRecord, OSError) as error:
            rows.append({"run": path.parent.name, "CPU": f"cannot be read: {error}"})
            continue
        measured = [m for m in measurements_of(entries) if m.outcome == "measured"]
        rows.append(
            {
                "run": Markup(f"[{path.parent.name}]({path.parent.name}/report.md)"),
                "CPU": environment.cpu,
                "GPU": environment.gpu or ABSENT,
                "measured": str(len(measured)),
                "compared": str(sum(isinstance(entry, Parity) for entry in entries)),
                "convbench": environment.convbench,
            }
        )
    text = f"# Reports\n\n{table(rows)}\n" if rows else "# Reports\n\nNone yet.\n"
    replace_text(folder / "README.md", text)


def _environment(entries: Sequence[Entry]) -> str:
    environment = _first_environment(entries)
    begun = [entry for entry in entries if isinstance(entry, Environment)]
    measurements = measurements_of(entries)
    loads = loads_of(measurements)
    rows: list[tuple[str, str]] = [
        ("started", environment.started),
        *(("continued", later.started) for later in begun[1:]),
        ("CPU", f"{environment.cpu}, {environment.cores} cores"),
        ("memory", size(environment.memory_bytes)),
        ("GPU", environment.gpu or "none"),
        ("driver", environment.driver or ABSENT),
        ("system", environment.system),
        ("Python", environment.python),
        ("convbench", f"{environment.convbench}, commit {environment.commit or ABSENT}"),
    ]
    versions = {m.task.framework: m.version for m in measurements if m.version}
    rows += versions.items() if versions else environment.packages
    rows += _libraries(measurements)
    if environment.variables:
        rows.append(("variables", ", ".join(map("=".join, environment.variables))))
    for what, shared in (
        ("device", {m.task.device for m in measurements}),
        ("batch", {str(m.task.batch) for m in measurements}),
        ("processes a task", {str(len(e.measurements)) for e in estimates(measurements)}),
        ("threads", {str(m.task.threads) for m in measurements}),
        ("dtype", {m.task.dtype for m in measurements}),
        ("timed seconds a task", {f"{m.budget_s:g}" for m in measurements if m.budget_s}),
        ("or until precise to", {f"±{100 * m.precision:g}%" for m in measurements if m.precision}),
    ):
        if shared:
            rows.append((what, ", ".join(sorted(shared))))
    if environment.memory_limit_bytes is not None:
        rows.append(("memory limit of a task", size(environment.memory_limit_bytes)))
    if loads:
        rows.append(("load average", f"{min(loads):.2f} to {max(loads):.2f} during the run"))
    others = [m.others_cores for m in measurements if m.others_cores is not None]
    if others:
        stolen = max(m.stolen_cores or 0.0 for m in measurements)
        used = f"up to {max(others):.2f} cores during rounds, {stolen:.2f} stolen by the host"
        rows.append(("other processes", used))
    shown = table([{"": k, "value": v} for k, v in rows], left=("value",))
    warning = busy(environment.cores, measurements)
    return "\n\n".join(filter(None, ("## Environment", shown, warning)))


def _libraries(measurements: Iterable[Measurement]) -> list[tuple[str, str]]:
    """What decided each framework's speed, and that of a mode which had other libraries."""
    told: dict[tuple[str, tuple[tuple[str, str], ...]], str] = {}
    for m in measurements:
        if m.libraries:
            told.setdefault((m.task.framework, m.libraries), m.task.side)
    return [
        (f"libraries of {side}", ", ".join(map(" ".join, libraries)))
        for (_, libraries), side in told.items()
    ]


def _structure(reports: Sequence[CheckReport], sources: Mapping[str, Source]) -> str:
    if not reports:
        return ""
    frameworks = list(dict.fromkeys(r.framework or "integers" for r in reports))
    rows = []
    for name in dict.fromkeys(r.name for r in reports):
        own = {r.framework or "integers": r for r in reports if r.name == name}
        some = next(iter(own.values()))
        row: dict[str, str] = {
            "architecture": name,
            "printed": ", ".join(_printed_totals(some, "parameters")) or ABSENT,
            "exact": count(some.parameters),
        }
        row |= {f: _observed_total(own.get(f)) for f in frameworks}
        row["MACs printed"] = ", ".join(_printed_totals(some, "macs")) or ABSENT
        row["MACs exact"] = count(some.macs)
        counts = some.counts
        row["numbers that agree"] = str(counts["agree"])
        row["unverified"] = str(counts["unverified"] or "")
        row["errata"] = str(counts["errata"] or "")
        row["verdict"] = (
            "proven" if all(r.proven for r in own.values()) else Markup("**not proven**")
        )
        rows.append(row)
    note = (
        "Trainable parameters: as the sources print them, by integer arithmetic, and in each "
        "framework's real model. MACs: multiply-accumulates of convolutions and dense layers for "
        "one image. Unverified: numbers that agree, but whose digits nobody has read in the source "
        "itself or in two copies of it. A model that differs anywhere, in any layer, is not timed."
    )
    parts = ["## Structure", note, table(rows), _errata(reports, sources)]
    return "\n\n".join(part for part in parts if part)


def _errata(reports: Sequence[CheckReport], sources: Mapping[str, Source]) -> str:
    lines = []
    for report in reports:
        name = f"{report.name} {report.framework}"
        lines += [f"- **not proven:** {escaped(f'{name}: {f}')}" for f in report.differs]
        for f in report.errata:
            text = escaped(erratum_sentence(f, sources))
            lines.append(f"- **{escaped(report.name)}** {text}")
    return "### Errata and differences\n\n" + "\n".join(dict.fromkeys(lines)) if lines else ""


def _printed_totals(report: CheckReport, quantity: str) -> list[str]:
    """What the sources print of the whole network, each value once."""
    printed = (
        f"{as_text(f.printed)} (erratum)" if f.status == "erratum" else as_text(f.printed)
        for f in report.findings
        if f.at == NETWORK and f.quantity == quantity and f.printed is not None
    )
    return list(dict.fromkeys(printed))


def _observed_total(report: CheckReport | None) -> str:
    if report is None:
        return ABSENT
    return (
        count(report.parameters)
        if report.proven
        else f"{len(report.differs)} difference{'s' * (len(report.differs) > 1)}"
    )


def _memory(measured: Sequence[Estimate]) -> str:
    if not measured:
        return ""
    variants = list(dict.fromkeys(m.task.variant for m in measured))
    on_device = any(m.task.device != "cpu" for m in measured)
    several = len({m.task.batch for m in measured}) > 1
    rows = []
    for key in dict.fromkeys(map(_key, measured)):
        own = {m.task.variant: m.memory for m in measured if _key(m) == key}
        row = {"architecture": key[0], "pass": key[1]} | ({"batch": str(key[2])} if several else {})
        for f in variants:
            memory = own.get(f, Memory())
            row[f"host, {f}"] = _bytes(memory.host_bytes)
            if on_device:
                row[f"allocated, {f}"] = _bytes(memory.device_allocated_bytes)
                row[f"reserved, {f}"] = _bytes(memory.device_reserved_bytes)
                row[f"NVML, {f}"] = _bytes(memory.device_process_bytes)
        rows.append(row)
    note = (
        "Host: growth of the process's peak resident memory over what it was when it was forked, "
        "its framework imported; weights, activations and gradients are in it."
    )
    device = (
        " Device: peaks allocated and reserved by the framework's allocator, and what NVML says "
        f"that the process holds; {ABSENT} is what nobody could tell."
    )
    none = " There is no GPU in this run, and so no device memory."
    return "\n\n".join(["## Memory", note + (device if on_device else none), table(rows)])


def _key(estimate: Estimate) -> tuple[str, str, int]:
    """What all frameworks and modes of a row share."""
    return estimate.task.architecture, estimate.task.pass_, estimate.task.batch


def _unfinished(entries: Sequence[Entry]) -> str:
    missing = [(e.label, e.reason) for e in entries if isinstance(e, Unchecked)]
    missing += [(m.task.label, m.reason or "") for m in measurements_of(entries) if not m.rounds_s]
    lines = [f"- {escaped(f'{label}: {reason}')}" for label, reason in missing]
    return "## Not measured\n\n" + "\n".join(lines) if lines else ""


def _panels(measured: Sequence[Estimate]) -> list[tuple[str, list[plots.Point]]]:
    several = len({e.task.batch for e in measured}) > 1
    panels = []
    for pass_ in dict.fromkeys(e.task.pass_ for e in measured):
        points = [
            plots.Point(
                _drawable(e.task.architecture + (f", {e.task.batch}" if several else "")),
                _drawable(e.task.variant),
                e.images_per_s,
            )
            for e in measured
            if e.task.pass_ == pass_
        ]
        panels.append((PASSES[pass_].title, points))
    return panels


def _drawable(name: str) -> str:
    """A name without the halves of characters that JSON may hold and no font has."""
    return name.encode(errors="backslashreplace").decode()


def _first_environment(entries: Iterable[Entry]) -> Environment:
    for entry in entries:
        if isinstance(entry, Environment):
            return entry
    raise BadRecord(JOURNAL, "an environment as its first line", "none")


def _bytes(value: int | None) -> str:
    return ABSENT if value is None else size(value)
