"""Errors carry facts, and print one line that says where, what, wanted, got, and what to do."""

from __future__ import annotations

import pickle

import pytest

from convbench.base import errors
from tests.support.raised_texts import RAISED

SENTENCES = [
    (
        errors.BadLayer("Conv", "stride", "positive whole numbers", (0, 0)),
        "Conv: stride must be positive whole numbers, but is (0, 0)",
    ),
    (
        errors.ShapeMismatch("net.sum", "one shape", "two", "does a stride miss?"),
        "net.sum: wants one shape, but gets two; does a stride miss?",
    ),
    (errors.BadAddress("net.a", "this address is taken"), "net.a: this address is taken"),
    (
        errors.UnknownName("framework", "kears", ("pytorch", "keras")),
        "unknown framework 'kears'; did you mean keras?",
    ),
    (
        errors.UnknownName("framework", "mxnet", ("pytorch", "keras")),
        "unknown framework 'mxnet'; known: pytorch, keras",
    ),
    (
        errors.BadOption("--bench-batch", "a positive whole number", "x"),
        "--bench-batch must be a positive whole number, but is 'x'",
    ),
    (
        errors.BrokenSide("head", "venv", "the folder venv: it has no bin/python"),
        "head 'venv': the folder venv: it has no bin/python",
    ),
    (
        errors.TableError("vgg16.toml", "table 1", "a list", "'3'"),
        "vgg16.toml, table 1: wanted a list, found '3'; reference_tables/README.md has the form",
    ),
    (
        errors.TableError("vgg16.toml", "", "TOML", "a comma", "mend it there"),
        "vgg16.toml: wanted TOML, found a comma; mend it there",
    ),
    (
        errors.FrameworkMissing("keras", "keras not installed", "run pip"),
        "keras cannot be used: keras not installed; run pip",
    ),
    (
        errors.Unsupported("device cuda", "no GPU", "use cpu"),
        "device cuda: no GPU; use cpu",
    ),
    (
        errors.WorkerFailed("vgg16 keras forward", "timing rounds", "hung up"),
        "vgg16 keras forward: hung up (while timing rounds)",
    ),
    (
        errors.BrokenSide("head", "v1", "the folder models: it is empty; name another"),
        "head 'v1': the folder models: it is empty; name another",
    ),
    (
        errors.FromWorkingTree("net", "/repo/net.py"),
        "it imports net from /repo/net.py of the working tree, and not from its own worktree; "
        "install it by --install, or put the folder that holds it on PYTHONPATH",
    ),
    (
        errors.BadRecord("journal, line 3", "JSON", "'x'"),
        "journal, line 3: wanted JSON, found 'x'",
    ),
]


@pytest.mark.parametrize(("error", "sentence"), SENTENCES)
def test_sentence(error, sentence):
    assert str(error) == sentence
    assert isinstance(error, errors.ConvbenchError)


@pytest.mark.parametrize("error", [error for error, _ in SENTENCES])
def test_errors_travel_between_processes(error):
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_no_error_is_left_out():
    known = set(errors.ConvbenchError.__subclasses__())
    assert {kind for kind in known if kind.__module__ == errors.__name__} == {
        type(error) for error, _ in SENTENCES
    }


def test_an_error_keeps_its_cause():
    error, cause = errors.BadAddress("net.a", "unknown"), KeyError("a")
    with pytest.raises(errors.BadAddress) as caught:
        raise error from cause
    caught.value.add_note("seen while building")
    assert caught.value.__cause__ is cause


@pytest.mark.parametrize(
    ("name", "known", "want"),
    [
        ("vgg17", ["vgg16", "resnet", "vgg19"], {"vgg16", "vgg19"}),
        ("alexnet", ["alexnet", "lenet5"], {"alexnet", "lenet5"}),
        ("x", ["alexnet"], set()),
        ("vgg", [], set()),
    ],
)
def test_nearest(name, known, want):
    assert set(errors.nearest(name, known)) == want


@pytest.mark.parametrize(("kind", "text", "sentence"), RAISED.values(), ids=RAISED)
def test_of_what_a_framework_raises_the_line_is_told_that_says_what_is_wrong(kind, text, sentence):
    error = type(kind, (Exception,), {})(text)
    assert errors.said(error) == sentence


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", ""),
        (" \n\n", ""),
        ("no such layer", "no such layer"),
        ("no such layer\nsee the list", "no such layer"),
        ("\n\n  no such layer\n", "no such layer"),
        ("Graph execution error:", "Graph execution error:"),
        ("Graph execution error:\n\n", "Graph execution error:"),
        (
            "2 root error(s) found.\n  (0) ABORTED: no such layer\n  (1) ABORTED",
            "(0) ABORTED: no such layer",
        ),
        (
            "C++ compile error\n\nCommand:\ng++\n\nOutput:\na.h:1: error: no B.h",
            "a.h:1: error: no B.h",
        ),
        ("C++ compile error\n\nCommand:\ng++", "C++ compile error"),
        (
            'Traceback (most recent call last):\n  File "a.py", line 1\nfault: it is lost',
            "fault: it is lost",
        ),
        ("Traceback (most recent call last):", "Traceback (most recent call last):"),
        ("net: wants 3 channels\nExplanation:", "net: wants 3 channels"),
        ("Unsupported\n  Explanation: no such layer", "no such layer"),
    ],
)
def test_telling_line(text, line):
    assert errors.telling_line(text, most=80) == line


def test_an_error_says_its_kind_once_even_if_it_says_nothing_more():
    class Mute(Exception):
        def __str__(self):
            raise ValueError

    assert errors.said(ValueError("ValueError: no")) == "ValueError: no"
    assert errors.said(ValueError()) == "ValueError"
    assert errors.said(Mute()) == "Mute: it does not say why"
