"""`convbench gate` from end to end, with processes of a framework that is none: what it says of
sides that are alike, slower, other, or broken, and its exit status."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from convbench.gate.outputs import json_file
from tests.conftest import ROOT, git, output, script, wait_for
from tests.front.cli.test_main import Done, run  # noqa: F401  (a fixture)
from tests.support import fakes

pytestmark = pytest.mark.processes

LENET = ("--arch", "lenet5", "--framework", fakes.NAME, "--threads", "1")
TIME_ALONE = ("--tolerance-first", "off", "--tolerance-memory", "off")
LOOSE = ("--tolerance", "100%", *TIME_ALONE)
"""What tells nothing within a second unless it is gross: the fake's steps take microseconds."""
OTHER = f"framework={fakes.NAME},mode={fakes.OTHER_MODE}"
SAME = ("--base", ".", "--head", "this")


def interpreter(at: Path, fault: str) -> Path:
    """A Python of which the workers meet a fault that others do not."""
    file = at.with_suffix(".fault")
    file.write_text(fault, encoding="ascii")
    return script(at, f'{fakes.VARIABLE}={file} exec {sys.executable} "$@"')


def gate(run, *words) -> Done:  # noqa: F811
    return run("gate", *LENET, *words)


def test_two_sides_that_are_alike_pass(run, tmp_path):  # noqa: F811
    file = tmp_path / "gate.json"
    done = gate(run, *SAME, *LOOSE, "--budget", "60s", "--json", file)
    assert done.status == 0, done.err
    assert "not slower (within 100%)" in done.out
    assert "convbench gate --arch lenet5" in done.out
    result = json_file.read(file)
    (verdict,) = result.verdicts
    assert verdict.outcome == "not worse"
    assert 4 < verdict.pairs == len(result.pairs) < 30
    assert {pair.first for pair in result.pairs} == {"base", "head"}
    assert result.command.endswith(f" --seed {result.seed}"), "what repeats it"


@pytest.mark.slow
def test_every_output_is_written_and_tells_the_same(run, tmp_path):  # noqa: F811
    files = [tmp_path / name for name in ("g.json", "g.xml", "g.md", "g.png")]
    words = [w for pair in zip(("--json", "--junit", "--markdown", "--plot"), files) for w in pair]  # noqa: B905
    done = gate(run, *SAME, *LOOSE, "--budget", "60s", *words)
    assert done.status == 0
    result = json_file.read(files[0])
    assert f"({len(result.pairs)}" not in files[2].read_text("utf-8").partition("details")[0]
    assert "](g.png)" in files[2].read_text("utf-8")
    assert files[3].read_bytes().startswith(b"\x89PNG")
    (suite,) = ET.parse(files[1]).getroot().iter("testsuite")
    assert len(list(suite.iter("testcase"))) >= 1
    again = run("gate", "--from", files[0])
    assert again.status == 0
    assert again.out == done.out


@pytest.mark.slow
def test_a_head_with_real_work_added_is_slower(run, tmp_path):  # noqa: F811
    words = ("--self-test", "--inject", "100%", "--tolerance", "10%", *TIME_ALONE)
    done = gate(
        run,
        *words,
        *("--budget", "60s", "--time", "0.001s", "--keep", tmp_path, "--format", "json"),
    )
    told = json.loads(done.out)
    assert told["runs"] == 1
    (subject,) = told["subjects"]
    assert subject["worse"] == {"count": 1, "of": 1}
    assert subject["ratio"] > 1.3
    assert json_file.read(tmp_path / "run-0001.json").status == 1


@pytest.mark.slow
def test_a_self_test_goes_on_with_what_it_has_kept(run, tmp_path):  # noqa: F811
    words = ("--self-test", *LOOSE, "--budget", "5s", "--time", "0.001s", "--keep", tmp_path)
    assert "1 runs" in gate(run, *words).out
    done = gate(run, *words)
    assert "2 runs" in done.out
    assert re.search(r"^this gate +0 of 2 ", done.out, re.MULTILINE)
    assert "pytest-benchmark" in done.out
    other = gate(run, *words[:-2], "--keep", tmp_path, "--inject", "5%")
    assert other.status == 2
    assert other.err.strip().endswith("run-0001.json'")


def test_another_function_on_one_side_is_no_matter_of_time(run, fault):  # noqa: F811
    fault("other-function@examine")
    done = gate(run, "--base", ".", "--head", OTHER, "--budget", "60s")
    assert done.status == 1
    assert "function" in done.out
    assert "lenet5" in done.out
    assert "Traceback" not in done.err


@pytest.mark.slow
def test_a_model_that_is_not_the_paper_s_on_one_side_is_not_timed(run, tmp_path):  # noqa: F811
    head = interpreter(tmp_path / "python", "wrong-structure@observe")
    file = tmp_path / "gate.json"
    done = gate(run, "--base", ".", "--head", head, "--budget", "60s", "--json", file)
    assert done.status == 1
    result = json_file.read(file)
    assert not result.pairs
    assert any(d.what.startswith("output of") for d in result.differences)


