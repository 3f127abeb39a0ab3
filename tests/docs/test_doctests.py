"""The examples in the docstrings say the truth."""

from __future__ import annotations

import doctest
import importlib

import pytest

from tests.test_house import MODULES

SHOWN = [
    name
    for name, file in MODULES.items()
    if ">>> " in file.read_text(encoding="utf-8") and not name.startswith("frameworks.")
]


@pytest.mark.parametrize("name", SHOWN)
def test_examples(name):
    module = "convbench" if name == "__init__" else f"convbench.{name}"
    result = doctest.testmod(importlib.import_module(module))
    assert result.attempted > 0
    assert result.failed == 0


def test_examples_are_found():
    assert {"builder", "ops", "programs", "printed", "stats", "units"} <= {
        name.rpartition(".")[2] for name in SHOWN
    }


def test_a_wrong_example_is_seen():
    example = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "wrong", None, None)
    heard = []
    assert doctest.DocTestRunner().run(example, out=heard.append).failed == 1
    assert "Expected:" in "".join(heard)
