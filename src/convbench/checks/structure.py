"""Holds three answers against each other: the paper's tables, our integers, the real model.

`check` never asks a framework anything: it reads what `observe` returned. A report without an
observation compares the paper with the arithmetic alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Literal, TypeAlias

from attrs import evolve, frozen

from convbench.base.errors import TableError, UnknownName, hint
from convbench.checks import quantities
from convbench.checks.values import PrintedTimes, PrintedValue, Tensor, Times, Value, as_text
from convbench.frameworks.observation import Observation, ObservedNode
from convbench.networks.graph import NETWORK, Graph, Node
from convbench.networks.ops import Shape
from convbench.papers.printed import Dims, Printed, show
from convbench.papers.sources import Source
from convbench.papers.tables import Claim, Erratum, ReferenceTable, Row

Status: TypeAlias = Literal["agrees", "differs", "erratum", "unstated"]


@frozen
class Finding:
    """One quantity at one place: what is printed, what we compute, what the framework has."""

    at: str
    quantity: str
    source: str | None
    printed: PrintedValue | None
    computed: Value | None
    observed: Value | None
    status: Status
    note: str | None = None
    unverified: str | None = None
    """Why the printed digits are not known to be the source's own, if they are not."""
    where: str | None = None
    """The table and row that print it, which may mean several places."""

    def __str__(self) -> str:
        said = (("printed", self.printed), ("computed", self.computed), ("observed", self.observed))
        facts = ", ".join(f"{word} {as_text(v)}" for word, v in said if v is not None)
        return f"{self.at}: {self.quantity}: {facts}; {self.note or self.status}"


def erratum_sentence(finding: Finding, sources: Mapping[str, Source]) -> str:
    """An erratum's finding as all outputs tell it: where, what is printed, what is right, why."""
    key = finding.source or ""
    title = sources[key].title if key in sources else key
    printed, exact = (
        "nothing" if value is None else as_text(value)
        for value in (finding.printed, finding.computed)
    )
    said = f"“{title}” prints {printed}; exact is {exact}."
    return f"{finding.at}, {finding.quantity}: {said} {finding.note}"


@frozen
class CheckReport:
    """Whether one architecture, in one framework or in integers alone, is the paper's."""

    name: str
    framework: str | None
    parameters: int
    buffers: int
    macs: int
    layers: int
    findings: tuple[Finding, ...]

    @property
    def differs(self) -> tuple[Finding, ...]:
        """The findings that forbid calling this the paper's network."""
        return tuple(f for f in self.findings if f.status == "differs")

    @property
    def printed(self) -> tuple[Finding, ...]:
        """What the sources print; one finding for all places that one row prints alike."""
        rows: dict[object, list[Finding]] = {}
        for f in self.findings:
            if f.printed is not None:
                key = (f.where or f.at, f.quantity, f.status, f.computed, f.note)
                rows.setdefault(key, []).append(f)
        return tuple(evolve(found[0], at=_places(found)) for found in rows.values())

    @property
    def errata(self) -> tuple[Finding, ...]:
        """What the sources print wrongly."""
        return tuple(f for f in self.printed if f.status == "erratum")

    @property
    def unverified(self) -> tuple[Finding, ...]:
        """What agrees, though nobody has read the digits in the source or in two copies of it."""
        return tuple(f for f in self.printed if f.status == "agrees" and f.unverified)

    @property
    def counts(self) -> dict[str, int]:
        """How many printed numbers agree, agree though unverified, have an erratum, or differ.

        A number that is printed once for several places counts once.
        """
        printed = self.printed
        agree = {
            (f.where or f.at, f.quantity): f.unverified is not None
            for f in printed
            if f.status == "agrees"
        }
        unverified = sum(agree.values())
        return {
            "agree": len(agree) - unverified,
            "unverified": unverified,
            "errata": sum(f.status == "erratum" for f in printed),
            "differ": len(self.differs),
        }

    @property
    def proven(self) -> bool:
        """Whether nothing differs."""
        return not self.differs


def _places(found: Sequence[Finding]) -> str:
    """The one place that findings of one row speak of, or the first and the last."""
    first, last = found[0].at, found[-1].at
    return first if len(found) == 1 else f"{first} to {last} ({len(found)} places)"


