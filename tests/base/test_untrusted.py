"""What is read from disk is values: it is refused in one sentence, and never executed."""

from __future__ import annotations

import ast
import io
import json
import pickle
import random
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import convbench
from convbench.base.errors import BadRecord
from convbench.frameworks.arrays import reading
from convbench.measure.journal import Journal
from convbench.report.report import markdown
from tests.support.samples import write_run, write_sources

SOURCE = Path(convbench.__file__).parent
EXECUTING = {"eval", "exec", "compile", "__import__"}
UNSAFE = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "yaml", "runpy"}


def dangers(source: str) -> list[str]:
    """Calls and imports by which text or bytes become code."""
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in EXECUTING:
                found.append(name)
            case ast.Import(names=names):
                found += [a.name for a in names if a.name.partition(".")[0] in UNSAFE]
            case ast.ImportFrom(module=str(module)) if module.partition(".")[0] in UNSAFE:
                found.append(module)
            case ast.keyword(arg="allow_pickle", value=ast.Constant(value=True)):
                found.append("allow_pickle")
            case ast.Call(func=ast.Attribute(value=ast.Name(id="np"), attr="load"), keywords=given):
                if not any(word.arg == "allow_pickle" for word in given):
                    found.append("np.load")
    return found


ALLOWED = {"importing": ["pickle"]}
"""What a test binds to a model of its own, on the way from that test to its worker."""


@pytest.mark.parametrize("file", sorted(SOURCE.rglob("*.py")), ids=lambda file: file.stem)
def test_no_module_makes_code_of_what_it_reads(file):
    assert dangers(file.read_text(encoding="utf-8")) == ALLOWED.get(file.stem, [])


def test_what_a_run_reads_of_a_worker_is_never_loaded():
    """Only the worker's side calls `load`, which imports and unpickles what its parent sent."""
    callers = [f.stem for f in SOURCE.rglob("*.py") if ".make.load()" in f.read_text("utf-8")]
    assert callers == ["own_models"]


@pytest.mark.parametrize(
    "source",
    [
        *("eval('1')", "exec(text)", "import pickle", "from yaml import load"),
        *("np.load(path)", "np.load(path, allow_pickle=True)", "import joblib.memory"),
    ],
)
def test_what_would_is_seen(source):
    assert len(dangers(source)) == 1


class Bomb:
    """Leaves a trace when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


def test_an_array_of_objects_is_refused_and_not_unpickled(tmp_path):
    trace, array = tmp_path / "trace", io.BytesIO()
    np.lib.format.write_array(array, np.array([Bomb(trace)], dtype=object), allow_pickle=True)
    for name, content in (("array", array.getvalue()), ("pickle", pickle.dumps(Bomb(trace)))):
        file = tmp_path / f"{name}.npz"
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("output:c1.npy", content)
        with reading(file) as found, pytest.raises(BadRecord, match="what was computed"):
            found["output", "c1"]()
    bare = tmp_path / "bare.npz"
    bare.write_bytes(pickle.dumps(Bomb(trace)))
    with pytest.raises(BadRecord), reading(bare):
        pass
    assert not trace.exists()


ABSURD = [
    *(None, True, -1, 0, 2**63, 10**400, 1e308, -0.0, "", "x" * 10**5, "\udc80", "\x1b[2J"),
    *([], {}, [[]], {"a": 1}, [None], ["x"], [1e999], "__import__('os').system('true')"),
    *("<script>", "../../etc/passwd", "convbench.measure.worker.child:main", "os.system"),
]


def mutated(line: dict, chance: random.Random) -> dict:
    """An entry of which one value, at any depth, is another one."""
    found: object = line
    while True:
        places = list(found) if isinstance(found, dict) else range(len(found))
        at = chance.choice(list(places))
        inner = found[at]
        if not isinstance(inner, dict | list) or not inner or chance.random() < 0.2:
            found[at] = chance.choice(ABSURD)
            return line
        found = inner


def reported(journal: Journal, tables: Path) -> tuple[str, str]:
    """The sentence with which a journal is refused, or its report."""
    try:
        return "", markdown(list(journal.entries()), "run", tables)
    except BadRecord as error:
        return str(error), ""


@pytest.mark.parametrize("seed", range(300))
def test_an_absurd_value_is_a_value_or_a_sentence(tmp_path, seed):
    chance = random.Random(seed)
    journal = Journal(write_run(tmp_path) / "measurements.jsonl")
    lines = [json.loads(line) for line in journal.path.read_text(encoding="utf-8").splitlines()]
    number = chance.randrange(len(lines))
    lines[number] = mutated(lines[number], chance)
    text = "".join(f"{json.dumps(line)}\n" for line in lines)
    journal.path.write_text(text, encoding="utf-8")
    refused, made = reported(journal, write_sources(tmp_path))
    if refused:
        assert refused.startswith(f"measurements.jsonl, line {number + 1}: wanted ")
        assert "\n" not in refused
        assert len(refused) < 3000
    assert "<script>" not in made.split("## How it was measured")[0]
    assert "\x1b" not in made


@pytest.mark.processes
@pytest.mark.parametrize("line", [2, 6])
def test_the_command_says_it_in_one_sentence(tmp_path, line):
    folder = write_run(tmp_path)
    journal = folder / "measurements.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    lines[line - 1] = b'{"schema": 1, "kind": "measurement", "task": ' + b"[" * 10**5 + b"\n"
    journal.write_bytes(b"".join(lines))
    command = [sys.executable, "-m", "convbench", "report", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert f"measurements.jsonl, line {line}: wanted JSON" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
