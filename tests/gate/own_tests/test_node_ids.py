"""The gate times the user's own pytest tests: real pytest processes, with clocks that are told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from math import log
from pathlib import Path
from random import Random
from textwrap import dedent
from typing import Any

import psutil
import pytest
from attrs import evolve

from convbench.base.errors import BadOption, Unsupported, WorkerFailed
from convbench.gate.loop import Loop
from convbench.gate.own_tests.node_ids import Chosen, choose
from convbench.gate.sides.sides import Side
from convbench.gate.values import ROLES, Question
from tests.conftest import ROOT, output, script, wait_for

pytestmark = pytest.mark.processes
TIMEOUT = 120


SPEED = """
    import os
    from itertools import count
    from pathlib import Path

    import pytest

    STEP = {step}

    def timed(benchmark, request):
        ticks = count(step=STEP)
        benchmark._timer = lambda: next(ticks)
        with Path("../order.txt").open("a") as file:
            print(Path.cwd().name, os.getpid(), request.node.name, file=file)
        benchmark.pedantic(int, rounds=2 + STEP, iterations=2)

    def test_one(benchmark, request):
        timed(benchmark, request)

    class TestMany:
        @pytest.mark.parametrize("n", [1, 2])
        def test_two(self, benchmark, request, n):
            timed(benchmark, request)

    def test_plain():
        pass
