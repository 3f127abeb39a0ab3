"""The house: which folder may import which, where the outside world enters, what stays light."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import convbench

SOURCE = Path(convbench.__file__).parent

MAY_IMPORT = {
    "base": "",
    "networks": "base",
    "papers": "base networks",
    "frameworks": "base networks",  # never papers: what it answers stays independent of them
    "checks": "base networks papers frameworks",
    "measure": "base networks papers frameworks checks",
    "gate": "base networks frameworks checks measure",
    "report": "base networks papers frameworks checks measure",
    "front": "base networks papers frameworks checks measure gate report",
    "__init__": "base networks checks measure",
    "__main__": "front",
}

OUTSIDE = {
    "torch": "frameworks/pytorch frameworks/keras/on_torch",
    "keras": "frameworks/keras",
    "tensorflow": "frameworks/keras",
    "jax": "frameworks/keras/on_jax",
    "pynvml": "measure/machine/nvml",
    "matplotlib": "report/plots gate/outputs/plot",
    "scipy": "base/stats checks/explain/matching gate/statistics gate/self_check",
    "rich": "gate/outputs/terminal",
    "pytest": "front/plugin gate/own_tests/reporter_plugin",
    "os.environ": "front/options base/processes/programs measure/worker/launcher"
    " gate/own_tests/__main__ frameworks/registry frameworks/keras/on_jax"
    " measure/machine/environment",
    "os.getenv": "front/options measure/worker/launcher",
}
"""Where each piece of the outside world enters."""

NEVER = {
    "measure/worker": "measure/run measure/examine measure/profile",
    "measure/worker/launcher": "measure/worker/child measure/worker/template",
    "frameworks/pytorch": "frameworks/keras networks/arithmetic networks/zoo",
    "frameworks/keras": "frameworks/pytorch networks/arithmetic networks/zoo",
    "networks/zoo/classic": "networks/zoo/names",
    "networks/zoo/compact": "networks/zoo/names",
    "networks/zoo/inception": "networks/zoo/names",
    "networks/zoo/lectures": "networks/zoo/names",
    "networks/zoo/residual": "networks/zoo/names",
}
"""What else may not be imported. A framework never sees our arithmetic: its answer is its own."""

EXCEPT = {"frameworks/keras/on_torch": "frameworks/pytorch"}
"""Keras on PyTorch shares PyTorch's clock and devices."""


def place(file: Path) -> str:
    """A file as the rules name it, such as `networks/zoo/names`."""
    return file.relative_to(SOURCE).with_suffix("").as_posix().removesuffix("/__init__")


PLACES = {place(file): file for file in sorted(SOURCE.rglob("*.py"))}
MODULES = {name.replace("/", "."): file for name, file in PLACES.items()}
"""Every module under its dotted name within the package; the package itself is `__init__`."""


def imported(source: str) -> Iterator[str]:
    """Dotted names of everything that a source text imports, and of what it reads of `os`."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=module, names=names, level=0):
                yield from (f"{module}.{alias.name}" for alias in names)
            case ast.ImportFrom():
                yield "convbench.relative"
            case ast.Attribute(value=ast.Name(id="os"), attr=attribute):
                yield f"os.{attribute}"


def reached(name: str) -> str:
    """The place of ours that an import of `name` reaches; empty for what is not ours."""
    package, _, inner = name.partition(".")
    if package != "convbench":
        return ""
    there = inner.replace(".", "/")
    while there and there not in PLACES:
        there = there.rpartition("/")[0]
    return there or "__init__"


def lies_in(name: str, places: str, between: str = "/") -> bool:
    return any(f"{name}{between}".startswith(f"{one}{between}") for one in places.split())


def objections(at: str, source: str) -> list[str]:
    """Everything in a source text that may not be imported or read at its place."""
    folder, found = at.partition("/")[0], []
    for name in imported(source):
        there = reached(name)
        if there and not lies_in(there, f"{folder} {MAY_IMPORT[folder]}"):
            found.append(f"{at} imports {there}")
        for part, others in NEVER.items():
            excepted = lies_in(there, EXCEPT.get(at, "nothing"))
            if there and lies_in(at, part) and lies_in(there, others) and not excepted:
                found.append(f"{at} imports {there}")
        for guarded, places in OUTSIDE.items():
            if lies_in(name, guarded, ".") and not lies_in(at, places):
                found.append(f"{at} uses {guarded}")
    return found


ROOMS = "base networks papers frameworks checks measure gate report front"
"""The folders whose files are all in their places."""
MOVED = [at for at in PLACES if lies_in(at, ROOMS)]


@pytest.mark.parametrize("at", MOVED)
def test_imports_point_one_way(at):
    assert objections(at, PLACES[at].read_text(encoding="utf-8")) == []
