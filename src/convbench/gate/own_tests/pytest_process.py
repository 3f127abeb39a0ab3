"""One pytest process of one side: how it is started, watched and ended, and what it told."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Literal, TypeAlias

from attrs import field, frozen

from convbench.base.errors import FromWorkingTree, WorkerFailed, one_line, telling_line
from convbench.base.processes import provenance
from convbench.base.processes.programs import ending, inherited
from convbench.base.units import Second
from convbench.gate.sides.sides import Side
from convbench.gate.values import Role
from convbench.measure.worker.launcher import end

PLUGIN = "convbench_gate_witness"
LOOK: Second = 0.1
"""How often it is looked whether anything new was told."""
WORDS = 200

What: TypeAlias = Literal[
    "plugin",
    "error",
    "timed",
    "untimed",
    "began",
    "failed",
    "skipped",
    "ended",
    "finished",
    "foreign",
    "shared",
]


def _short(text: object) -> str:
    return telling_line(str(text), WORDS)


@frozen
class Fact:
    """One line of what the plugin `witness` writes."""

    what: What
    of: str = ""
    """A node id, or the name of a plugin or module."""
    why: str = field(default="", converter=_short)


@frozen(kw_only=True)
class Ran:
    """What one pytest process told, and how it ended."""

    facts: tuple[Fact, ...]
    ended: str
    """Why it did not come to its own end, in words; empty if it did."""
    last_words: str
    timings: bytes = b""
    """What pytest-benchmark wrote of its rounds."""

    def of(self, *what: What) -> dict[str, str]:
        """The reason of each thing of which such a fact was told."""
        return {fact.of: fact.why for fact in self.facts if fact.what in what}

    @property
    def finished(self) -> bool:
        """Whether pytest came to its end, whatever it found."""
        return not self.ended and any(fact.what == "finished" for fact in self.facts)

    @property
    def faults(self) -> list[str]:
        """What is wrong with all of it: files that cannot be collected, code of another side."""
        provenance = [str(FromWorkingTree(*found)) for found in self.of("foreign").items()]
        return [f"{at}: {why}" for at, why in self.of("error").items()] + provenance

    @property
    def running(self) -> str | None:
        """The test that had begun last, and was not over when nothing more was told."""
        told = [fact for fact in self.facts if fact.what in ("began", "ended")]
        return told[-1].of if told and told[-1].what == "began" else None

    def failure(self, side: str, stage: str) -> WorkerFailed:
        """What is said of a process that did not do what it was started for."""
        words = f"; its last words: {self.last_words}" if self.last_words else ""
        return WorkerFailed(side, stage, f"its pytest {self.ended or 'does not run'}{words}")


def called(role: Role, side: Side) -> str:
    """A side, in a sentence."""
    return f"{role} {side.given!r}"


def run(
    side: Side, arguments: Sequence[str], timeout_s: Second, only: Collection[str] | None = None
) -> Ran:
    """Runs pytest in a process of its own, until it ends or tells nothing for `timeout_s`.

    With `only`, of what the arguments select only these tests, which pytest-benchmark times.
    """
    with TemporaryDirectory(prefix="convbench-gate-") as name:
        folder = Path(name)
        facts, timings = folder / "facts.jsonl", folder / "timings.json"
        options = ["-q", "-p", "no:cacheprovider", "--rootdir=."]
        options += ["-p", PLUGIN, f"--gate-facts={facts}"]
        if only is not None:
            wanted = folder / "only.json"
            wanted.write_text(json.dumps(sorted(only)), encoding="utf-8")
            options += [f"--gate-only={wanted}", "--benchmark-only", "--benchmark-enable"]
            options += [f"--benchmark-json={timings}"]
        shutil.copyfile(Path(__file__).with_name("reporter_plugin.py"), folder / f"{PLUGIN}.py")
        shutil.copyfile(provenance.__file__, folder / f"{PLUGIN}_foreign.py")
        path = inherited([name, *side.path], side.tree)["PYTHONPATH"]
        options += [f"--gate-foreign={side.tree}"] if side.tree else [f"--gate-shared={Path.cwd()}"]
        command = [side.python, "-m", "pytest", *options, *arguments]
        ended = _run([path, *command], side.folder, folder, timeout_s)
        return Ran(
            facts=tuple(_facts(_read(facts))),
            ended=ended,
            last_words=_last_words(_read(folder / "output")),
            timings=_read(timings),
        )


def _run(words: Sequence[str], where: Path | None, folder: Path, timeout_s: Second) -> str:
    """How a process ended, empty where pytest itself says how; nothing of it is left."""
    command = [sys.executable, "-m", "convbench.gate.own_tests", *words]
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=where,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches the gate alone, which ends them all
        )
        try:
            if not _ends(process, folder / "facts.jsonl", timeout_s):
                return f"gave no sign for {timeout_s:g} s and was killed"
        finally:
            end(process)
    code = process.returncode
    if code in range(6):  # pytest's own
        return ""
    return ending(code if 0 <= code <= 128 else 128 - abs(code))


def _ends(process: subprocess.Popen[bytes], facts: Path, timeout_s: Second) -> bool:
    """Waits until a process ends, or nothing new is told for too long; whether it has ended."""
    told, until = -1, monotonic() + timeout_s
    while monotonic() < until:
        try:
            process.wait(min(LOOK, timeout_s))
        except subprocess.TimeoutExpired:
            size = facts.stat().st_size if facts.exists() else -1
            if size != told:
                told, until = size, monotonic() + timeout_s
        else:
            return True
    return False


def _read(file: Path) -> bytes:
    return file.read_bytes() if file.exists() else b""


def _facts(text: bytes) -> Iterator[Fact]:
    """The facts of all whole lines; the last one is cut off where a process was killed."""
    for line in text.splitlines():
        try:
            yield Fact(**json.loads(line))
        except (TypeError, ValueError):
            continue


def _last_words(output: bytes) -> str:
    """The last line that says what is wrong, or else the last line."""
    lines = [one_line(line, WORDS) for line in output.decode(errors="replace").splitlines()]
    lines = [line for line in lines if line]
    errors = [line for line in lines if line.lower().startswith("error: ")]
    return (errors or lines or [""])[-1]