"""
ONE, TWO = "tests/test_speed.py::test_one", "tests/test_speed.py::TestMany::test_two"
FILE = "tests/test_speed.py"
SIGNATURE = "def test_one(benchmark, request):"


BENCHMARK = "-p pytest_benchmark.plugin"


@pytest.fixture(autouse=True)
def few_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pytest starts several times as fast without those that happen to be installed here."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., dict[str, Side]]:
    """A call that writes the tests of both sides, and returns the sides."""

    def write(
        base: str = SPEED, head: str = SPEED, addopts: str = "", **changes: Any
    ) -> dict[str, Side]:
        sides = {}
        for role, text in zip(ROLES, (base, head), strict=True):
            folder = tmp_path / role
            (folder / "tests").mkdir(parents=True)
            told = text.replace("{step}", "1" if role == "base" else "3")
            (folder / FILE).write_text(dedent(told), encoding="utf-8")
            (folder / "pytest.ini").write_text(
                f"[pytest]\naddopts = {BENCHMARK} {addopts}\n", encoding="utf-8"
            )
            sides[role] = Side(role=role, given=f"the-{role}", meaning="", folder=folder, **changes)
        return sides

    return write


def chosen(tests: list[str], sides: dict[str, Side], seed: int = 1) -> Chosen:
    return choose(tests, sides, Random(seed), TIMEOUT)


def order(tmp_path: Path) -> list[list[str]]:
    """The role, process and test of everything that was timed, in order."""
    return [line.split() for line in (tmp_path / "order.txt").read_text().splitlines()]


def failure(found: Chosen, test: str = ONE) -> str:
    with pytest.raises(WorkerFailed) as caught:
        found.subjects[test](1)
    return str(caught.value)


def test_a_pair_has_the_raw_rounds_of_each_side_in_seconds_of_one_iteration(project):
    pair = chosen([ONE], project()).subjects[ONE](7)
    assert (pair.subject, pair.number) == (ONE, 7)
    assert pair.base.rounds_s == (0.5, 0.5, 0.5)
    assert pair.head.rounds_s == (1.5,) * 5, "as many as the test wants"
    assert pair.log_ratio("step time") == pytest.approx(log(3))
    assert pair.log_ratio("peak memory") is None


@pytest.mark.slow
def test_a_file_a_class_and_a_node_id_select_what_has_a_benchmark_once(project):
    sides = project()
    every = [ONE, f"{TWO}[1]", f"{TWO}[2]"]
    assert [*chosen([FILE], sides).subjects] == every
    assert [*chosen([f"{FILE}::TestMany", ONE, FILE], sides).subjects] == [*every[1:], ONE]
    assert [*chosen([f"{TWO}[2]"], sides).subjects] == every[2:]


def test_one_fresh_process_of_each_side_serves_all_that_want_a_pair_in_random_order(
    project, tmp_path
):
    found = chosen([FILE], project())
    pairs = [found.subjects[test](number) for number in range(1, 5) for test in found.subjects]
    ran = order(tmp_path)
    processes = list(dict.fromkeys((role, pid) for role, pid, _ in ran))
    assert len(ran) == 4 * 2 * 3
    assert len({pid for _, pid in processes}) == len(processes) == 4 * 2
    first = [role for role, _ in processes[::2]]
    assert [pair.first for pair in pairs[::3]] == first
    assert set(first) == set(ROLES), "a role that always comes first is a bias"
    assert all(
        {first, second} == set(ROLES)
        for (first, _), (second, _) in zip(processes[::2], processes[1::2], strict=True)
    )


@pytest.mark.slow
def test_what_leaves_its_pair_is_not_run_again(project, tmp_path):
    found = chosen([FILE], project())
    for number in range(1, 4):
        found.subjects[ONE](number)
    names = [name for role, _, name in order(tmp_path) if role == "base"]
    assert names.count("test_one") == 3
    assert names.count("test_two[1]") == 1


def test_a_new_test_is_told_and_a_removed_one_is_broken(project):
    head = SPEED.replace("def test_one", "def test_renamed")
    found = chosen([FILE], project(head=head))
    assert [*found.subjects] == [f"{TWO}[1]", f"{TWO}[2]"]
    assert found.notes == (
        f"{FILE}::test_renamed is not compared: base 'the-base' has no such test.",
    )
    (broken,) = found.broken
    assert (broken.subject, broken.role) == (ONE, "head")
    assert broken.reason.startswith("head 'the-head': has no such test with a benchmark")


@pytest.mark.parametrize(
    ("test", "head", "said"),
    [
        ("tests/test_speed.py::test_onee", SPEED, "it has no such test: ERROR: not found: "),
        ("tests/none.py", SPEED, "it has no such test: ERROR: file or directory not found: "),
        (
            "tests/test_speed.py::test_plain",
            SPEED,
            "none of 1 tests has the fixture benchmark, so there is nothing to time",
        ),
    ],
)
def test_a_selection_without_a_benchmark_is_broken(project, test, head, said):
    found = chosen([test], project(head=head))
    assert not found.subjects
    (broken,) = found.broken
    assert (broken.subject, broken.role) == (test, "base")
    assert said in broken.reason
    assert broken.reason.endswith("(while collecting tests)")


@pytest.mark.slow
def test_a_side_that_cannot_be_imported_is_broken_and_the_rest_goes_on(project):
    sides = project()
    folder = sides["head"].folder
    for role in ROLES:
        text = "" if role == "base" else "import nowhere_to_be_found\n"
        text += "def test_more(benchmark): benchmark(int)"
        (folder.parent / role / "tests" / "test_more.py").write_text(text)
    found = chosen(["tests/test_more.py", ONE], sides)
    assert [*found.subjects] == [ONE]
    (broken,) = found.broken
    assert (broken.subject, broken.role) == ("tests/test_more.py", "head")
    assert broken.reason == (
        "head 'the-head': tests/test_more.py: ModuleNotFoundError: No module named "
        "'nowhere_to_be_found' (while collecting tests)"
    )
    assert found.subjects[ONE](1).log_ratio("step time") == pytest.approx(log(3))


def test_a_side_without_pytest_benchmark_is_broken(project):
    sides = project()
    (sides["head"].folder / "pytest.ini").write_text("[pytest]\n")
    (broken,) = chosen([ONE], sides).broken
    assert broken.reason.startswith("head 'the-head': pytest-benchmark is not installed for ")


def test_a_side_without_pytest_is_broken(project, tmp_path):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    python = tmp_path / "bare" / "bin" / "python"
    (broken,) = chosen([ONE], project(python=str(python))).broken
    assert "its pytest does not run; its last words: " in broken.reason
    assert "No module named pytest" in broken.reason


def test_a_side_without_an_interpreter_is_broken(project, tmp_path):
    (broken,) = chosen([ONE], project(python=str(tmp_path / "none"))).broken
    assert "ended with exit code 127; its last words: " in broken.reason
    assert "No such file or directory" in broken.reason


NO_ROUNDS = "the test passes, but its benchmark gives no rounds that take time"
FAULTS = {
    "raise ValueError('of no use')": "the test fails: ValueError: of no use",
    "pytest.skip('it rains')": "the test is skipped: Skipped: it rains",
    "return": NO_ROUNDS,
    "benchmark._timer = int; return benchmark.pedantic(int)": NO_ROUNDS,
    "os.abort()": "its pytest was killed by SIGABRT",
    "os._exit(70)": "its pytest ended with exit code 70",
    "os._exit(0)": "its pytest does not run",
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_test_that_fails_on_one_side_is_named_and_the_others_get_their_pairs(project, fault):
    head = SPEED.replace(SIGNATURE, f"{SIGNATURE}\n        {fault}")
    found = chosen([FILE], project(head=head))
    loop = Loop(
        subjects={ONE: found.subjects[ONE]},
        questions=[Question(subject=ONE, quantity="step time", tolerance=0.03)],
        alpha=0.01,
        budget_s=TIMEOUT,
        chance=Random(1),
    )
    loop.run()
    (broken,) = loop.broken
    assert broken.subject == ONE
    assert broken.reason.startswith(f"head 'the-head': {FAULTS[fault]}")
    assert broken.reason.endswith("(while timing tests)")
    pair = found.subjects[f"{TWO}[2]"](1)
    assert pair.log_ratio("step time") == pytest.approx(log(3))


@pytest.mark.slow
def test_a_test_that_hangs_is_ended(project):
    head = SPEED.replace("STEP = {step}", "STEP = 1\n    import time").replace(
        SIGNATURE, f"{SIGNATURE}\n        time.sleep(600)"
    )
    found = choose([ONE], project(head=head), Random(1), 6)
    assert failure(found).startswith("head 'the-head': its pytest gave no sign for 6 s")


@pytest.mark.slow
@pytest.mark.parametrize(
    "addopts",
    ["-p xdist.plugin -n 2", "--benchmark-disable -q -q", "--maxfail=1", "--benchmark-skip"],
)
def test_options_of_the_project_do_not_keep_it_from_being_timed(project, addopts):
    base = SPEED + "\n    def test_again(benchmark, request):\n        timed(benchmark, request)\n"
    head = base.replace(SIGNATURE, f"{SIGNATURE}\n        assert not 1")
    found = chosen([FILE], project(base, head, addopts))
    again = f"{FILE}::test_again"
    assert found.subjects[again](1).log_ratio("step time") == pytest.approx(log(3))
    assert "the test fails: assert not 1" in failure(found)


def test_each_side_imports_from_its_own_path(project, tmp_path):
    text = SPEED.replace("STEP = {step}", "from stepping import STEP")
    sides = project(text, text)
    for role, step in (("base", 2), ("head", 4)):
        (tmp_path / f"lib-{role}").mkdir()
        (tmp_path / f"lib-{role}" / "stepping.py").write_text(f"STEP = {step}")
    sides = {
        role: Side(
            role=role,
            given=role,
            meaning="",
            folder=sides["base"].folder,
            path=(str(tmp_path / f"lib-{role}"),),
        )
        for role in ROLES
    }
    pair = chosen([ONE], sides).subjects[ONE](1)
    assert (pair.base.rounds_s[0], pair.head.rounds_s[0]) == (1, 2)


@pytest.mark.parametrize("tests", [[], [""], ["-x"], ["--pdb"], [str(ROOT / "tests")]])
def test_what_is_no_selection_in_both_folders_is_refused(project, tests):
    with pytest.raises(BadOption, match="--test must be a file, a class or a test in the folder"):
        chosen(tests, project())


def test_a_configuration_is_refused(project):
    with pytest.raises(Unsupported, match="--test with mode=compiled: your tests choose their own"):
        chosen([ONE], project(changes={"mode": "compiled"}))


GATE = """
    import sys
    from pathlib import Path
    from random import Random
    from tests.gate.own_tests.test_node_ids import ONE, Side, choose
    from convbench.front.cli.workers import cleaning_up

    sides = {
        role: Side(role=role, given=role, meaning="", folder=Path(role))
        for role in ("base", "head")
    }
    with cleaning_up():
        choose([ONE], sides, Random(1)).subjects[ONE](1)
