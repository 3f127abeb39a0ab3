"""Imports point one way, and each piece of the outside world enters in one file."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import convbench

SOURCE = Path(convbench.__file__).parent

ALLOWED = {
    "convbench": ("architectures", "errors", "fidelity", "graph"),
    "units": (),
    "errors": (),
    "ops": ("errors",),
    "stats": (),
    "processors": ("units",),
    "estimates": ("record", "stats", "units"),
    "nvml": (),
    "gpu_use": ("units",),
    "gpu": ("gpu_use", "nvml", "units"),
    "timing": (
        *("errors", "gpu", "gpu_use", "launcher", "messages", "processors", "record", "stats"),
        "units",
    ),
    "tables": (),
    "infer": ("ops", "errors"),
    "graph": ("ops", "infer", "errors"),
    "observation": ("ops", "errors"),
    "trace": ("graph", "infer", "ops"),
    "fidelity": (
        *("architectures", "errors", "fidelity", "frameworks", "graph", "ops", "tables"),
        *("trace", "units"),
    ),
    "kinds": ("graph", "ops"),
    "roofline": ("graph", "ops", "units"),
    "modes": ("graph", "ops"),
    "evidence": ("errors",),
    "files": (),
    "own": ("errors",),
    "parity": ("evidence", "graph", "errors", "units"),
    "rounding": ("evidence", "graph", "ops", "parity", "units"),
    "examination": (
        "evidence",
        "messages",
        "launcher",
        "graph",
        "modes",
        "parity",
        "rounding",
        "errors",
    ),
    "cases": ("architectures", "frameworks", "modes", "errors"),
    "classes": ("graph", "ops", "errors"),
    "architectures": ("architectures", "classes", "graph", "ops", "errors"),
    "reference": ("errors", "units"),
    "implementations": ("architectures", "graph", "reference", "errors", "tables", "units"),
    "quantities": ("graph", "infer", "ops", "observation"),
    "check": ("graph", "quantities", "ops", "observation", "reference", "errors"),
    "frameworks": (
        *("ops", "graph", "modes", "errors", "evidence", "units", "observation", "frameworks"),
        "trace",
    ),
    "record": ("units", "errors", "check", "gpu_use", "modes", "parity"),
    "canon": ("architectures", "graph", "messages", "reference", "errors"),
    "messages": ("record", "check", "errors", "modes", "own", "units"),
    "host_memory": ("units",),
    "batch_search": ("units",),
    "memory_needs": ("errors", "graph", "machine", "modes", "ops", "record", "units"),
    "machine": ("nvml", "record", "units", "convbench"),
    "worker": (
        *("messages", "record", "architectures", "check", "errors", "frameworks", "graph"),
        *("canon", "evidence", "machine", "modes", "observation", "ops", "reference", "units"),
        *("host_memory", "memory_needs", "offspring", "own", "worker_attain", "worker_clock"),
        *("worker_extra", "worker_own", "worker_profile"),
    ),
    "worker_extra": ("units",),
    "worker_clock": ("errors", "frameworks", "units"),
    "worker_profile": ("messages", "errors", "frameworks", "units"),
    "profiling": (
        *("errors", "graph", "kinds", "launcher", "messages", "modes", "processors", "record"),
        *("roofline", "stats", "units"),
    ),
    "worker_attain": ("messages", "errors", "frameworks", "machine", "roofline", "units"),
    "worker_own": (
        *("messages", "errors", "fidelity", "foreign", "frameworks", "host_memory", "own"),
        "units",
    ),
    "outcomes": ("errors", "machine", "record", "timing"),
    "resume": ("record", "check", "errors", "parity", "timing"),
    "guard": ("offspring", "worker"),
    "offspring": ("units",),
    "launcher": ("messages", "errors", "host_memory", "memory_needs", "processes", "units"),
    "foreign": (),
    "processes": ("errors", "foreign", "interrupts", "units"),
    "gate": (
        *("architectures", "check", "errors", "estimates", "examination", "files", "foreign"),
        *("frameworks", "gate", "graph", "guard", "interrupts", "launcher", "machine"),
        *("messages", "modes", "own", "parity"),
        *("plausibility", "processes", "record", "stats", "tables", "timing", "units"),
    ),
    "runner": (
        *("launcher", "messages", "record", "check", "errors", "machine", "modes", "units"),
        *("architectures", "batch_search", "examination", "graph", "memory_needs", "own"),
        *("frameworks", "gpu", "interrupts", "outcomes", "parity", "processors", "resume"),
        "timing",
    ),
    "plots_gate": ("errors", "files", "gate"),
    "plots": ("record", "check", "graph", "reference", "stats", "units", "errors"),
    "report": (
        *("parity", "record", "check", "graph", "reference", "stats", "units", "errors", "plots"),
        *("estimates", "files", "report_gpu", "report_how"),
        *("modes", "report_modes", "report_parity", "report_physics", "report_throughput"),
        "tables",
    ),
    "report_gpu": ("gpu_use", "record", "report_throughput", "tables", "units"),
    "report_how": ("errors", "modes", "record"),
    "report_modes": ("estimates", "modes", "report_throughput", "tables"),
    "report_parity": ("parity", "record", "tables", "units"),
    "report_physics": ("plausibility", "record", "report_throughput", "tables", "units"),
    "report_throughput": (
        *("estimates", "plausibility", "record", "parity", "stats", "tables", "units"),
    ),
    "plausibility": (
        *("architectures", "errors", "estimates", "graph", "kinds", "record", "roofline"),
        "units",
    ),
    "throughput": ("estimates", "record", "report_throughput", "tables", "units"),
    "progress": ("estimates", "parity", "record", "report_throughput", "units"),
    "interrupts": (),
    "options": (
        *("architectures", "canon", "cases", "errors", "frameworks", "messages", "modes", "units"),
        "resume",
    ),
}

FAMILY = (
    *("graph", "ops", "errors"),
    *("architectures.blocks", "architectures.branches", "architectures.digits"),
)
"""What a file of `architectures` may import: the description of networks, not of each other."""

BASES = {
    "architectures.resnext": ("architectures.resnet",),
    "architectures.inception_v4": ("architectures.inception_v3",),
    "architectures.inception_resnet": (
        "architectures.inception_v3",
        "architectures.inception_v4",
    ),
    "architectures.transfer": (
        *("architectures.vgg", "architectures.resnet", "architectures.inception_v3"),
    ),
}
"""Networks that are made of others' parts, and of whose."""

