"""Base and head, from the command line's words to something that a worker is started with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
from attrs import evolve

from convbench import processes
from convbench.errors import BrokenSide
from convbench.gate import revisions
from convbench.gate.probing import comparable, facts
from convbench.gate.revisions import Installation, Revision
from convbench.gate.sides import Side, read, sides
from tests.conftest import script, wait_for

BARE = Installation(command="none")


def git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(autouse=True)
def temporary(tmp_path_factory, monkeypatch) -> Path:
    """An empty folder for temporary ones, and no configuration of git's but these lines."""
    folder = tmp_path_factory.mktemp("temporary")
    (folder.parent / "gitconfig").write_text("[user]\nname = A\nemail = a@example.org\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(folder.parent / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(revisions, "VENV", ("-m", "venv", "--without-pip"))  # which takes seconds
    monkeypatch.setattr("shutil.which", lambda name: None if name == "uv" else f"/bin/{name}")
    return folder


@pytest.fixture
def repository(tmp_path, monkeypatch) -> Path:
    """Two commits of a package whose VALUE is 1 and then 2, and 3 in the working tree."""
    folder = tmp_path / "repository"
    for number in (1, 2):
        package = folder / "src" / "thing"
        package.mkdir(parents=True, exist_ok=True)
        (package / "__init__.py").write_text(f"VALUE = {number}\n")
        if number == 1:
            git(tmp_path, "init", "--quiet", "--initial-branch=main", str(folder))
        else:
            (folder / "later").mkdir()
            (folder / "later" / "file").touch()
        git(folder, "add", ".")
        git(folder, "commit", "--quiet", "--message", f"Number {number}")
        git(folder, "tag", f"v{number}")
    (package / "__init__.py").write_text("VALUE = 3\n")
    monkeypatch.chdir(folder)
    return folder


def nothing_is_left(repository: Path, temporary: Path) -> bool:
    return len(git(repository, "worktree", "list").splitlines()) == 1 and not [*temporary.iterdir()]


def ended(pid: int) -> bool:
    """Whether a process has ended, given a moment to do so."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.01)
    return False


def ask(side: Side, program: str) -> str:
    """What a program prints in a side's interpreter."""
    words = [side.python, "-c", program]
    ran = processes.run(words, 60, folder=side.folder, environment=side.environment)
    assert ran.code == 0, ran.errors
    return ran.output.strip()


VALUE = "import thing; print(thing.VALUE)"


@pytest.mark.parametrize("text", [".", "this", " . "])
def test_a_point_is_the_interpreter_of_the_gate(repository, text):
    found = read("base", text, repository)
    assert (found.python, found.path, found.folder) == (sys.executable, (), None)


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("mode=compiled", {"mode": "compiled"}),
        ("framework=keras, mode=eager", {"framework": "keras", "mode": "eager"}),
        ("dtype=bfloat16", {"dtype": "bfloat16"}),
        ("mode=channels_last+compiled", {"mode": "compiled+channels_last"}),
        ("framework=tests.fakes,mode=whatever", {"framework": "tests.fakes", "mode": "whatever"}),
    ],
)
def test_a_configuration_changes_the_tasks_alone(repository, text, changes):
    found = read("head", text, repository)
    assert found.changes == changes
    assert found.meaning == f"this interpreter with {text}"
    assert found.python == sys.executable


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("mod=compiled", "unknown key 'mod'; did you mean mode?"),
        ("mode=compild", "unknown mode 'compild'; did you mean compiled?"),
        ("dtype=float61", "unknown dtype 'float61'; did you mean float16 or"),
        ("framework=kera", "unknown framework 'kera'; did you mean keras"),
        ("framework=pytorch,mode=eager", "mode eager: pytorch does not run in it; name another"),
        ("mode=eager+compiled", "mode eager+compiled: no framework runs in it; name"),
        (
            "mode=",
            "the configuration: mode has no value; write it as in framework=keras,mode=eager",
        ),
        ("mode=eager,mode=eager", "the configuration: mode is said twice"),
        ("mode=eager,", "unknown key ''"),
    ],
)
def test_a_configuration_that_cannot_be_is_told(repository, text, fault):
    with pytest.raises(BrokenSide) as broken:
        read("head", text, repository)
    assert str(broken.value).startswith(f"head {text!r}: {fault}")


@pytest.mark.parametrize("text", ["v1", "main~1", "HEAD^", "v1^{}"])
def test_a_revision_is_found_however_it_is_named(repository, text):
    found = read("base", text, repository / "src")
    assert isinstance(found, Revision)
    assert found.commit == git(repository, "rev-parse", "v1^{commit}")
    assert (found.top, found.inside) == (repository, Path("src"))


def test_the_hash_of_a_commit_will_do(repository):
    found = read("base", git(repository, "rev-parse", "--short=7", "v1"), repository)
    assert found.commit == git(repository, "rev-parse", "v1")


