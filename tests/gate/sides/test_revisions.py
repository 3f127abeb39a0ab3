"""Revisions are checked out and installed, and nothing is left of them whatever happens."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from random import Random

import psutil
import pytest
from attrs import evolve

import convbench
from convbench.base.errors import BrokenSide
from convbench.base.processes import programs
from convbench.front.cli import main, shared
from convbench.front.cli.workers import cleaning_up
from convbench.gate.pairs import take
from convbench.gate.sides import revisions
from convbench.gate.sides.probing import comparable, facts
from convbench.gate.sides.revisions import Installation
from convbench.gate.sides.sides import Side, SideLauncher, sides, uncommitted
from convbench.measure.records import Task
from convbench.measure.worker import messages
from convbench.papers.sources import tables_folder
from tests.conftest import git, gone, script, wait_for
from tests.measure.faults.harness import alive
from tests.support import fakes

BARE = Installation(command="none")


def nothing_is_left(repository: Path, temporary: Path) -> bool:
    return len(git(repository, "worktree", "list").splitlines()) == 1 and not [*temporary.iterdir()]


def ask(side: Side, program: str) -> str:
    """What a program prints in a side's interpreter."""
    words = [side.python, "-c", program]
    ran = programs.run(words, 60, folder=side.folder, environment=side.environment)
    assert ran.code == 0, ran.errors
    return ran.output.strip()


VALUE = "import thing; print(thing.VALUE)"


def test_two_revisions_without_installation_each_have_their_own_code(repository, temporary):
    with sides("v1", "v2", BARE) as both:
        assert [ask(side, VALUE) for side in both.values()] == ["1", "2"]
        assert [side.meaning for side in both.values()] == [
            f"revision {git(repository, 'rev-parse', '--short=12', tag)}" for tag in ("v1", "v2")
        ]
        assert both["base"].model_path == (
            *(str(both["base"].folder / name) for name in ("src", ".")[:1]),
            *[str(both["base"].folder)] * 2,
        )
        assert len(git(repository, "worktree", "list").splitlines()) == 3
    assert nothing_is_left(repository, temporary)


def test_the_working_tree_is_what_a_point_means(repository, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(repository / "src"))
    with sides("v1", ".", BARE) as both:
        assert [ask(side, VALUE) for side in both.values()] == ["1", "3"]


def test_a_python_path_into_the_working_tree_leads_into_the_revisions(repository, monkeypatch):
    elsewhere = repository.parent / "elsewhere"
    path = os.pathsep.join([str(elsewhere), str(repository / "src")])
    monkeypatch.setenv("PYTHONPATH", path)
    with sides("v1", ".", Installation(command="true")) as both:
        assert both["base"].path == (str(both["base"].folder / "src"),)
        assert ask(both["base"], VALUE) == "1"
        assert both["base"].environment["PYTHONPATH"].endswith(f"{os.pathsep}{elsewhere}")
        assert both["head"].environment["PYTHONPATH"] == path


@pytest.fixture
def elsewhere(repository):
    """The package in `python/`, where an editable installation in the gate's Python finds it."""
    for number in (1, 2):
        package = repository / "python" / "other"
        package.mkdir(parents=True, exist_ok=True)
        (package / "__init__.py").write_text(f"VALUE = {number}\n")
        git(repository, "add", "python")
        git(repository, "commit", "--quiet", "--message", f"Other {number}")
    (package / "__init__.py").write_text("VALUE = 3\n")
    return package.parent


OTHER = "import other; print(other.VALUE)"


def test_what_is_editably_installed_in_the_gate_s_python_is_each_revision_s_own(
    elsewhere, monkeypatch
):
    monkeypatch.setattr("sys.path", [*sys.path, str(elsewhere)])
    with sides("HEAD~1", "HEAD", BARE) as both:
        assert [ask(side, OTHER) for side in both.values()] == ["1", "2"]


def test_a_gate_that_is_started_in_a_subfolder_finds_the_package_in_the_top_folder_s_src(
    repository, monkeypatch
):
    (repository / "later" / "src").mkdir()
    monkeypatch.chdir(repository / "later")
    with sides("v2", "HEAD", BARE) as both:
        assert [ask(side, VALUE) for side in both.values()] == ["2", "2"]
        assert {side.folder.name for side in both.values()} == {"later"}