"""
DAEMON = """
        import subprocess, sys, time
        daemon = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"],
                                  start_new_session=True)
        Path("../pids").write_text(f"{os.getpid()} {daemon.pid}")
        Path("../ready").touch()
        time.sleep(600)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere daemons stay")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_of_a_gate_that_is_ended(project, tmp_path, number):
    text = SPEED.replace(SIGNATURE, f"{SIGNATURE}{DAEMON}")
    project(text, text)
    gate = subprocess.Popen(
        [sys.executable, "-c", dedent(GATE)],
        cwd=tmp_path,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    wait_for(tmp_path / "ready")
    started = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    began = [psutil.Process(pid) for pid in started]
    gate.send_signal(number)
    output(gate)
    assert gate.returncode != 0
    assert psutil.wait_procs(began, timeout=30)[1] == []


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("import sys; sys.exit(3)", 3),
        ("pass", 0),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", 137),
        ("import signal, sys; sys.exit(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)", 0),
        ("import os; assert os.environ['PYTHONPATH'].split(os.pathsep)[0] == '/first'", 0),
    ],
)
def test_what_is_guarded_ends_as_it_would(program, code):
    command = [
        sys.executable,
        "-m",
        "convbench.gate.own_tests.__main__",
        "/first",
        sys.executable,
        "-c",
    ]
    done = subprocess.run([*command, program], check=False, env=os.environ)
    assert done.returncode == code