@pytest.mark.parametrize("text", ["old/bin/python", "./old", "old", "~/old", "{}/old"])
def test_an_interpreter_is_a_path_or_the_folder_of_an_environment(repository, monkeypatch, text):
    python = script(repository / "old" / "bin" / "python", "echo")
    monkeypatch.setenv("HOME", str(repository))
    found = read("base", text.format(repository), repository)
    assert found.python == str(python)
    assert found.meaning == f"interpreter {python}"


def test_the_link_that_an_environment_has_for_a_python_is_not_followed(repository):
    (repository / "old" / "bin").mkdir(parents=True)
    (repository / "old" / "bin" / "python").symlink_to(sys.executable)
    assert read("base", "./old", repository).python == str(repository / "old" / "bin" / "python")


def test_a_revision_comes_before_a_file_of_that_name_and_errors_say_so(repository):
    python = script(repository / "old" / "bin" / "python", "echo")
    git(repository, "branch", "old", "v1")
    assert isinstance(read("base", "old", repository), Revision)
    assert read("base", "./old", repository).python == str(python)
    how = Installation(command="exit 3")
    with (
        pytest.raises(BrokenSide, match=r"; for the file of that name write \./old$"),
        ExitStack() as s,
    ):
        s.enter_context(sides("old", ".", how))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("mian", "found no file and no revision of this repository; did you mean main?"),
        ("v22", "found no file and no revision of this repository; did you mean v2"),
        ("0123abcd", "found no file and no revision of this repository; git branch --all lists"),
        ("main..v1", "found no file and no revision of this repository"),
        ("--help", "found no file and no revision of this repository"),
        ("", "found no file and no revision of this repository"),
        ("HEAD:src", "found no file and no revision of this repository"),
        ("./nothing", "/nothing: there is no such file; wanted is an interpreter, a revision of"),
        ("./src", "src: it has no bin/python; name an interpreter"),
        ("src/thing/__init__.py", "__init__.py: it is not executable; name a Python, as in venv/"),
    ],
)
def test_what_is_none_of_the_three_is_told_in_one_sentence(repository, text, fault):
    with pytest.raises(BrokenSide) as broken:
        read("base", text, repository)
    assert str(broken.value).startswith(f"base {text!r}: ")
    assert fault in str(broken.value)
    assert "\n" not in str(broken.value)


def test_outside_of_a_repository_there_are_no_revisions(tmp_path):
    with pytest.raises(BrokenSide, match="no revision, outside of any git repository; start the"):
        read("base", "main", tmp_path)


def test_without_git_there_are_no_revisions_but_there_are_interpreters(repository, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda _: None)
    python = script(repository / "old" / "bin" / "python", "echo")
    assert read("base", "old", repository).python == str(python)
    with pytest.raises(BrokenSide, match="no revision, for want of git; install it"):
        read("base", "main", repository)


def test_a_shallow_clone_is_named_as_the_cause(repository, tmp_path):
    git(tmp_path, "clone", "--quiet", "--depth=1", repository.as_uri(), "shallow")
    with pytest.raises(BrokenSide, match="of this shallow clone; fetch it first, as in git fetch"):
        read("base", "zzzzzz", tmp_path / "shallow")


def test_a_repository_that_git_refuses_is_not_taken_for_none(repository):
    (repository / ".git" / "config").write_text("[core\n")
    with pytest.raises(
        BrokenSide, match=r"git: git rev-parse ended with exit code 128: fatal: bad"
    ):
        read("base", "v1", repository)


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
        assert both["base"].environment["PYTHONPATH"].endswith(path)


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
    for name in processes.OF_A_HOOK:
        monkeypatch.delenv(name, raising=False)
    assert (repository / ".git" / "index").read_bytes() == before
    assert nothing_is_left(repository, temporary)


PTH = """\
import os, site
lines = [os.path.join(os.getcwd(), "src"), {paths!r}]
with open(os.path.join(site.getsitepackages()[0], "it.pth"), "w") as file:
    file.write(os.pathsep.join(lines).replace(os.pathsep, chr(10)))
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
    assert sentence.endswith("; another way to install can be given by --install")
    assert "\n" not in sentence
    assert nothing_is_left(repository, temporary)
    assert not psutil.Process().children()


@pytest.mark.usefixtures("repository")
def test_what_an_installation_leaves_running_is_ended(tmp_path):
    how = Installation(command=f"sleep 600 & echo $! > {tmp_path}/pid")
    with sides("v1", ".", how):
        assert ended(int((tmp_path / "pid").read_text()))


@pytest.mark.usefixtures("repository")
def test_an_installation_sees_the_new_environment_as_the_active_one(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    command = 'test "$(command -v python)" = {python} && test -z "$PYTHONPATH" && test -d src'
    with sides("v1", ".", Installation(command=f'{command} && test -x "$VIRTUAL_ENV/bin/python"')):
        pass


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


def test_a_worktree_that_somebody_removed_is_no_fault(repository, temporary):
    with sides("v1", ".", BARE) as both:
        git(repository, "worktree", "remove", "--force", str(both["base"].folder))
    assert nothing_is_left(repository, temporary)


INTERRUPTED = """
import sys, time
from pathlib import Path
from convbench.commands.children import cleaning_up
from convbench.gate import revisions
from convbench.gate.sides import sides
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
