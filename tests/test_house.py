"""The house: which folder may import which, where the outside world enters, what stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
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
    "__init__": "base networks checks report front",  # the public names
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


@pytest.mark.parametrize("at", PLACES)
def test_imports_point_one_way(at):
    assert objections(at, PLACES[at].read_text(encoding="utf-8")) == []


def test_every_folder_has_a_rule_and_every_rule_a_folder():
    assert {at.partition("/")[0] for at in PLACES} == set(MAY_IMPORT)
    named = " ".join([*OUTSIDE.values(), *NEVER, *NEVER.values()]).split()
    assert [name for name in named if not any(lies_in(at, name) for at in PLACES)] == []


def test_a_folder_has_at_most_twelve_entries_and_a_file_400_lines():
    files = [
        file.relative_to(SOURCE) for file in SOURCE.rglob("*") if "__pycache__" not in file.parts
    ]
    whole = [file for file in files if (SOURCE / file).is_file()]
    entries = Counter(
        e.parent for e in {part for file in whole for part in (file, *file.parents[:-1])}
    )
    assert {str(folder): count for folder, count in entries.items() if count > 12} == {}
    lines = {at: file.read_text(encoding="utf-8").count("\n") for at, file in PLACES.items()}
    assert {at: count for at, count in lines.items() if count > 400} == {}


def test_no_function_is_longer_than_60_lines():
    long = [
        f"{at}: {node.name}"
        for at, file in PLACES.items()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and node.end_lineno - node.lineno >= 60
    ]
    assert long == []


@pytest.mark.parametrize(
    ("at", "source", "objection"),
    [
        (
            "networks/ops",
            "from convbench.papers import tables",
            "networks/ops imports papers/tables",
        ),
        ("base/units", "import convbench", "base/units imports __init__"),
        ("base/units", "from . import errors", "base/units imports __init__"),
        (
            "frameworks/modes",
            "import convbench.papers.toml",
            "frameworks/modes imports papers/toml",
        ),
        (
            "frameworks/keras/model",
            "from convbench.networks import arithmetic",
            "frameworks/keras/model imports networks/arithmetic",
        ),
        ("frameworks/keras/model", "import torch.nn", "frameworks/keras/model uses torch"),
        ("frameworks/keras/on_torch", "import jax", "frameworks/keras/on_torch uses jax"),
        ("frameworks/registry", "def f():\n    import keras", "frameworks/registry uses keras"),
        (
            "networks/zoo/classic/zfnet",
            "from convbench.networks.zoo.names import architecture",
            "networks/zoo/classic/zfnet imports networks/zoo/names",
        ),
        (
            "measure/worker/child",
            "from convbench.measure.run import Run",
            "measure/worker/child imports measure/run",
        ),
        (
            "measure/run",
            "from convbench.front.options import Options",
            "measure/run imports front/options",
        ),
        ("gate/run", "from convbench.report import facts", "gate/run imports report"),
        ("report/report", "from matplotlib.axes import Axes", "report/report uses matplotlib"),
        ("measure/run", "import pytest", "measure/run uses pytest"),
        ("measure/run", "import os\nos.environ['A'] = 'b'", "measure/run uses os.environ"),
        ("measure/run", "from os import environ", "measure/run uses os.environ"),
        ("measure/run", "import os\nos.getenv('A')", "measure/run uses os.getenv"),
    ],
)
def test_an_offending_source_is_seen(at, source, objection):
    assert [found.removesuffix("/facts") for found in objections(at, source)] == [objection]


@pytest.mark.parametrize(
    ("at", "source"),
    [
        ("networks/graph", "from convbench.networks import arithmetic"),
        ("checks/structure", "from convbench.papers.tables import read_table"),
        ("networks/zoo/names", "from convbench.networks.zoo.classic.vgg import vgg"),
        ("front/plugin/plugin", "import pytest\nfrom convbench.report import report"),
        ("frameworks/pytorch/model", "import torch.nn.functional as F"),
        ("measure/worker/launcher", "import os\nx = os.environ"),
        ("base/units", "import torchinfo, kerastuner"),
    ],
)
def test_an_innocent_source_is_left_alone(at, source):
    assert objections(at, source) == []


HEAVY = "torch tensorflow keras jax matplotlib pandas"
LATE = {
    "convbench": f"{HEAVY} numpy scipy rich attrs attr cattrs psutil tabulate pytest",
    "convbench.front.plugin.plugin": HEAVY,
    "convbench.front.plugin.own_fixtures": HEAVY,
    "convbench.front.cli.main": f"{HEAVY} numpy scipy rich cattrs psutil tabulate pytest",
    "convbench.measure.worker.template": f"{HEAVY} scipy rich",
    "convbench.measure.worker.own_models": f"{HEAVY} scipy rich",
}
"""What importing a module must not import: seconds for people, memory for workers."""


@pytest.mark.parametrize(("module", "heavy"), LATE.items(), ids=LATE)
def test_importing_brings_nothing_that_is_not_used_at_once(module, heavy):
    program = f"import sys, {module}; print(sorted({set(heavy.split())} & set(sys.modules)))"
    command = [sys.executable, "-W", "error", "-c", program]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "[]\n"
