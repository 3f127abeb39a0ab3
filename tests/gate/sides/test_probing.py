"""What a side's interpreter is asked, and what its workers are started with."""

from __future__ import annotations

import json
import os
from pathlib import Path

import psutil
import pytest
from attrs import evolve

from convbench.base.errors import BrokenSide
from convbench.base.importing import refer
from convbench.gate.run import Gate, Plan
from convbench.gate.sides import probing
from convbench.gate.sides.probing import OLDEST, SAME, Incomparable, comparable, facts
from convbench.gate.sides.sides import Side, SideLauncher
from convbench.gate.values import SideFacts
from convbench.measure.machine import environment as machine
from convbench.measure.records import Task, as_json
from convbench.measure.worker.messages import OwnModel
from tests.conftest import ROOT, script
from tests.support import entries, fakes


def fake(tmp_path: Path, answer: str, version: str = "echo 3.12") -> Side:
    """A side whose interpreter tells its version, and something when asked for more."""
    text = f'if [ "$1" = -c ]; then {version}; else\n{answer}\nfi'
    return Side(role="base", given="x", meaning="", python=str(script(tmp_path / "python", text)))


OTHER_FORM = json.dumps({**as_json(entries.ENVIRONMENT), "mood": "good"})

NO_CONVBENCH = "echo /usr/bin/python: No module named convbench"
NO_ATTRS = "echo \"ModuleNotFoundError: No module named 'attrs'\""
NO_COMMAND = "echo \"convbench: error: argument COMMAND: invalid choice: 'environment' (of\""

