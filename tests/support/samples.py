"""A small run as a journal keeps it, made by hand: figures that can be checked in the head."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from attrs import evolve

from convbench.checks.parity import Parity
from convbench.checks.structure import CheckReport, Finding
from convbench.measure.journal import Journal
from convbench.measure.records import Entry, Environment, Measurement, Memory, Task
from convbench.papers.printed import Printed

MIB = 2**20

ENVIRONMENT = Environment(
    cpu="AMD EPYC",
    cores=8,
    memory_bytes=16 * 2**30,
    gpu=None,
    driver=None,
    system="Linux 6.1",
    python="CPython 3.11.7",
    convbench="0.1.0",
    commit="0123456789ab",
    started="2026-01-02T03:04:05+00:00",
)

SOURCES = """
[lenet-1998]
title = "Gradient-Based Learning"
authors = "LeCun et al."
year = 1998
where = "Proceedings of the IEEE"
"""

unverified = partial(Finding, unverified="seen once")


def task(architecture: str, framework: str, pass_: str) -> Task:
    return Task(
        architecture=architecture,
        framework=framework,
        pass_=pass_,
        batch=4,
        device="cpu",
        threads=8,
    )


def measured(task_: Task, step_s: float, host_bytes: int | None) -> Measurement:
    """Six rounds whose median is `step_s`, with an interval that ends a tenth away from it."""
    return Measurement(
        task=task_,
        outcome="measured",
        version=f"{task_.framework} 1.0",
        build_s=0.5,
        first_s=50 * step_s,
        warmup_s=(step_s, step_s),
        rounds_s=tuple(step_s * part for part in (1.1, 0.9, 1.0, 1.0, 1.1, 0.9)),
        memory=Memory(host_bytes=host_bytes),
        load_before=0.5,
        load_after=1.25,
    )


def lenet(framework: str) -> CheckReport:
    findings = (
        Finding("c1", "parameters", "lenet-1998", Printed("156"), 156, 156, "agrees", "Figure 2"),
        unverified("c3", "parameters", "lenet-1998", Printed("1,516"), 1516, 1516, "agrees"),
        Finding("network", "parameters", "lenet-1998", Printed("60,000"), 60_000, 60_000, "agrees"),
        Finding(
            "network", "macs", "lenet-1998", Printed("300K"), 325_680, 325_680, "erratum", "Old."
        ),
    )
    return CheckReport("lenet5", framework, 60_000, 840, 325_680, 15, findings)


VGG = CheckReport("vgg16", "keras", 138_357_544, 0, 15_470_264_320, 40, ())
WRONG = evolve(
    VGG,
    framework="pytorch",
    findings=(
        Finding(
            "conv1_1", "output", None, None, (64, 224, 224), (64, 222, 222), "differs", "no pad"
        ),
    ),
)


def same(name: str, *sides: str) -> Parity:
    """What was found of two sides that compute the same function."""
    assert len(sides) == 2
    return Parity(name, sides, 4e-15, 3e-14, 1e-16, 0.0, 1, "conv1", None, 2.5)


ENTRIES: tuple[Entry, ...] = (
    ENVIRONMENT,
    lenet("pytorch"),
    lenet("keras"),
    WRONG,
    VGG,
    measured(task("lenet5", "pytorch", "backward"), 0.02, 30 * MIB),
    Measurement(
        task=task("lenet5", "keras", "backward"), outcome="failed", reason="was killed by SIGKILL"
    ),
    measured(task("lenet5", "pytorch", "forward"), 0.01, 10 * MIB),
    measured(task("lenet5", "keras", "forward"), 0.02, None),
    same("lenet5", "pytorch", "keras"),
    Measurement(
        task=task("vgg16", "pytorch", "forward"), outcome="refused", reason="not the paper's"
    ),
    measured(task("vgg16", "keras", "forward"), 2.0, 700 * MIB),
)


ALEXNET = CheckReport("alexnet", "keras", 60_965_224, 0, 724_406_816, 26, ())


def _alexnet(framework: str, mode: str, pass_: str, *rounds_s: float) -> Measurement:
    timed = evolve(task("alexnet", framework, pass_), mode=mode)
    return evolve(measured(timed, rounds_s[0], 90 * MIB), rounds_s=rounds_s, budget_s=2.0)


IN_TWO_MODES: tuple[Entry, ...] = (
    ENVIRONMENT,
    evolve(ALEXNET, framework="pytorch"),
    ALEXNET,
    evolve(ALEXNET, framework="keras native_groups"),
    _alexnet("pytorch", "default", "forward", *6 * (0.05,)),
    _alexnet("keras", "default", "forward", *6 * (0.06,)),
    _alexnet("keras", "native_groups", "forward", 0.042, 0.038, 0.04, 0.04, 0.042, 0.038),
    measured(task("lenet5", "keras", "forward"), 0.01, 10 * MIB),
    same("alexnet", "pytorch", "keras"),
    same("alexnet", "keras", "keras native_groups"),
    _alexnet("keras", "default", "backward", 2.88, 3.12),
    _alexnet("keras", "native_groups", "backward", 0.203, 0.197, 0.2, 0.2, 0.203, 0.197),
)


def write_run(root: Path, entries: tuple[Entry, ...] = ENTRIES) -> Path:
    """The folder of a run with these entries."""
    folder = root / "reports" / "2026-01-02T030405-cpu"
    journal = Journal(folder / "measurements.jsonl")
    for entry in entries:
        journal.append(entry)
    return folder


def write_sources(root: Path) -> Path:
    """A folder of tables with the one source that the samples name."""
    folder = root / "tables"
    folder.mkdir(exist_ok=True)
    (folder / "sources.toml").write_text(SOURCES, encoding="utf-8")
    return folder