def test_what_one_revision_lacks_is_not_taken_from_the_working_tree(elsewhere, monkeypatch):
    installed = elsewhere.parent / "venv" / "site-packages"
    path = (elsewhere, installed)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, path)))
    with sides("v2", "HEAD", BARE) as both:
        assert ask(both["head"], OTHER) == "2"
        with pytest.raises(AssertionError, match="No module named 'other'"):
            ask(both["base"], OTHER)
        for side in both.values():
            folders = side.environment["PYTHONPATH"].split(os.pathsep)
            assert str(elsewhere) not in folders
            assert str(installed) in folders, "what is installed there is no side's code"


@pytest.mark.usefixtures("repository")
def test_a_convbench_of_the_working_tree_is_no_revision_s():
    source = Path(convbench.__file__).parents[1]
    with sides("v1", "v2", BARE) as both:
        side = evolve(both["base"], path=(str(source),), tree=source)
        with pytest.raises(BrokenSide, match=r"it imports convbench from .* of the working tree"):
            facts(side)


def test_uncommitted_changes_that_no_side_has_are_told(repository):
    with sides("v1", "v2", BARE) as both:
        assert uncommitted(both) == [
            "Uncommitted changes are in neither side: `.` is the working tree."
        ]
    with sides("v1", ".", BARE) as both:
        assert uncommitted(both) == []
    git(repository, "checkout", "--quiet", "--", ".")
    (repository / "untracked").touch()
    with sides("v1", "v2", BARE) as both:
        assert uncommitted(both) == []


def test_a_revision_is_run_where_the_gate_was_started(repository, monkeypatch):
    monkeypatch.chdir(repository / "src")
    with sides("v1", ".", BARE) as both:
        assert both["base"].folder.name == "src"
        assert ask(both["base"], VALUE) == "1"


def test_a_folder_that_a_revision_does_not_have_is_told(repository, monkeypatch, temporary):
    monkeypatch.chdir(repository / "later")
    with pytest.raises(BrokenSide, match=r"later of revision .*: it has no such folder; start"):
        ExitStack().enter_context(sides("v1", ".", BARE))
    assert nothing_is_left(repository, temporary)


def test_what_git_tells_a_hook_does_not_lead_into_its_repository(
    repository, monkeypatch, temporary
):
    monkeypatch.setenv("GIT_DIR", ".git")
    monkeypatch.setenv("GIT_INDEX_FILE", str(repository / ".git" / "index"))
    before = (repository / ".git" / "index").read_bytes()
    show = "import subprocess as s; print(s.getoutput('git rev-parse --show-toplevel'))"
    with sides("v1", ".", BARE) as both:
        assert ask(both["base"], show) == str(both["base"].folder)
    for name in programs.OF_A_HOOK:
        monkeypatch.delenv(name, raising=False)
    assert (repository / ".git" / "index").read_bytes() == before
    assert nothing_is_left(repository, temporary)


PTH = """\
import os, site
lines = [os.path.join(os.getcwd(), "src"), {paths!r}]
with open(os.path.join(site.getsitepackages()[0], "it.pth"), "w") as file:
    file.write(os.pathsep.join(lines).replace(os.pathsep, chr(10)))
open("left by the installation", "w").close()
"""


def installing(folder: Path) -> Installation:
    """As an editable installation does it, with convbench and what it needs."""
    gates = os.pathsep.join(path for path in sys.path if path)
    (folder / "install.py").write_text(PTH.format(paths=gates))
    return Installation(command=f"{{python}} {folder}/install.py && echo done")


