"""`convbench parity --dtype`: what a precision costs, what it prints, and what it refuses."""

from __future__ import annotations

import json
import re

import pytest

from convbench.front.cli import main, shared
from tests.support import fakes

pytestmark = pytest.mark.processes

FRAMEWORK = ("--framework", fakes.NAME)
KEYS = [
    *("name", "side", "dtype", "worst", "losses", "roundings", "allowed", "switched"),
    *("unexplained", "untold", "seconds", "verdict"),
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
def test_the_error_of_each_precision_is_shown_with_its_place(run, form):
    words = ("--dtype", "float32,bfloat16", "--steps", "2", "--format", form)
    status, out, err = run("lenet5", *FRAMEWORK, *words)
    assert (status, err) == (shared.OK, "")
    single, half = (x for x in out.splitlines() if fakes.NAME in x)
    assert re.search(r"1e-07 [a-z]", single)
    assert re.search(r"5e-03 [a-z]", half)
    assert "losses of 2" in out
    assert single.rstrip(" |").endswith("rounding")
    assert "Rounding explains 2 of 2." in out


def test_the_option_may_be_repeated(run):
    words = ("--dtype", "bfloat16", "--dtype", "float32,bfloat16", "--format", "json")
    _, out, _ = run("lenet5", *FRAMEWORK, *words)
    assert [result["dtype"] for result in json.loads(out)] == ["bfloat16", "float32"]


def test_a_broken_network_is_objected_to_and_ends_in_1(run, fault):
    fault("other-function@examine@lenet5")
    status, out, _ = run("lenet5", "mnist_convnet", *FRAMEWORK, "--dtype", "float32,bfloat16")
    assert status == shared.DIFFERS
    assert (
        "lenet5, tests.support.fakes in float32, is not rounding alone: s4_squash: 1.0e-03 in"
        in out
    )
    assert "Rounding explains 3 of 4." in out, "which 1e-3 is in bfloat16"


def test_json_has_the_agreed_keys(run, fault):
    fault("other-function@examine")
    status, out, _ = run("lenet5", *FRAMEWORK, "--dtype", "float32", "--format", "json")
    (result,) = json.loads(out)
    assert list(result) == KEYS
    assert (result["verdict"], result["unexplained"]["at"]) == ("NOT ROUNDING", "s4_squash")
    assert status == shared.DIFFERS


def test_a_mode_has_its_precision_compared_with_the_default_in_double_precision(run):
    words = ("--mode", fakes.OTHER_MODE, "--dtype", "float32")
    status, out, _ = run("lenet5", *FRAMEWORK, *words)
    assert status == shared.OK
    assert f"{fakes.NAME} {fakes.OTHER_MODE}" in out


def test_a_worker_that_dies_takes_its_network_with_it_alone(run, fault):
    fault("sigkill@examine@lenet5")
    status, out, err = run("lenet5", "mnist_convnet", *FRAMEWORK, "--dtype", "float32")
    assert status == shared.BROKEN
    assert "lenet5 tests.support.fakes parity: was killed by SIGKILL" in err
    assert "mnist_convnet" in out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--dtype", "float16"), "unknown dtype 'float16'; did you mean"),
        (("--dtype", ""), "unknown dtype ''; known: float32, bfloat16"),
        (("--dtype", "float64"), "unknown dtype 'float64'; did you mean bfloat16 or float32"),
        (("--dtype", "float32", "--mode", "fast"), "mode fast"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_sentence(run, words, sentence):
    status, out, err = run("lenet5", *FRAMEWORK, *words)
    assert (status, out) == (shared.BROKEN, "")
    (line,) = err.splitlines()
    assert sentence in line