ANSWERS = {
    f"{NO_CONVBENCH} >&2; exit 1": "python has no convbench; install it there, as in /",
    f"{NO_ATTRS} >&2; exit 1": "finds lacks attrs; install it there, as in /",
    f"{NO_COMMAND} >&2; exit 2": "is older than the gate; install a newer one",
    "echo Segmentation fault >&2; kill -11 $$": "was killed by SIGSEGV: Segmentation fault; see",
    "exit 1": "ended with exit code 1 without a word; see what convbench environment says there",
    "echo hello": "answers in another form (its answer: wanted JSON, found ",
    "echo '[1]'": "answers in another form (its answer: wanted an object, found ",
    "echo '{}'": "answers in another form (its answer: wanted an environment, found ",
    f"cat <<'END'\n{OTHER_FORM}\nEND": "answers in another form (its answer: wanted an environment",
    "sleep 600": "asked for its environment, gave no answer for 3 s and was ended; see what it",
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_a_convbench_that_does_not_answer_breaks_its_side(tmp_path, answer):
    with pytest.raises(BrokenSide) as broken:
        facts(fake(tmp_path, answer), limit_s=3 if "sleep" in answer else 60)
    assert str(broken.value).startswith("base 'x': ")
    assert ANSWERS[answer] in str(broken.value)
    assert "\n" not in str(broken.value)


@pytest.mark.parametrize(
    ("version", "fault"),
    [
        ("echo 3.10", "is Python 3.10, and convbench needs 3.11 or newer; name a newer one"),
        ("echo 2.7", "is Python 2.7, and convbench needs 3.11 or newer"),
        ("echo hello", "is no Python: asked for its version it said 'hello'; name one, as in venv"),
        ("true", "is no Python: asked for its version it said nothing"),
        ("exit 4", "is no Python: asked for its version it said nothing"),
        ("sleep 600", "asked for its version, gave no answer for 3 s and was ended; see what"),
    ],
)
def test_an_interpreter_that_is_none_breaks_its_side(tmp_path, version, fault):
    with pytest.raises(BrokenSide, match="base 'x': ") as broken:
        facts(fake(tmp_path, "exit 9", version), limit_s=3 if "sleep" in version else 60)
    assert fault in str(broken.value)


def test_an_interpreter_that_cannot_be_started_breaks_its_side(tmp_path):
    side = fake(tmp_path, "")
    Path(side.python).write_text("#!/nowhere/at/all\n")
    with pytest.raises(
        BrokenSide, match=r"python cannot be started: No such file or dir.*; name a"
    ):
        facts(side)


def test_a_revision_without_convbench_is_told_how_to_get_it(tmp_path):
    side = evolve(fake(tmp_path, next(iter(ANSWERS))), folder=tmp_path)
    with pytest.raises(BrokenSide, match="has no convbench; let --install install it too, or take"):
        facts(side)


def test_an_answer_is_the_sides_environment(tmp_path):
    answer = json.dumps(as_json(entries.ENVIRONMENT))
    found = facts(fake(tmp_path, f"cat <<'END'\n{answer}\nEND"))
    assert found == SideFacts(role="base", given="x", meaning="", environment=entries.ENVIRONMENT)


def test_the_gate_knows_its_own_environment_without_asking(monkeypatch):
    monkeypatch.setattr(probing, "run", lambda *_, **__: pytest.fail("it was asked"))
    found = facts(Side(role="head", given=".", meaning="this interpreter"))
    assert found.environment.packages == machine.environment(Path.cwd()).packages


def test_the_oldest_python_is_the_one_that_is_asked_for():
    needed = f'requires-python = ">={".".join(map(str, OLDEST))}"'
    assert needed in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def of(role, **changes) -> SideFacts:
    environment = evolve(entries.ENVIRONMENT, **changes)
    return SideFacts(role=role, given="x", meaning="x", environment=environment)


def test_sides_that_are_the_same_need_no_words():
    assert comparable(of("base"), of("head", started="2031-01-01T00:00:00+00:00")) == []


def test_sides_may_differ_in_software_and_that_is_shown():
    base = of("base", python="CPython 3.11.7", packages=(("torch", "2.12"), ("numpy", "2.0")))
    head = of("head", python="CPython 3.13.0", packages=(("torch", "2.13"), ("keras", "3.15")))
    assert comparable(base, evolve(head, environment=evolve(head.environment, commit=None))) == [
        "Python: base CPython 3.11.7, head CPython 3.13.0",
        f"commit: base {entries.ENVIRONMENT.commit}, head none",
        "torch: base 2.12, head 2.13",
        "numpy: base 2.0, head none",
        "keras: base none, head 3.15",
    ]


@pytest.mark.parametrize("name", SAME)
def test_sides_on_other_machines_are_refused(name):
    value = getattr(entries.ENVIRONMENT, name)
    other = value + 1 if isinstance(value, int) else "another"
    with pytest.raises(Incomparable) as refused:
        comparable(of("base"), of("head", **{name: other}))
    assert str(refused.value).startswith("the sides are not on the same machine: ")
    assert f"base {value or 'none'}, head {other}; run both" in str(refused.value)


# What the workers of a side are started with.


@pytest.mark.parametrize(
    ("set_", "want"),
    [("active", "passive"), (" ACTIVE", "passive"), ("passive", "passive"), (None,) * 2],
)
def test_threads_that_wait_sleep(monkeypatch, set_, want):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    if set_:
        monkeypatch.setenv("OMP_WAIT_POLICY", set_)
    environment = Side(role="base", given=".", meaning="").environment
    assert environment.pop("OMP_WAIT_POLICY", None) == want
    assert environment == {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"}


def test_the_folders_of_a_side_go_before_those_of_the_user(monkeypatch):
    side = Side(role="base", given=".", meaning="", path=("/a", "/b"))
    monkeypatch.setenv("PYTHONPATH", "/c")
    assert side.environment["PYTHONPATH"] == os.pathsep.join(["/a", "/b", "/c"])
    monkeypatch.delenv("PYTHONPATH")
    assert side.environment["PYTHONPATH"] == os.pathsep.join(["/a", "/b"])


def test_a_model_is_looked_for_where_its_side_is_and_nowhere_else(tmp_path):
    task = Task(
        architecture="mine", framework="pytorch", pass_="forward", batch=1, device="cpu", threads=1
    )
    plan = Plan(
        subjects=(),
        tolerances={},
        budget_s=1.0,
        seed=1,
        tables="",
        command="",
        own=OwnModel(make=refer("net:small"), input=(3, 8, 8), path=("/the/gates/packages",)),
    )
    base = Side(role="base", given="v1", meaning="", path=("/first",), folder=tmp_path)
    head = Side(role="head", given=".", meaning="")
    gate = Gate(plan, {"base": base, "head": head}, {}, start=None)
    assert gate._request(task, "base").own.path == ("/first", str(tmp_path))
    assert gate._request(task, "head").own.path == (str(Path.cwd()),)


@pytest.mark.processes
def test_a_sides_worker_runs_in_its_folder_with_its_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    side = Side(role="base", given=".", meaning="", path=(str(tmp_path),), folder=tmp_path)
    with SideLauncher(side, fakes.NAME, timeout_s=60) as launcher, launcher.open("a task") as child:
        process = psutil.Process(child.pid)
        assert process.cwd() == str(tmp_path)
        assert process.environ()["OMP_WAIT_POLICY"] == "passive"
        assert process.environ()["PYTHONPATH"].startswith(f"{tmp_path}{os.pathsep}")


@pytest.mark.processes
def test_a_framework_that_a_side_lacks_names_the_side():
    side = Side(role="head", given="v1", meaning="")
    told = r"^head 'v1': nowhere\.at_all cannot be used: importing"
    launcher = SideLauncher(side, "nowhere.at_all", timeout_s=60)
    with launcher, pytest.raises(BrokenSide, match=told):
        launcher.open("a task")