@pytest.mark.processes
def test_a_revision_is_installed_into_an_environment_of_its_own(repository, temporary, tmp_path):
    how = evolve(installing(tmp_path), told=(said := []).append)
    with sides("v1", "v2", how) as both:
        for side, value in zip(both.values(), "12", strict=True):
            assert Path(side.python).is_relative_to(temporary)
            assert (ask(side, VALUE), side.path) == (value, ())
        found = [facts(side) for side in both.values()]
    assert [side.environment.commit for side in found] == [
        git(repository, "rev-parse", "--short=12", tag) for tag in ("v1", "v2")
    ]
    assert [sentence.partition(":")[0] for sentence in comparable(*found)] == ["commit"]
    assert [words.split()[0] for words in said] == ["checking", "installing", "installing"] * 2
    assert nothing_is_left(repository, temporary)


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        (
            "echo on the way; echo no such thing >&2; exit 3",
            "it ended with exit code 3: no such th",
        ),
        ("echo only this; exit 1", "it ended with exit code 1: only this"),
        ("exit 1", "it ended with exit code 1 without a word"),
        ("kill -9 $$", "it was killed by SIGKILL"),
        ("nowhere install", "it ended with exit code 127: "),
        ("{python} -c 'import nowhere'", "ModuleNotFoundError: No module named 'nowhere'"),
        ("sleep 600", "it took more than 0.5 s and was ended"),
    ],
)
def test_an_installation_that_fails_is_quoted(repository, temporary, command, fault):
    how = Installation(command=command, limit_s=0.5 if "sleep" in command else 60)
    with pytest.raises(BrokenSide) as broken:
        ExitStack().enter_context(sides(".", "v1", how))
    sentence = str(broken.value)
    commit = git(repository, "rev-parse", "--short=12", "v1")
    assert sentence.startswith(f"head 'v1': installation of {commit} by {command!r}: ")
    assert fault in sentence
    assert sentence.endswith(
        "command by --install, or --install none to use this Python's packages"
    )
    assert "\n" not in sentence
    assert nothing_is_left(repository, temporary)
    assert not [*alive()]


@pytest.mark.usefixtures("repository")
def test_an_installation_is_shown_as_it_was_given(capsys):
    words = ["gate", "--base", "v1", "--head", ".", "--framework", fakes.NAME]
    words += ["--install", "exit 3 # .[all] [/all]"]
    with pytest.raises(SystemExit) as left:
        main.main(words)
    assert left.value.code == shared.BROKEN
    assert ": exit 3 # .[all] [/all]" in capsys.readouterr().err


@pytest.mark.usefixtures("repository")
def test_what_an_installation_leaves_running_is_ended(tmp_path):
    how = Installation(command=f"sleep 600 & echo $! > {tmp_path}/pid")
    with sides("v1", ".", how):
        assert gone(int((tmp_path / "pid").read_text()))


@pytest.mark.slow
def test_an_installation_that_hangs_is_ended_with_what_hides_from_it(repository, tmp_path):
    hidden = f"setsid sh -c 'echo $$ > {tmp_path}/pid; exec sleep 600'"
    how = Installation(command=f"{hidden} & sleep 600", limit_s=3)
    with pytest.raises(BrokenSide, match="took more than 3 s"):
        ExitStack().enter_context(sides("v1", ".", how))
    assert gone(int((tmp_path / "pid").read_text()))
    assert nothing_is_left(repository, Path(tempfile.gettempdir()))