OUTERMOST = ("__main__", "cli", "plugin", "session", "bench_fixtures", "bench_gate", "fixtures")
"""May import anything, and nothing imports them, but for WITHIN."""

WITHIN = (
    ("__main__", "cli"),
    ("plugin", "session"),
    ("bench_fixtures", "session"),
    ("bench_gate", "session"),
    ("fixtures", "session"),
)
"""What is one thing in several files."""

PYTORCH = tuple(
    f"frameworks.pytorch{part}"
    for part in (
        *("", "_cuda", "_examine", "_layers", "_modes", "_peaks", "_profile", "_trace"),
        "_trace_arithmetic",
        *("_trace_calls", "_trace_effects", "_trace_layers", "_trace_recorder", "_trace_shapes"),
    )
)
KERAS = tuple(
    f"frameworks.keras{part}"
    for part in (
        *("", "_backend", "_examine", "_jax", "_layers", "_losses", "_network", "_tensorflow"),
        *("_peaks", "_profile", "_torch"),
        *("_trace", "_trace_hooks", "_trace_layers", "_trace_parts"),
    )
)

ENTRANCES = {
    "torch": (*PYTORCH, "frameworks.keras_torch"),
    "keras": KERAS,
    "tensorflow": (
        "frameworks.keras_tensorflow",
        "frameworks.keras_peaks",
        "frameworks.keras_profile",
    ),
    "jax": ("frameworks.keras_jax",),
    "matplotlib": ("plots", "plots_gate"),
    "pynvml": ("nvml",),
    "pytest": ("plugin", "session", "bench_fixtures", "bench_gate", "fixtures", "gate.witness"),
    "os.environ": (
        *("launcher", "options", "processes", "gate.guarded"),
        *("frameworks", "frameworks.keras_jax"),
    ),
    "os.getenv": ("launcher", "options"),
}