def gate(folder: Path, *words: str) -> tuple[int, str, dict[str, Any]]:
    """What the command says and ends with, and the result that it wrote."""
    done = subprocess.run(
        [sys.executable, "-m", "convbench", "gate", *words, "--json", "result.json"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    result = folder / "result.json"
    return (
        done.returncode,
        done.stdout + done.stderr,
        json.loads(result.read_text()) if result.exists() else {},
    )


SAME = ("--base", ".", "--head", "this", "--budget", "1s")


@pytest.mark.slow
def test_the_command_compares_tests_and_says_what_was_not_compared(project):
    folder = project()["base"].folder
    status, said, result = gate(folder, *SAME, "--test", ONE, "--test", "tests/none.py")
    assert status == 2, said
    (verdict,) = result["verdicts"]
    assert verdict["question"]["subject"] == ONE
    assert verdict["pairs"] >= 1
    assert {broken["subject"] for broken in result["broken"]} == {"tests/none.py"}
    status, said, _ = gate(folder, *SAME, "--test", ONE)
    assert status == 0, said


@pytest.mark.parametrize("other", [("--arch", "lenet5"), ("--model", "a:b")])
def test_tests_are_not_compared_together_with_networks(project, other):
    status, said, _ = gate(project()["base"].folder, *SAME, "--test", ONE, *other)
    assert status == 2
    assert f"{other[0]} must be left out where --test is given" in said


@pytest.mark.slow
def test_a_slower_revision_is_found(project):
    folder = project()["base"].folder
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", folder]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "base"]):
        subprocess.run([*git, *words], check=True)
    test = folder / FILE
    test.write_text(test.read_text().replace("STEP = 1", "STEP = 2"))
    subprocess.run([*git, "commit", "-qam", "head"], check=True)
    sides = ("--base", "HEAD~1", "--head", "HEAD", "--install", "none", "--budget", "5m")
    status, said, result = gate(folder, *sides, "--test", ONE)
    assert status == 1, said
    (verdict,) = result["verdicts"]
    assert verdict["outcome"] == "worse"
    assert verdict["ratio"] == pytest.approx(2)


IMPORTS = """
import os, sys
sys.path.insert(0, {place!r})
import helper
"""


def imports(place: Path) -> str:
    place.mkdir(parents=True)
    (place / "helper.py").touch()
    return dedent(IMPORTS).format(place=str(place)) + dedent(SPEED)


def evolve_head(sides: dict[str, Side], **changes: Any) -> dict[str, Side]:
    return {**sides, "head": evolve(sides["head"], **changes)}


def test_code_of_the_user_s_working_tree_is_not_timed_for_a_revision(project, tmp_path):
    place = tmp_path / "tree" / "python"
    sides = project(head=imports(place))
    sides = evolve_head(sides, tree=tmp_path / "tree")
    (broken,) = chosen([FILE], sides).broken
    assert broken.role == "head"
    assert f"it imports helper from {place}/helper.py of the working tree, and not" in broken.reason


def test_code_of_the_working_tree_that_a_test_imports_late_does_not_count(project, tmp_path):
    place = tmp_path / "tree" / "python"
    late = imports(place).partition("import os\n")[0].strip().replace("\n", "; ")
    sides = project(head=SPEED.replace(SIGNATURE, f"{SIGNATURE}\n        {late}"))
    sides = evolve_head(sides, tree=tmp_path / "tree")
    found = chosen([ONE], sides)
    assert not found.broken
    assert f"it imports helper from {place}/helper.py of the working tree" in failure(found)


@pytest.mark.parametrize("inside", ["venv/lib/site-packages", "convbench-side-1-x/worktree"])
def test_what_is_installed_or_checked_out_within_the_working_tree_is_no_code_of_it(
    project, tmp_path, inside
):
    sides = project(head=imports(tmp_path / "tree" / inside))
    sides = evolve_head(sides, tree=tmp_path / "tree")
    found = chosen([ONE], sides)
    assert not found.broken
    assert found.subjects[ONE](1)


def test_a_python_path_into_the_working_tree_is_not_handed_to_pytest(
    project, tmp_path, monkeypatch
):
    place = tmp_path / "tree" / "python"
    imports(place)
    monkeypatch.setenv("PYTHONPATH", f"{place}{os.pathsep}{os.environ['PYTHONPATH']}")
    sides = project(head=f"import helper\n{dedent(SPEED)}")
    assert not chosen([ONE], sides).broken
    (broken,) = chosen([ONE], evolve_head(sides, tree=tmp_path / "tree")).broken
    assert "No module named 'helper'" in broken.reason


def test_code_that_two_interpreters_share_is_told(project, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = imports(tmp_path / "lib")
    sides = project(base=text, head=text)
    assert chosen([ONE], sides).notes == ()
    other = str(script(tmp_path / "python", f'exec {sys.executable} "$@"'))
    assert chosen([ONE], evolve_head(sides, python=other)).notes == (
        "Both sides import helper from lib/helper.py: only what is installed differs.",
    )
    assert chosen([ONE], evolve_head(sides, python=other, tree=tmp_path / "no")).notes == ()
