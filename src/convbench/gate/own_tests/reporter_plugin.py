"""What a side's pytest tells the gate: a plugin that is copied to where its interpreter finds it.

It stands alone, because that interpreter need not have convbench. Each line that it writes is one
fact as JSON, so that it is known what was going on however the process ends.
"""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

FACTS, ONLY = "--gate-facts", "--gate-only"
TREES = {
    "foreign": "folder of which nothing may be imported",
    "shared": "folder of which it is told what is imported",
}
OPTIONS = {"benchmark": "benchmark_only", "xdist": "numprocesses"}
"""What plugins are known by: under which names they are registered depends on who loads them."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where to write, and which tests to run."""
    group = parser.getgroup("convbench gate")
    group.addoption(FACTS, type=Path, required=True, help="file that takes what is to be told")
    group.addoption(ONLY, type=Path, help="file with the node ids to run, a JSON list")
    for what, help_ in TREES.items():
        group.addoption(f"--gate-{what}", help=help_)


def pytest_configure(config: pytest.Config) -> None:
    """Begins to tell: which plugins there are that matter."""
    witness = Witness(config.getoption(FACTS), config.getoption(ONLY))
    for plugin, option in OPTIONS.items():
        if hasattr(config.option, option):
            witness.tell("plugin", plugin)
    config.pluginmanager.register(witness, "convbench_gate_witness_")


class Witness:
    """The hooks that write down what happens."""

    def __init__(self, facts: Path, only: Path | None) -> None:
        self.facts = facts
        self.only = None if only is None else set(json.loads(only.read_text(encoding="utf-8")))

    def tell(self, what: str, of: str = "", why: str = "") -> None:
        """Writes one fact."""
        with self.facts.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"what": what, "of": of, "why": why}) + "\n")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Tells of a file that cannot be collected."""
        if report.failed:
            self.tell("error", report.nodeid, reason(report))

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Tells of each test whether it has a benchmark; leaves those that are wanted."""
        unique = {item.nodeid: item for item in items}
        for nodeid, item in unique.items():
            timed = "benchmark" in getattr(item, "fixturenames", ())
            self.tell("timed" if timed else "untimed", nodeid)
        if self.only is not None:
            wanted = [item for nodeid, item in unique.items() if nodeid in self.only]
            config.hook.pytest_deselected(items=[item for item in items if item not in wanted])
            items[:] = wanted

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Tells what begins, which is what was going on if nothing more is told."""
        self.tell("began", nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Tells why a test does not count."""
        if not report.passed:
            self.tell(report.outcome, report.nodeid, reason(report))

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Tells that a test is over."""
        self.tell("ended", nodeid)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Tells what was imported, and that pytest has come to its end and written its files."""
        foreign = import_module(f"{__name__}_foreign")  # a copy, as this is one
        for what in TREES:
            if tree := session.config.getoption(f"--gate-{what}"):
                for name, file in foreign.imported(tree).items():
                    self.tell(what, name, file)
        self.tell("finished")

    @pytest.hookimpl(optionalhook=True, tryfirst=True)
    def pytest_benchmark_generate_machine_info(self) -> dict[str, Any]:
        """Nothing: to ask the processor takes longer than some benchmarks, in every process."""
        return {"node": ""}

    @pytest.hookimpl(optionalhook=True, tryfirst=True)
    def pytest_benchmark_generate_commit_info(self) -> dict[str, Any]:
        """Nothing: it starts git, and the gate knows what its sides are."""
        return {"id": ""}


def reason(report: Any) -> str:
    """Why a test failed or was skipped, or a file could not be collected."""
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2])
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None:
        return str(crash.message)
    lines = [line for line in str(report.longrepr or "").splitlines() if line.strip()]
    errors = [line[1:] for line in lines if line.startswith("E ")]
    return dedent("\n".join(errors)) or (lines or ["it says nothing"])[-1]
