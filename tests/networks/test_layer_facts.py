"""Every op has its row, the row knows its arrays, and nothing passes over an op in silence."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import get_args

import pytest
from attrs import frozen

import convbench
from convbench.networks import arithmetic, ops
from convbench.networks.builder import Builder
from convbench.networks.layer_facts import FACTS, facts
from tests.networks.test_arithmetic import LAYERS

SOURCE = Path(convbench.__file__).parent
NAMES = {op.__name__ for op in get_args(ops.Op)}


def test_every_op_has_its_row():
    assert set(FACTS) == set(get_args(ops.Op))


def test_no_two_layers_have_one_name():
    assert len({row.name for row in FACTS.values()}) == len(FACTS)


@pytest.mark.parametrize(("op", "before"), [row[:2] for row in LAYERS])
def test_a_row_says_how_each_array_of_its_layer_gets_its_values(op, before):
    owned = {t.name for t in arithmetic.tensors(op, () if before is None else (before,))}
    arrays = facts(op).arrays
    assert bool(owned) == (arrays is not None)
    if arrays and arrays.codes:
        assert owned == {"weight"}
    elif arrays:
        assert owned <= set(arrays.draws)


def open_matches(source: str) -> list[int]:
    """Lines of each match over ops that does not end in `assert_never`."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Match):
            continue
        patterns = [p for case in node.cases for p in ast.walk(case.pattern)]
        classes = {
            p.cls.id for p in patterns if isinstance(p, ast.MatchClass) and "id" in vars(p.cls)
        }
        closing = ast.unparse(node.cases[-1].body[0])
        if classes & NAMES and not closing.startswith("assert_never("):
            found.append(node.lineno)
    return found


@pytest.mark.parametrize("file", sorted(SOURCE.rglob("*.py")), ids=lambda file: file.stem)
def test_a_match_over_ops_is_closed(file):
    assert open_matches(file.read_text(encoding="utf-8")) == []


def test_an_open_match_is_seen():
    text = "match op:\n    case Conv():\n        x = 1\n    case _:\n        "
    assert open_matches(text + "x = 2") == [1]
    assert open_matches(text + "assert_never(op)") == []


@frozen
class Mish:
    """An op that the closed set does not have."""


def test_a_new_op_is_refused_where_it_is_built_and_where_it_is_known(monkeypatch):
    net = Builder("mish", (3, 8, 8))
    with pytest.raises(AssertionError, match="Mish"):
        net("mish", Mish(), net.input)
    monkeypatch.setattr(arithmetic, "output_shape", lambda _op, inputs, _at: inputs[0])
    monkeypatch.setattr(arithmetic, "tensors", lambda *_: ())
    with pytest.raises(KeyError, match="Mish"):
        net("mish", Mish(), net.input)
    with pytest.raises(KeyError, match="Mish"):
        facts(Mish())


def test_an_op_without_a_row_has_no_silent_counts(monkeypatch):
    monkeypatch.delitem(FACTS, ops.Dense)
    net = Builder("dense", (3, 8, 8))
    flat = net("flatten", ops.Flatten(), net.input)
    with pytest.raises(KeyError, match="Dense"):
        net("fc", ops.Dense(10), flat)
