"""`convbench parity`: what it compares, what it prints, and what it refuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from convbench.front.cli import main, shared
from convbench.measure.machine import environment as machine
from tests.conftest import output, wait_for
from tests.support import fakes

pytestmark = pytest.mark.processes

SIDES = ("--framework", fakes.NAME, "--mode", fakes.OTHER_MODE)
KEYS = [
    *("name", "sides", "outputs", "gradients", "statistics", "losses", "steps", "worst_node"),
    *("disagreement", "seconds", "dtype", "same"),
]


@pytest.fixture
def run(capsys):
    """Status, output and complaints of the command."""

    def run_(*words):
        with pytest.raises(SystemExit) as left:
            main.main(["parity", *words])
        return left.value.code, *capsys.readouterr()

    return run_


@pytest.mark.parametrize("form", ["table", "markdown"])
def test_sides_that_are_the_same_are_told_so(run, form):
    status, out, err = run("lenet5", "mnist_convnet", *SIDES, "--format", form)
    assert (status, err) == (shared.OK, "")
    rows = [line for line in out.splitlines() if "lenet5 " in line or "mnist_convnet " in line]
    assert len(rows) == 2
    assert all("same" in row and "DIFFERENT" not in row for row in rows)


def test_a_difference_is_named_with_both_values_and_ends_in_1(run, fault):
    fault("other-function@examine@lenet5")
    status, out, _ = run("lenet5", "mnist_convnet", *SIDES, "--steps", "2")
    assert status == shared.DIFFERS
    lenet, mnist = (next(x for x in out.splitlines() if x.startswith(n)) for n in ("lenet5", "mni"))
    assert "DIFFERENT" in lenet
    assert "same" in mnist
    assert (
        "lenet5, tests.support.fakes and tests.support.fakes tidy: s4_squash: 1.0e-03 in its output"
        in out
    )
    assert "(nodes before it: 0e+00), for example 1 and 1.001" in out


def test_json_has_the_agreed_keys(run, fault):
    fault("other-function@examine")
    status, out, _ = run("lenet5", *SIDES, "--format", "json", "--steps", "3")
    (result,) = json.loads(out)
    assert list(result) == KEYS
    assert (result["name"], result["same"], result["steps"]) == ("lenet5", False, 3)
    assert result["disagreement"]["kind"] == "output"
    assert status == shared.DIFFERS


def test_a_worker_that_dies_takes_its_network_with_it_alone(run, fault):
    fault("sigkill@examine@lenet5")
    status, out, err = run("lenet5", "mnist_convnet", *SIDES)
    assert status == shared.BROKEN
    assert "lenet5 tests.support.fakes parity: was killed by SIGKILL" in err
    assert "mnist_convnet" in out


def test_what_does_not_fit_is_refused_with_what_it_needs(run, monkeypatch):
    monkeypatch.setattr(machine, "available_bytes", lambda: 2**20)
    status, _, err = run("lenet5", *SIDES, "--batch", "999999")
    assert status == shared.BROKEN
    assert "lenet5 tests.support.fakes parity: does not fit: needs at least" in err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--framework", fakes.NAME), "it compares two frameworks, not 1; name two"),
        (
            ("--framework", "kera,pytorch"),
            "unknown framework 'kera'; did you mean keras or keras-jax?",
        ),
        (
            ("lenet5", "--framework", fakes.NAME, "--mode", "fast"),
            "tests.support.fakes cannot run in it",
        ),
        (("--framework", "pytorch,pytorch"), "parity: pytorch is pytorch; name two frameworks"),
        (("--framework", fakes.NAME, "--mode", "default"), "name another --mode"),
        (("lenet6", *SIDES), "unknown architecture 'lenet6'"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_sentence(run, words, sentence):
    status, out, err = run(*words)
    assert (status, out) == (shared.BROKEN, "")
    (line,) = err.splitlines()
    assert sentence in line


@pytest.mark.parametrize("words", [("--batch", "0"), ("--steps", "x"), ("--batch", "-1")])
def test_counts_must_be_positive(run, words):
    status, _, err = run("lenet5", *SIDES, *words)
    assert status == 2
    assert words[0] in err


def test_nothing_stays_behind(run, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    run("lenet5", *SIDES)
    assert not [*tmp_path.glob("convbench-*")]


def test_installed_frameworks_are_the_default(monkeypatch):
    monkeypatch.setattr(shared.registry, "missing", lambda _: None)
    assert shared.installed() == ["pytorch", "keras"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_nothing_behind(tmp_path, fault, fault_file, number):
    fault("hang@examine")
    words = [sys.executable, "-m", "convbench", "parity", "lenet5", *SIDES]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True)
    wait_for(fakes.struck(fault_file))
    process.send_signal(number)
    output(process)
    assert process.returncode == 128 + number
    assert not [*tmp_path.glob("convbench-*")]


def test_one_image_is_refused_where_batch_norm_would_see_one_value(run):
    status, _, err = run("alexnet_bn", *SIDES, "--batch", "1")
    assert status == shared.BROKEN
    assert "bn5 would normalize single values; choose a batch of 2 or more" in err