@pytest.mark.parametrize(
    ("fault_", "said"),
    [
        ("sigkill@step", "was killed by SIGKILL"),
        ("RuntimeError@build", "RuntimeError: the kernel is unhappy"),
        ("exit@prepare", "ended with exit code 3"),
        ("garbage@step", "answered nonsense"),
        ("exit@import", "its process ended while importing"),
    ],
)
def test_a_head_that_breaks_is_no_pass(run, tmp_path, fault_, said):  # noqa: F811
    head = interpreter(tmp_path / "python", fault_)
    done = gate(run, "--base", ".", "--head", head, "--budget", "60s")
    assert done.status == 2
    assert said in done.out + done.err
    assert "head" in done.out + done.err
    assert "Traceback" not in done.out + done.err


@pytest.mark.slow
def test_a_head_that_hangs_is_no_pass(run, tmp_path):  # noqa: F811
    head = interpreter(tmp_path / "python", "hang@step")
    done = gate(run, "--base", ".", "--head", head, "--budget", "60s", "--timeout", "2s")
    assert done.status == 2
    assert "gave no answer for 2 s and was killed" in done.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "--base must be"),
        (("--base", "."), "--head must be"),
        ((*SAME, "--arch", "resnet5000"), "unknown architecture"),
        ((*SAME, "--pass", "sideways"), "unknown pass"),
        ((*SAME, "--batch", "0"), "--batch must be whole numbers"),
        ((*SAME, "--tolerance", "lots"), "--tolerance must be a percentage"),
        ((*SAME, "--tolerance", "1e1%"), "--tolerance must be a percentage"),
        ((*SAME, "--tolerance", "+3%"), "--tolerance must be a percentage"),
        (
            (*SAME, "--tolerance", "0.05"),
            "--tolerance must be 0.1% or more (for five percent write",
        ),
        ((*SAME, "--tolerance-memory", "0.09%"), "write 5% or 5), but is '0.09%'"),
        ((*SAME, "--tolerance", "off"), "--tolerance must be a percentage"),
        ((*SAME, "--budget", "soon"), "--budget must be a time"),
        ((*SAME, "--arch", ","), "--arch must be one or more names"),
        ((*SAME, "--model", "m:f"), "--model-input must be"),
        ((*SAME, "--model", "mf", "--model-input", "1,2,3"), "not of the form module:name"),
        (("--base", ".", "--head", "no-such-thing"), "no-such-thing"),
        (("--base", ".", "--head", "colour=red"), "colour"),
        ((*SAME, "--plot", "plot.txt"), "--plot must be a file that ends in .png"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_no_pass(run, words, said):  # noqa: F811
    done = gate(run, *words)
    assert done.status == 2
    assert said in done.err
    assert len(done.err.strip().splitlines()) == 1
    assert not done.out


def test_without_time_nothing_is_measured_and_nothing_passes(run):  # noqa: F811
    done = gate(run, *SAME, "--budget", "0.001s")
    assert done.status == 2
    assert "nothing was measured" in done.err


@pytest.mark.slow
def test_a_model_of_one_s_own(run, tmp_path, monkeypatch):  # noqa: F811
    (tmp_path / "mine.py").write_text("from tests.support.fakes import Small\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    model = ("--model", "mine:Small", "--model-input", "1,28,28")
    done = gate(run, *SAME, *model, *LOOSE, "--budget", "60s")
    assert done.status == 0, done.err + done.out
    assert f"mine:Small {fakes.NAME} forward" in done.out


def test_ctrl_c_tells_what_there_is(tmp_path, fault, fault_file):
    fault("chatter@step")
    file = tmp_path / "gate.json"
    words = ["gate", *LENET, *SAME, "--tolerance", "0.1%", "--budget", "10m", "--json", str(file)]
    process = subprocess.Popen(
        [sys.executable, "-m", "convbench", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    wait_for(fakes.struck(fault_file))
    process.send_signal(signal.SIGINT)
    told, errors = output(process)
    assert process.returncode == 130
    assert "The run was interrupted" in told
    assert "Traceback" not in errors
    result = json_file.read(file)
    assert "interrupted" in result.notes[0]
    assert result.interrupted
    assert result.status == 2
    assert told.splitlines()[-1].startswith("interrupted: no verdict")


def test_off_is_offered_only_where_it_can_be(run):  # noqa: F811
    told = " ".join(run("gate", "--help").out.split())
    assert "of the step time (default: 3%)" in told
    assert "of the first result, or off (default: 10%)" in told
    assert "of the peak memory, or off (default: 5%)" in told


@pytest.mark.usefixtures("repository")
def test_words_that_cannot_be_are_refused_before_anything_is_installed(run):  # noqa: F811
    sides = ("--base", "v1", "--head", "v2", "--install", "touch installed; exit 3")
    done = gate(run, *sides, "--budget", "tenm")
    assert done.status == 2
    assert done.err.startswith("convbench: --budget must be a time")
    assert "checking out" not in done.err


def test_without_a_framework_it_says_so(run, monkeypatch):  # noqa: F811
    monkeypatch.setattr("convbench.front.cli.gate.options.installed", list)
    done = run("gate", *SAME, "--arch", "lenet5")
    assert done.status == 2
    assert "no framework is installed" in done.err


def test_what_is_left_out_is_told(run):  # noqa: F811
    frameworks = ("--framework", f"pytorch,{fakes.NAME}")
    done = run("gate", *SAME, "--arch", "lenet5", *frameworks, "--mode", "tidy", "--budget", "1s")
    assert "lenet5 is not compared in pytorch tidy: it has no such mode" in done.out


LAYERS = """
import torch

def small():
    kernel = {{1: 3, 2: 5}}[{number}]
    return torch.nn.Sequential(torch.nn.Conv2d(1, 6, kernel), torch.nn.ReLU())
"""


@pytest.mark.slow
@pytest.mark.pytorch
def test_a_model_that_is_another_in_the_head_is_told_to_the_layer(run, repository):  # noqa: F811
    for number in (1, 2):
        (repository / "mine.py").write_text(LAYERS.format(number=number), encoding="utf-8")
        git(repository, "add", ".")
        git(repository, "commit", "--quiet", "--message", f"Kernel of layer {number}")
    model = ("--model", "mine:small", "--model-input", "1,28,28", "--framework", "pytorch")
    sides = ("--base", "HEAD~1", "--head", "HEAD", "--install", "none")
    done = run("gate", *sides, *model, "--budget", "15s")
    assert done.status == 1
    assert "parameters: base 60, head 156" in done.out
    assert "output of 0: base 6x26x26, head 6x24x24" in done.out
    assert "no pair was taken" not in done.out
    shown = run("gate", *sides, *model, "--budget", "15s", "--parity", "off", *LOOSE)
    assert shown.status == 0, shown.out
    assert "head 156, as was allowed" in shown.out


DICE = """
import os
import torch

def small():
    return torch.nn.Linear(28, os.getpid() % 1000 + 1)
"""


@pytest.mark.slow
@pytest.mark.pytorch
def test_a_model_that_is_another_in_each_process_is_no_difference(run, tmp_path, monkeypatch):  # noqa: F811
    (tmp_path / "dice.py").write_text(DICE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    model = ("--model", "dice:small", "--model-input", "1,28,28", "--framework", "pytorch")
    done = run("gate", *SAME, *model, "--budget", "5s")
    assert done.status == 2
    assert "two processes of the base have different models" in done.out


def test_a_side_that_cannot_be_is_told_in_the_files_too(run, tmp_path):  # noqa: F811
    files = [tmp_path / name for name in ("g.json", "g.md", "g.xml")]
    words = ("--json", files[0], "--markdown", files[1], "--junit", files[2])
    done = gate(run, "--base", ".", "--head", tmp_path, *words)
    assert done.status == 2
    assert "it has no bin/python" in done.err
    result = json_file.read(files[0])
    assert result.status == 2
    assert result.broken[0].role == "head"
    assert all("it has no bin/python" in file.read_text("utf-8") for file in files)


HIDDEN = """
import sys
sys.path.insert(0, {place!r})
import helper
{model}
"""
MODEL = ("--model", "mine:Mine", "--model-input", "1,28,28", *LOOSE)
TORCH = "from torch.nn import Flatten as Mine"


@pytest.mark.parametrize(
    ("framework", "model"),
    [
        (fakes.NAME, "from tests.support.fakes import Small as Mine"),
        pytest.param("pytorch", TORCH, marks=pytest.mark.pytorch),
    ],
)
def test_a_model_with_code_of_the_working_tree_is_not_timed(run, repository, framework, model):  # noqa: F811
    place = repository / "python"
    place.mkdir()
    (place / "helper.py").touch()
    text = HIDDEN.format(place=str(place), model=model)
    (repository / "mine.py").write_text(text, encoding="utf-8")
    git(repository, "add", "mine.py")
    git(repository, "commit", "--quiet", "--message", "A model")
    sides = ("--base", "HEAD", "--head", "HEAD", "--install", "none", "--framework", framework)
    file = repository / "gate.json"
    done = run("gate", *sides, *MODEL, "--budget", "60s", "--json", file)
    result = json_file.read(file)
    said = f"it imports helper from {place}/helper.py of the working tree, and not"
    assert done.status == 2
    assert said in result.broken[0].reason
    assert not result.pairs
    structure = [note for note in result.notes if "structure was not compared" in note]
    assert framework == fakes.NAME or said in structure[0]
    assert "Uncommitted changes are in neither side: `.` is the working tree." in result.notes


@pytest.mark.pytorch
def test_a_model_that_two_interpreters_find_in_one_place_is_told(run, tmp_path, monkeypatch):  # noqa: F811
    (tmp_path / "mine.py").write_text(TORCH.replace("Flatten", "ReLU"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    head = script(tmp_path / "python", f'exec {sys.executable} "$@"')
    file = tmp_path / "gate.json"
    sides = ("--base", ".", "--head", head, "--framework", "pytorch")
    run("gate", *sides, *MODEL, "--budget", "1s", "--json", file)
    assert json_file.read(file).notes == (
        "Both sides import mine from mine.py: only what is installed differs.",
    )