def module_name(file: Path) -> str:
    parts = file.relative_to(SOURCE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__") or "convbench"


MODULES = {module_name(file): file for file in sorted(SOURCE.rglob("*.py"))}


def imported(source: str) -> Iterator[str]:
    """Dotted names of everything that a source text imports, and of what it reads of `os`."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=module, names=names, level=0):
                yield from (f"{module}.{alias.name}" for alias in names)
            case ast.ImportFrom(level=level):
                yield "." * level
            case ast.Attribute(value=ast.Name(id="os"), attr=attribute):
                yield f"os.{attribute}"


def ours(name: str) -> str | None:
    """The module of ours that an import of `name` reaches; None for what is not ours."""
    if name.partition(".")[0] not in ("convbench", ""):
        return None
    inner = name.removeprefix("convbench.")
    while inner not in MODULES and "." in inner.strip("."):
        inner = inner.rpartition(".")[0]
    return inner if inner in MODULES or inner.startswith(".") else "convbench"


def lies_in(name: str, places: tuple[str, ...]) -> bool:
    return any(name == place or name.startswith(f"{place}.") for place in places)


def allowed(module: str, reached: str) -> bool:
    if reached in OUTERMOST:
        return (module, reached) in WITHIN
    if lies_in(reached, ("commands",)):
        return lies_in(module, ("cli", "commands"))
    if module in OUTERMOST or lies_in(module, ("commands",)):
        return reached in MODULES
    package, _, file = module.partition(".")
    if package == "architectures" and file:
        return reached in FAMILY + BASES.get(module, ())
    return lies_in(reached, ALLOWED[package])


def objections(module: str, source: str) -> list[str]:
    """Everything in a source text that its module may not import or read."""
    found = []
    for name in imported(source):
        reached = ours(name)
        if reached is not None and not allowed(module, reached):
            found.append(f"{module} imports {reached}")
        for guarded, places in ENTRANCES.items():
            if lies_in(name, (guarded,)) and module not in places:
                found.append(f"{module} uses {guarded}")
    return found


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_one_way(module):
    assert objections(module, MODULES[module].read_text(encoding="utf-8")) == []


def test_every_module_has_a_rule():
    packages = {name.partition(".")[0] for name in MODULES}
    assert packages == {*ALLOWED, *OUTERMOST, "commands"}


def test_no_module_is_overlooked():
    assert {"ops", "architectures", "architectures.vgg", "frameworks.keras"} <= set(MODULES)


@pytest.mark.parametrize(
    ("module", "source", "objection"),
    [
        ("ops", "from convbench import graph", "ops imports graph"),
        ("ops", "from convbench.graph import Graph", "ops imports graph"),
        ("units", "import convbench.errors", "units imports errors"),
        ("units", "import convbench", "units imports convbench"),
        ("graph", "from . import ops", "graph imports ."),
        ("frameworks.keras", "from convbench import infer", "frameworks.keras imports infer"),
        ("frameworks.keras", "import torch.nn", "frameworks.keras uses torch"),
        ("frameworks.keras", "import tensorflow as tf", "frameworks.keras uses tensorflow"),
        ("frameworks.keras_torch", "import jax", "frameworks.keras_torch uses jax"),
        ("frameworks", "def f():\n    import keras", "frameworks uses keras"),
        ("architectures.zfnet", "from convbench.architectures import alexnet", None),
        (
            "architectures.resnet",
            "from convbench.architectures.resnext import resnext",
            "architectures.resnet imports architectures.resnext",
        ),
        ("launcher", "from convbench.worker import main", "launcher imports worker"),
        ("runner", "from convbench.plugin import State", "runner imports plugin"),
        ("cli", "import convbench.plugin", "cli imports plugin"),
        ("plugin", "from convbench import fixtures", "plugin imports fixtures"),
        ("throughput", "import pytest", "throughput uses pytest"),
        ("runner", "from convbench.commands import parity", "runner imports commands.parity"),
        ("commands.parity", "from convbench import cli", "commands.parity imports cli"),
        ("report", "from matplotlib.axes import Axes", "report uses matplotlib"),
        ("worker", "import os\nos.environ['A'] = 'b'", "worker uses os.environ"),
        ("worker", "from os import environ", "worker uses os.environ"),
        ("worker", "import os\nos.getenv('A')", "worker uses os.getenv"),
    ],
)
def test_an_offending_source_is_seen(module, source, objection):
    expected = objection or "architectures.zfnet imports architectures.alexnet"
    assert objections(module, source) == [expected]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("graph", "from convbench import infer\nfrom convbench.ops import Conv"),
        ("machine", "from convbench import __version__"),
        ("worker", "from convbench.frameworks import Pass, weights"),
        ("architectures", "from convbench.architectures.vgg import vgg"),
        ("architectures.vgg", "from convbench.architectures.blocks import classifier"),
        ("architectures.resnext", "from convbench.architectures.resnet import bottlenecks"),
        ("plugin", "import pytest\nfrom convbench import report"),
        ("frameworks.pytorch", "import torch.nn.functional as F"),
        ("launcher", "import os\nx = os.environ"),
        ("units", "import torchinfo, kerastuner"),
    ],
)
def test_an_innocent_source_is_left_alone(module, source):
    assert objections(module, source) == []


HEAVY = {"torch", "tensorflow", "keras", "jax", "matplotlib", "pandas"}
LATE = {
    "convbench": HEAVY,
    "convbench.plugin": HEAVY,
    "convbench.fixtures": HEAVY,
    "convbench.cli": {*HEAVY, "scipy", "rich"},
    "convbench.worker": {*HEAVY, "scipy", "rich"},
    "convbench.worker_own": {*HEAVY, "scipy", "rich"},
}
"""What importing a module must not import: seconds for the first, memory for the workers."""


@pytest.mark.parametrize(("module", "heavy"), LATE.items(), ids=LATE)
def test_importing_brings_nothing_that_is_not_used_at_once(module, heavy):
    program = f"import sys, {module}; print(sorted({heavy} & set(sys.modules)))"
    command = [sys.executable, "-W", "error", "-c", program]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "[]\n"
