"""`convbench gate --self-test`: how often the gate errs on this machine, and how often it finds."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from random import SystemRandom
from time import monotonic
from typing import Any

from attrs import evolve

from convbench.base.errors import BadOption
from convbench.base.text_tables import table
from convbench.base.units import Second, seconds
from convbench.front.cli.shared import INTERRUPTED, OK, print_json
from convbench.gate.outputs import json_file
from convbench.gate.pairs import Start
from convbench.gate.run import Gate, Plan
from convbench.gate.self_check.tallies import Of, Rate, Rule, any_worse, subjects, tallies
from convbench.gate.sides.sides import alike
from convbench.gate.values import ROLES, GateResult, Role, SideFacts
from convbench.measure.records import as_json

MOST_SEED = 2**31


def run(
    plan: Plan, start: Start, rules: dict[str, Rule], time_s: Second, keep: Path | None, form: str
) -> int:
    """Runs the gate again and again, of one thing against itself, and prints how often it erred.

    What is in `keep` from earlier counts too.
    """
    found = [*_kept(keep, plan)]
    began, status = monotonic(), OK
    try:
        while monotonic() - began < time_s:
            result = _one(evolve(plan, seed=SystemRandom().randrange(1, MOST_SEED)), start)
            if keep is not None:
                keep.mkdir(parents=True, exist_ok=True)
                json_file.write(keep / f"run-{len(found) + 1:04}.json", result)
            found.append(result)
            print(_line(len(found), result), file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        status = INTERRUPTED
    if found:
        _print(found, rules, plan.extra, form)
    return status


def _one(plan: Plan, start: Start) -> GateResult:
    """One whole run of the gate."""
    facts = {role: SideFacts(role=role, given=".", meaning=_meaning(plan, role)) for role in ROLES}
    gate = Gate(plan, alike(), facts, start)
    gate.run()
    return gate.result()


def _meaning(plan: Plan, role: Role) -> str:
    extra = plan.extra if role == "head" else 0.0
    return f"this interpreter with {extra:.0%} more work" if extra else "this interpreter"


def _kept(keep: Path | None, plan: Plan) -> Iterator[GateResult]:
    """Earlier runs of the same plan; raises BadOption for those of another."""
    for path in sorted(keep.glob("run-*.json")) if keep else []:
        result = json_file.read(path)
        if {v.question for v in result.verdicts} != set(plan.questions) or (
            result.head.meaning != _meaning(plan, "head")
        ):
            raise BadOption("--keep", "a folder with runs of this self-test", f"{path}")
        yield result


def _line(number: int, result: GateResult) -> str:
    counts = {
        outcome: sum(v.outcome == outcome for v in result.verdicts)
        for outcome in ("worse", "not worse", "cannot tell")
    }
    said = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)
    failed = "".join(f"; {broken.reason}" for broken in result.broken)
    return f"run {number}: {said}, {seconds(result.spent_s)}{failed}"


def _print(found: list[GateResult], rules: dict[str, Rule], share: float, form: str) -> None:
    by_rule, by_subject = tallies(found, rules), subjects(found)
    if form == "json":
        print_json(
            {
                "extra": share,
                "runs": len(found),
                "runs that say worse of anything": as_json(any_worse(found)),
                "rules": as_json(by_rule),
                "subjects": as_json(by_subject),
            }
        )
        return
    what = f"{share:.0%} more work" if share else "itself"
    everything = any_worse(found)
    print(f"{len(found)} runs of one thing against {what}.\n")
    rows = [
        {"rule": t.rule, "runs that fail": _rate(t.runs), "subjects": _rate(t.subjects)}
        for t in by_rule
    ]
    print(table(rows, form))
    print(f"\nWith memory and first result, this gate fails {_rate(everything)}.\n")
    print(table([_row(of) for of in by_subject], form))


def _row(of: Of) -> dict[str, Any]:
    return {
        "subject": of.subject,
        "slower": _rate(of.worse),
        "not slower": _rate(of.not_worse),
        "ratio": f"{of.ratio:.3f}",
        "pairs": f"{of.pairs:g}",
        "time": seconds(of.seconds),
    }


def _rate(rate: Rate) -> str:
    low, high = rate.interval
    return f"{rate.count} of {rate.of} ({low:.1%} to {high:.1%})"