def check(
    graph: Graph,
    table: ReferenceTable,
    observed: Observation | None = None,
    others: Callable[[str], Graph] | None = None,
) -> CheckReport:
    """All findings about one architecture: printed rows first, then what no source states.

    `others` gives the networks that printed ratios compare it with. Raises TableError for a row
    that addresses nothing or asks for what a layer does not have.
    """
    findings = [*_printed_findings(graph, table, observed)]
    findings += [_claim_finding(graph, table, claim, others) for claim in table.claims]
    if {f.status for f in findings} == {"erratum"}:
        findings.append(_nothing_agrees(table))
    stated = {(f.at, f.quantity) for f in findings}
    findings += [f for f in _unstated_findings(graph, observed) if (f.at, f.quantity) not in stated]
    return CheckReport(
        graph.name,
        observed.framework if observed else None,
        graph.parameters,
        graph.buffers,
        graph.macs,
        len(graph.nodes),
        tuple(findings),
    )


def _nothing_agrees(table: ReferenceTable) -> Finding:
    """What keeps a network whose every printed number is called wrong from being proven."""
    note = f"{table.file} has an erratum for every number: print one that agrees"
    return Finding(NETWORK, "agreement", None, None, None, None, "differs", note)


def _printed_findings(
    graph: Graph, table: ReferenceTable, observed: Observation | None
) -> Iterator[Finding]:
    exact: dict[Erratum, int | Shape] = {}
    """What the arithmetic says at each erratum; where it applies, the value that it applies to."""
    for row in table.rows:
        places = [(pattern, at) for pattern in row.at for at in _meant(graph, table, row, pattern)]
        found = len({at for _, at in places})
        if row.times is not None and row.times != found:
            yield Finding(
                row.at[0],
                "times",
                row.source,
                Printed(str(row.times)),
                found,
                None,
                "differs",
                f"{row.place}: the network has another number of such places",
            )
        for pattern, at in places:
            for quantity in row.values:
                computed = quantities.computed(graph, at, quantity)
                if computed is None:
                    wanted = f"a place with a {quantity}"
                    raise TableError(table.file, row.where, wanted, at, "name one layer that has")
                erratum = table.erratum(row, pattern, quantity)
                finding = _compare(graph, observed, row, at, quantity, computed, erratum)
                if erratum is not None and not _applies(erratum, exact.get(erratum)):
                    exact[erratum] = computed
                yield finding
    for erratum in table.errata:
        if not _applies(erratum, exact.get(erratum)):
            yield _idle(erratum, exact.get(erratum))


def _meant(graph: Graph, table: ReferenceTable, row: Row, pattern: str) -> list[str]:
    """The places that a row's address or pattern means; at least one."""
    places = quantities.matches(graph, pattern)
    if not places:
        known = (NETWORK, *graph.by_address, *graph.scopes)
        remedy = hint(pattern, known) or f"convbench show {graph.name} lists them"
        raise TableError(table.file, row.where, "an address of the network", pattern, remedy)
    return places


def _idle(erratum: Erratum, exact: int | Shape | None) -> Finding:
    """An erratum that does not apply."""
    why = "the source agrees with the arithmetic there"
    if exact is None or not _agrees(erratum.printed, exact):
        why = f"it says {show(erratum.should)}, and the arithmetic does not"
    return Finding(
        erratum.at,
        erratum.quantity,
        erratum.source,
        erratum.printed,
        exact,
        None,
        "differs",
        f"{erratum.where} does not apply: {why}",
    )


def _compare(
    graph: Graph,
    observed: Observation | None,
    row: Row,
    at: str,
    quantity: str,
    computed: int | Shape,
    erratum: Erratum | None,
) -> Finding:
    printed = row.values[quantity]
    seen = quantities.observed(graph, observed, at, quantity) if observed else None
    status: Status = "agrees"
    note = row.place
    if seen is not None and seen != computed:
        status, note = "differs", f"{row.place}: the framework's model is not what was described"
    elif not _agrees(printed, computed):
        if erratum is not None and _applies(erratum, computed):
            status, note = "erratum", erratum.why
        else:
            status, note = "differs", _wrong(graph, row)
    return Finding(
        at,
        quantity,
        row.source,
        printed,
        computed,
        seen,
        status,
        note,
        row.unverified,
        row.where,
    )


def _wrong(graph: Graph, entry: Row | Claim) -> str:
    """What to look at where a printed number and the arithmetic disagree."""
    doubt = f"unverified: {entry.unverified}; " if entry.unverified else ""
    wants = "should and why" if isinstance(entry, Claim) else "an [[erratum]]"
    return (
        f"{graph.name}.toml, {entry.where}: {doubt}are these the digits of {entry.source}? if so, "
        f"is the network described as there? if so, the source is wrong: write {wants}"
    )


