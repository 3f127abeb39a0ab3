"""What several test files share: worker processes that find the fake framework, and faults."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.support import fakes

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session", autouse=True)
def signals() -> Iterator[None]:
    """What ends a program ends it, also where the tests run in the background or under nohup."""
    usual = {"SIGINT": signal.default_int_handler, "SIGTERM": signal.SIG_DFL}
    if hasattr(signal, "SIGHUP"):
        usual["SIGHUP"] = signal.SIG_DFL
    before = {
        name: signal.signal(getattr(signal, name), handler)
        for name, handler in usual.items()
        if signal.getsignal(getattr(signal, name)) == signal.SIG_IGN
    }
    yield
    for name, handler in before.items():
        signal.signal(getattr(signal, name), handler)


@pytest.fixture(scope="session", autouse=True)
def fault_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where every worker that is started from here on looks for its fault."""
    file = tmp_path_factory.mktemp("fakes") / "fault"
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", path)
        patch.setenv(fakes.VARIABLE, str(file))
        yield file


@pytest.fixture
def fault(fault_file: Path) -> Iterator[Callable[[str], None]]:
    """A call that makes the fake framework fail, as in `fault("sigkill@step")`; "" heals it."""

    def set_(text: str) -> None:
        fakes.struck(fault_file).unlink(missing_ok=True)
        fault_file.write_text(text, encoding="ascii")

    set_("")
    yield set_
    set_("")


@pytest.fixture(autouse=True)
def no_xdist(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pytest within a test is no worker of the one that runs the tests."""
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)


def output(process: subprocess.Popen[str]) -> tuple[str, str]:
    """What a process prints until it ends, which bounds a hang and nothing else."""
    try:
        return process.communicate(timeout=300)
    except subprocess.TimeoutExpired:
        process.kill()
        raise


def wait_for(file: Path) -> None:
    until = time.monotonic() + 300
    while not file.exists():
        assert time.monotonic() < until, f"{file} never came"
        time.sleep(0.01)


def gone(pid: int) -> bool:
    """Whether a process has ended, given a moment to do so."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.01)
    return False


def script(at: Path, text: str) -> Path:
    """An executable shell script."""
    at.parent.mkdir(parents=True, exist_ok=True)
    at.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    at.chmod(0o755)
    return at


def git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def temporary(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for temporary ones; git is configured by two lines, and no pip is copied."""
    folder = tmp_path_factory.mktemp("temporary")
    (folder.parent / "gitconfig").write_text("[user]\nname = A\nemail = a@example.org\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(folder.parent / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("convbench.gate.sides.revisions.VENV", ("-m", "venv", "--without-pip"))
    monkeypatch.setattr("shutil.which", lambda name: None if name == "uv" else f"/bin/{name}")
    return folder


@pytest.fixture
def repository(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    temporary: Path,  # noqa: ARG001  (whose configuration git reads)
) -> Path:
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
