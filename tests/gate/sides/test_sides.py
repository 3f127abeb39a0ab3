"""What the words for base and head mean, and what is said of those that mean nothing."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from convbench.base.errors import BrokenSide
from convbench.gate.sides.revisions import Installation, Revision
from convbench.gate.sides.sides import read, sides
from tests.conftest import git, script

REAL_GIT = shutil.which("git")


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
        (
            "framework=tests.support.fakes,mode=whatever",
            {"framework": "tests.support.fakes", "mode": "whatever"},
        ),
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
    for text in ("./old", "old/bin/python"):
        assert read("base", text, repository).python == f"{repository}/old/bin/python"


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


def test_git_is_read_in_the_language_that_it_was_written_in(tmp_path, monkeypatch):
    refuses = 'test "$LC_ALL" = C || { echo kein Git-Repository >&2; exit 128; }'
    script(tmp_path / "bin" / "git", f'{refuses}\nexec {REAL_GIT} "$@"')
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    with pytest.raises(BrokenSide, match="no revision, outside of any git repository"):
        read("base", "main", tmp_path)