def _claim_finding(
    graph: Graph,
    table: ReferenceTable,
    claim: Claim,
    others: Callable[[str], Graph] | None,
) -> Finding:
    """A printed ratio to another network, held against the ratio of the exact numbers."""
    if others is None:
        raise TableError(table.file, claim.where, "the network that it compares with", claim.than)
    ratio = _ratio(graph, table, claim, others)
    status: Status = "agrees"
    note = claim.place
    if claim.should is not None and not claim.factor.agrees(ratio) and claim.should.agrees(ratio):
        status, note = "erratum", claim.why or ""
    elif claim.should is not None:
        status, note = "differs", f"{claim.where}: what it says should be there does not apply"
    elif not claim.factor.agrees(ratio):
        status, note = "differs", _wrong(graph, claim)
    return Finding(
        NETWORK,
        f"{claim.quantity} against {claim.than}",
        claim.source,
        PrintedTimes(claim.factor, claim.more),
        Times(float(ratio), claim.more),
        None,
        status,
        note,
        claim.unverified,
        claim.where,
    )


def _ratio(
    graph: Graph, table: ReferenceTable, claim: Claim, others: Callable[[str], Graph]
) -> Fraction:
    """How many times more, or fewer, this network has; raises TableError if that says nothing."""
    try:
        than = others(claim.than)
    except UnknownName as error:
        raise TableError(table.file, claim.where, "than as an architecture", str(error)) from None
    mine, theirs = (quantities.computed(each, NETWORK, claim.quantity) for each in (graph, than))
    if not isinstance(mine, int) or not isinstance(theirs, int) or not mine or not theirs:
        wanted = f"{claim.quantity} of {graph.name} and {claim.than}, and more than none"
        raise TableError(table.file, claim.where, wanted, f"{show(mine)} and {show(theirs)}")
    if claim.than == graph.name:
        raise TableError(table.file, claim.where, "another network to compare with", claim.than)
    return Fraction(mine, theirs) if claim.more else Fraction(theirs, mine)


def _unstated_findings(graph: Graph, observed: Observation | None) -> Iterator[Finding]:
    """The totals and every layer's shape, window and arrays, whether or not they are printed."""
    for quantity in ("parameters", "buffers", "macs"):
        yield _unstated(
            NETWORK,
            quantity,
            quantities.computed(graph, NETWORK, quantity),
            quantities.observed(graph, observed, NETWORK, quantity) if observed else None,
        )
    for node in graph:
        there = observed.nodes.get(node.address) if observed else None
        if observed and there is None:
            yield _unstated(node.address, "layer", type(node.op).__name__, "missing")
            continue
        yield from _layer_findings(node, there)
    for address in observed.nodes if observed else ():
        if address not in graph.by_address:
            yield _unstated(address, "layer", "none", "extra")


def _layer_findings(node: Node, there: ObservedNode | None) -> Iterator[Finding]:
    at = node.address
    yield _unstated(at, "output", node.output, there.output if there else None)
    for quantity in ("kernel", "stride"):
        window = quantities.window(node, quantity)
        if window is not None:
            yield _unstated(at, quantity, window, getattr(there, quantity, None))
    if node.tensors or (there and there.tensors):
        computed = tuple(Tensor(t.name, t.shape, t.trainable) for t in node.tensors)
        held = there.tensors.items() if there else ()
        seen = tuple(Tensor(name, t.shape, t.trainable) for name, t in held)
        yield _unstated(at, "tensors", computed, seen if there else None)


def _unstated(at: str, quantity: str, computed: Value | None, observed: Value | None) -> Finding:
    differs = observed is not None and observed != computed
    note = "the framework's model is not what was described" if differs else None
    status: Status = "differs" if differs else "unstated"
    return Finding(at, quantity, None, None, computed, observed, status, note)


def _agrees(printed: Printed | Dims, computed: int | Shape) -> bool:
    if isinstance(printed, Printed):
        return isinstance(computed, int) and printed.agrees(computed)
    return printed == computed


def _applies(erratum: Erratum, computed: int | Shape | None) -> bool:
    return erratum.should == computed and not _agrees(erratum.printed, erratum.should)


def condensed(report: CheckReport) -> CheckReport:
    """A check report as a journal keeps it: what is printed, and what differs.

    Of a number that is printed once for several places, and agrees at each, one place is kept.
    """
    kept: dict[object, Finding] = {}
    for number, finding in enumerate(report.findings):
        if finding.status == "agrees" and finding.where:
            kept.setdefault((finding.where, finding.quantity), finding)
        elif finding.status != "unstated":
            kept[number] = finding
    return evolve(report, findings=tuple(kept.values()))