@pytest.mark.usefixtures("repository")
def test_an_installation_sees_the_new_environment_as_the_active_one(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    command = 'test "$(command -v python)" = {python} && test -z "$PYTHONPATH" && test -d src'
    how = Installation(command=f'{command} && test -x "$VIRTUAL_ENV/bin/python"')
    with sides("v1", ".", how) as both:
        assert both["base"].python != sys.executable


@pytest.mark.processes
def test_a_pair_is_timed_by_workers_of_both_revisions(repository, temporary):
    task = Task(
        architecture="lenet5",
        framework=fakes.NAME,
        pass_="forward",
        batch=1,
        device="cpu",
        threads=1,
    )
    request = messages.Prepare(task, str(tables_folder()), 0.0)
    with sides("v1", "v2", BARE) as both, ExitStack() as stack:
        launchers = {
            role: stack.enter_context(SideLauncher(side, fakes.NAME, timeout_s=60))
            for role, side in both.items()
        }
        pair = take(
            "it",
            1,
            dict.fromkeys(both, request),
            lambda role: launchers[role].open(role),
            Random(1),
        )
    assert pair.base.rounds_s
    assert pair.head.rounds_s
    assert nothing_is_left(repository, temporary)


@pytest.mark.parametrize("uv", [True, False], ids=["uv", "pip"])
@pytest.mark.usefixtures("repository")
def test_uv_installs_where_it_is_and_pip_elsewhere(monkeypatch, tmp_path, uv):
    said = tmp_path / "said"
    tool = script(tmp_path / "uv", f'echo "$@" >> {said}; test "$1" = pip || mkdir -p "$5"')
    monkeypatch.setattr("shutil.which", lambda n: n if n != "uv" else str(tool) if uv else None)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(revisions, "WITH_PIP", f"echo pip install >> {said}")
    with sides("v1", ".") as both:
        python = both["base"].python
    environment = Path(python).parents[1]
    assert said.read_text().splitlines() == (
        [
            f"venv --quiet --python {sys.executable} {environment}",
            f"pip install --python {python} -e .",
        ]
        if uv
        else ["pip install"]
    )


def test_what_fails_while_the_sides_are_used_is_told_as_it_is(repository, temporary):
    with pytest.raises(ZeroDivisionError), sides("v1", "v2", BARE):
        _ = 1 / 0
    assert nothing_is_left(repository, temporary)


@pytest.mark.parametrize("how", ["by git", "by hand", "in part", "in part, and locked"])
def test_a_worktree_that_somebody_removed_is_no_fault(repository, temporary, how):
    with sides("v1", ".", BARE) as both:
        worktree = both["base"].folder
        if "locked" in how:
            git(repository, "worktree", "lock", str(worktree))
        if how == "by git":
            git(repository, "worktree", "remove", "--force", str(worktree))
        elif how == "by hand":
            shutil.rmtree(worktree)
        else:
            (worktree / ".git").unlink()
    assert nothing_is_left(repository, temporary)


def test_an_interrupt_waits_until_all_is_removed(repository, temporary, monkeypatch):
    git_ = revisions._git

    def interrupted(folder, *words):
        if words[:2] == ("worktree", "remove"):
            signal.raise_signal(signal.SIGINT)
        return git_(folder, *words)

    monkeypatch.setattr(revisions, "_git", interrupted)
    with pytest.raises(KeyboardInterrupt), sides("v1", "v2", BARE):
        pass
    assert nothing_is_left(repository, temporary)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_again_and_again_wait_until_all_is_removed(
    repository, temporary, monkeypatch, number
):
    git_ = revisions._git

    def ended_(folder, *words):
        if words[:2] == ("worktree", "remove"):
            signal.raise_signal(number)
        done = git_(folder, *words)
        signal.raise_signal(number)
        return done

    with pytest.raises(SystemExit) as left, cleaning_up(), sides("v1", "v2", BARE):
        monkeypatch.setattr(revisions, "_git", ended_)
    assert left.value.code == 128 + number
    assert nothing_is_left(repository, temporary)


def test_what_a_killed_gate_has_left_is_removed_by_the_next(repository, temporary, tmp_path):
    reached = tmp_path / "reached"
    program = [sys.executable, "-c", INTERRUPTED, "none", str(reached)]
    with subprocess.Popen(program, cwd=repository) as process:
        wait_for(reached)
        process.kill()
    (left,) = temporary.iterdir()
    assert f"-{process.pid}-" in left.name
    git(repository, "worktree", "add", "--quiet", "--detach", str(tmp_path / "mine"), "v1")
    with sides("v1", ".", BARE) as alive, sides("v1", ".", BARE):
        assert not left.exists()
        assert alive["base"].folder.is_dir(), "of a gate that is running"
    assert (tmp_path / "mine" / "src").is_dir(), "what no gate has made"
    git(repository, "worktree", "remove", str(tmp_path / "mine"))
    assert nothing_is_left(repository, temporary)


INTERRUPTED = """
import sys, time
from pathlib import Path
from random import Random
from convbench.front.cli.workers import cleaning_up
from convbench.gate.sides import revisions
from convbench.gate.pairs import take
from convbench.gate.sides.sides import sides
revisions.VENV = ("-m", "venv", "--without-pip")
how = revisions.Installation(command=sys.argv[1])
try:
    with cleaning_up(), sides("v1", ".", how):
        Path(sys.argv[2]).touch()
        time.sleep(600)
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.processes
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("stage", ["checkout", "installation", "use"])
def test_a_signal_leaves_nothing_behind(repository, temporary, tmp_path, stage, number):
    reached = tmp_path / "reached"
    hang = f"touch {reached}; sleep 600"
    if stage == "checkout":  # git is in the middle of writing files
        git(repository, "config", "filter.slow.smudge", f"sh -c '{hang}'")
        (repository / ".git" / "info" / "attributes").write_text("*.py filter=slow\n")
    command = {"installation": hang, "use": "none"}.get(stage, "true")
    program = [sys.executable, "-c", INTERRUPTED, command, str(reached)]
    with subprocess.Popen(program, cwd=repository) as process:
        wait_for(reached)
        process.send_signal(number)
        assert process.wait(60) == 128 + number
    assert nothing_is_left(repository, temporary)
    assert not [p for p in psutil.process_iter() if str(reached) in " ".join(_command(p))]


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
