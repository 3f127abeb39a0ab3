"""What `convbench gate` prints and writes: nothing is lost, and what cannot be is said at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from attrs import evolve
from rich.console import Console

from convbench.base.errors import Unsupported
from convbench.gate.outputs import json_file
from convbench.gate.outputs.terminal import Screen
from convbench.gate.values import Broken, Difference
from tests.conftest import ROOT
from tests.front.cli.test_main import run  # noqa: F401  (a fixture)
from tests.support import fakes
from tests.support.gate_samples import judged

FINE, WORSE = judged(net=1.0), judged(net=1.2)


@pytest.fixture
def kept(tmp_path):
    """Writes a result, and gives the words that tell it again."""

    def kept_(result=FINE) -> tuple[str, str]:
        json_file.write(tmp_path / "kept.json", result)
        return "--from", str(tmp_path / "kept.json")

    return kept_


def nothing(**more):
    return evolve(FINE, verdicts=(), pairs=(), **more)


def test_an_interrupted_run_that_is_told_again_is_no_pass(run, kept):  # noqa: F811
    done = run("gate", *kept(evolve(FINE, interrupted=True)))
    assert done.status == 2
    assert done.out.splitlines()[-1] == "interrupted: no verdict"


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (nothing(), "convbench: nothing was measured; give it more --budget\n"),
        (nothing(interrupted=True), ""),
        (nothing(broken=(Broken(subject="net", reason="why"),)), ""),
        (nothing(differences=(Difference(subject="net", what="x", base="1", head="2"),)), ""),
        (evolve(FINE, pairs=()), ""),
    ],
    ids=["budget", "interrupted", "broken", "different", "stored"],
)
def test_more_budget_is_asked_for_only_where_that_is_the_reason(run, kept, result, said):  # noqa: F811
    assert run("gate", *kept(result)).err == said


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--base", "main"), "--base"),
        (("--budget", "10m"), "--budget"),  # its default, but given
        (("--tolerance-f", "5%", "--test", "a.py"), "--test, --tolerance-first"),
        (("--self-test",), "--self-test"),
        (("--seed=7",), "--seed"),
    ],
)
def test_what_a_run_told_again_cannot_heed_is_refused(run, kept, words, named):  # noqa: F811
    done = run("gate", *words, *kept())
    assert done.status == 2
    assert done.out == ""
    assert done.err == (
        "convbench: --from must be given with nothing else than --json, --junit, --markdown, "
        f"--plot, --format, but is 'with {named}'\n"
    )


def test_there_may_be_nothing_to_tell_again(run):  # noqa: F811
    done = run("gate", "--from", "nothing.json")
    assert done.status == 2
    assert done.err.startswith("convbench: nothing.json: it cannot be read")


def test_a_run_is_told_again_in_every_form(run, kept, tmp_path):  # noqa: F811
    files = [f"--{name}={tmp_path / name}" for name in ("json", "junit", "markdown")]
    done = run("gate", *kept(), *files, "--plot", tmp_path / "a.svg", "--format", "markdown")
    assert (done.status, done.err) == (0, "")
    assert (tmp_path / "json").read_bytes() == (tmp_path / "kept.json").read_bytes()
    assert (tmp_path / "a.svg").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--json", "none/a.json"), "in a folder that can be written to (No such file or"),
        (("--junit", "file/a.xml"), "in a folder that can be written to (Not a directory)"),
        (("--markdown", "/proc/a.md"), "--markdown must be in a folder that can be written to ("),
        (("--plot", "none/a.png"), "--plot must be in a folder that can be written to"),
        (("--plot", "a.gif"), "--plot must be a file that ends in .png"),
        (("--json", "folder"), "--json must be a file, but is 'folder'"),
        (
            ("--json", "a", "--junit", "folder/../a"),
            "--junit must be another file than that of --json, but is 'folder/../a'",
        ),
    ],
)
@pytest.mark.parametrize("given", [("--base", ".", "--head", "no-such-thing"), None])
def test_what_cannot_be_written_is_refused_before_the_run(
    run,  # noqa: F811
    kept,
    tmp_path,
    monkeypatch,
    words,
    said,
    given,
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    there = {path.name for path in tmp_path.iterdir()}
    done = run("gate", *(given or kept()), *words)
    assert done.status == 2
    assert said in done.err
    assert done.err.count("\n") == 1
    assert done.out == ""
    assert {path.name for path in tmp_path.iterdir()} - {"kept.json"} == there


@pytest.mark.parametrize(("result", "status"), [(FINE, 2), (WORSE, 1)])
def test_what_cannot_be_written_loses_nothing_else(
    run,  # noqa: F811
    kept,
    tmp_path,
    monkeypatch,
    result,
    status,
):
    words = kept(result)
    told = run("gate", *words).out

    def full(path, _):
        raise Unsupported(path.name, "it cannot be written", "make room")

    monkeypatch.setattr(json_file, "write", full)
    files = [tmp_path / name for name in ("a.json", "a.md", "a.png")]
    options = zip(("--json", "--markdown", "--plot"), files, strict=True)
    done = run("gate", *words, *(word for pair in options for word in pair))
    assert done.status == status
    assert done.out == told
    assert done.err == "convbench: a.json: it cannot be written; make room\n"
    assert [file.exists() for file in files] == [False, True, True]


def test_a_disk_that_is_full_for_all_files_is_said_of_each(run, kept, tmp_path, monkeypatch):  # noqa: F811
    words = kept()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", full)
    names = {"json": "a.json", "junit": "a.xml", "plot": "a.png", "markdown": "a.md"}
    done = run("gate", *words, *(f"--{k}={tmp_path / name}" for k, name in names.items()))
    assert done.status == 2
    assert done.err.splitlines() == [
        f"convbench: {tmp_path / name}: it cannot be written: No space left on device; make room "
        "or name another file"
        for name in names.values()
    ]


def unread(*words: str, stream: str) -> tuple[int, str]:
    """The exit status of a command of which nobody reads a stream, and what the other says."""
    ours, theirs = os.pipe()
    os.close(ours)
    other = "stderr" if stream == "stdout" else "stdout"
    buffered = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        [sys.executable, "-m", "convbench", "gate", *words],
        **{stream: theirs, other: subprocess.PIPE},
        text=True,
        check=False,
        cwd=ROOT,
        env=buffered,
    )
    os.close(theirs)
    return done.returncode, getattr(done, other)


@pytest.mark.parametrize("form", ["table", "json", "markdown"])
def test_whoever_does_not_read_is_not_told_that_something_is_worse(kept, tmp_path, form):
    file = tmp_path / "again.json"
    words = (*kept(), "--json", str(file), "--format", form)
    assert unread(*words, stream="stdout") == (141, "")
    assert json_file.read(file) == FINE


@pytest.mark.processes
def test_nor_is_whoever_does_not_read_how_it_goes_on():
    words = ("--arch", "lenet5", "--framework", fakes.NAME, "--threads", "1", "--base", ".")
    loose = ("--head", "this", "--tolerance=100%", "--tolerance-first=off", "--budget=30s")
    assert unread(*words, *loose, stream="stderr") == (141, "")


def test_rich_still_asks_what_to_do_about_a_pipe():
    assert Console.on_broken_pipe is not Screen.on_broken_pipe
    with pytest.raises(BrokenPipeError):
        Screen().on_broken_pipe()
