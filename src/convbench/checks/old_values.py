"""Reads a check report whose findings hold texts, as journals of schema 1 have them.

A text that does not say the whole value stays text: a rounded ratio, or `2.7K` where the journal
does not tell whether a K is 1000 or 1024.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from convbench.papers.printed import COUNT_QUANTITIES, SHAPE_QUANTITIES, Printed

_DIMS = r"[0-9]+(?:x[0-9]+)*"
_WHOLE = re.compile(r"[0-9]{1,3}(?:,[0-9]{3})*|[0-9]+")
_TENSOR = re.compile(rf"(?P<name>\S+) (?P<shape>(?:{_DIMS})?)(?P<fixed> fixed)?")


def with_values(report: Mapping[str, Any]) -> dict[str, Any]:
    """The same report in JSON with values; what has no such form is left for the reader to refuse.

    >>> finding = {"quantity": "macs", "printed": "300K", "computed": "325,680"}
    >>> with_values({"findings": [finding]})["findings"][0]["computed"]
    325680
    """
    findings = report.get("findings")
    if not isinstance(findings, list):
        return dict(report)
    return {**report, "findings": [_finding(f) if isinstance(f, dict) else f for f in findings]}


def _finding(finding: Mapping[str, Any]) -> dict[str, Any]:
    quantity = finding.get("quantity")
    read = {"printed": _printed, "computed": _value, "observed": _value}
    return {
        key: read[key](quantity, text) if key in read and isinstance(text, str) else text
        for key, text in finding.items()
    }


def _printed(quantity: object, text: str) -> Any:
    if quantity in SHAPE_QUANTITIES and re.fullmatch(_DIMS, text):
        return _dims(text)
    try:
        known = Printed(text).unit == Printed(text, kilo=1024).unit
    except ValueError:  # a ratio
        known = False
    return {"text": text} if known else {"old_text": text}


def _value(quantity: object, text: str) -> Any:
    if quantity in SHAPE_QUANTITIES and re.fullmatch(rf"(?:{_DIMS})?", text):
        return _dims(text)
    if quantity in (*COUNT_QUANTITIES, "times") and _WHOLE.fullmatch(text):
        return int(text.replace(",", ""))
    if quantity == "tensors":
        tensors = [_TENSOR.fullmatch(tensor) for tensor in text.split(", ") if text]
        if None not in tensors:
            return [_tensor(tensor) for tensor in tensors if tensor]
    return text if quantity == "layer" else {"old_text": text}


def _dims(text: str) -> list[int]:
    return [int(size) for size in text.split("x") if size]


def _tensor(found: re.Match[str]) -> dict[str, Any]:
    return {
        "name": found["name"],
        "shape": _dims(found["shape"]),
        "trainable": found["fixed"] is None,
    }
