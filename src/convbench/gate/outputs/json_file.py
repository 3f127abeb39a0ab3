"""A result of the gate as a JSON file, and back: every other output can be made of it again.

Schema history
  1  0.2.0
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from math import isfinite, log1p
from pathlib import Path
from typing import Any

from convbench.base.errors import BadRecord, Unsupported
from convbench.base.files import replace_text
from convbench.gate.statistics.judging import decision
from convbench.gate.values import GateResult
from convbench.measure.records import as_json, load, structure

SCHEMA = 1
KIND = "gate"
LISTS = ("verdicts", "pairs", "differences", "broken")
"""Of which each item gets a line of its own, for people and for `diff`."""
MOST = 1e12
"""Beyond what no ratio and no number of pairs has been."""


def text(result: GateResult) -> str:
    """The result as JSON, raw pairs and all; the same result gives the same bytes."""
    content = {"schema": SCHEMA, "kind": KIND, **as_json(result)}
    lines = [f"{_json(key)}: {_value(key, value)}" for key, value in content.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _value(key: str, value: Any) -> str:
    if key not in LISTS or not value:
        return _json(value)
    return "[\n" + ",\n".join(f"  {_json(item)}" for item in value) + "\n]"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def write(path: Path, result: GateResult) -> None:
    """Writes the file as a whole or not at all; raises Unsupported where that cannot be."""
    try:
        replace_text(path, text(result))
    except OSError as error:
        why = f"it cannot be written: {error.strerror or error}"
        raise Unsupported(str(path), why, "make room or name another file") from None


def read(path: Path) -> GateResult:
    """The result in a file, judged anew; raises Unsupported if there is none to read.

    Raises BadRecord for what is no result, or one that its own pairs do not bear out.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        why = f"it cannot be read: {error.strerror or error}"
        raise Unsupported(str(path), why, "name what `convbench gate` has written") from None
    result = parse(content, path.name)
    if fault := next(_unborne(result), None):
        raise BadRecord(path.name, *fault)
    return result


def parse(content: bytes, where: str) -> GateResult:
    """The result that JSON text holds; raises BadRecord naming `where`."""
    values = load(content, where)
    schema, kind = values.pop("schema", None), values.pop("kind", None)
    if kind != KIND:
        raise BadRecord(where, "a result of the gate", f"kind {kind!r:.80}")
    if type(schema) is not int or schema != SCHEMA:
        raise BadRecord(where, f"schema {SCHEMA} of this version", f"schema {schema!r:.80}")
    result: GateResult = structure(values, GateResult, where)
    if fault := next(_faults(result), None):
        raise BadRecord(where, *fault)
    return result


def _unborne(result: GateResult) -> Iterator[tuple[str, str]]:
    """Which verdicts its pairs do not give: wanted, and found; without pairs nobody can tell."""
    for verdict in result.verdicts if result.pairs else ():
        asked = verdict.question
        own = (p.log_ratio(asked.quantity) for p in result.pairs if p.subject == asked.subject)
        ratios = [ratio for ratio in own if ratio is not None]
        where = f"of the {asked.quantity} of {asked.subject!r:.80}"
        if len(ratios) != verdict.pairs:
            yield f"a verdict from {len(ratios)} pairs {where}", f"one from {verdict.pairs}"
        bound = log1p(asked.tolerance)
        known = decision(ratios, bound, verdict.alpha, verdict.beta) if ratios else "cannot tell"
        if known != verdict.outcome:
            yield f"{known!r}, as its pairs have it, {where}", repr(verdict.outcome)


def _faults(result: GateResult) -> Iterator[tuple[str, str]]:
    """What no run can have found, though each value is of its type: wanted, and found."""
    for role, side in (("base", result.base), ("head", result.head)):
        if side.role != role:
            yield f"the {role} where it stands", f"the {side.role}"
    for verdict in result.verdicts:
        for number in (verdict.ratio, verdict.low, verdict.high):
            if number is not None and not 1 / MOST < number < MOST:
                yield "ratios above 0", f"{number!r} of {verdict.question.subject!r:.80}"
        if verdict.more_pairs is not None and not 0 < verdict.more_pairs < MOST:
            yield "how many more pairs", str(verdict.more_pairs)[:80]
    for name, share in (("alpha", result.alpha), ("beta", result.beta)):
        if not (isfinite(share) and 0 < share <= 1):
            yield f"a share as {name}", repr(share)
