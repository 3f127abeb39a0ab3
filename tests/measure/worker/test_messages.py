"""What one process says is what the other hears; nonsense is refused, whatever it is."""

from __future__ import annotations

import json
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convbench.base.errors import BadRecord
from convbench.base.importing import Reference
from convbench.measure.records import Memory
from convbench.measure.worker import messages
from convbench.measure.worker.messages import OwnModel, decode, encode
from convbench.papers import own_networks
from tests.support.builders import alike
from tests.support.entries import MEMORY, REPORT, TASK, anything

MESSAGES = [
    messages.Start(),
    messages.Start(own_networks.Own("/a b/tables", ("/é", ""))),
    messages.Check("vgg16", "/somewhere/with spaces/é"),
    messages.Prepare(TASK, "tables", 0.3),
    messages.PrepareOwn(
        TASK,
        OwnModel(
            make=Reference("models", "Net.small", "gAQu", "Net.small(3)"),
            input=(3, 32, 32),
            classes=10,
            loss=Reference("losses", "mine"),
            path=("/a folder/é", "/b"),
        ),
        0.3,
    ),
    messages.PrepareOwn(TASK, OwnModel(make=Reference("models", "net"), input=(784,)), 0.0),
    messages.Rounds(100, 2),
    messages.Peak(),
    messages.Attain("cuda", 2, "bfloat16"),
    messages.Profile(),
    messages.Examine(
        architecture="lenet5",
        mode="default",
        batch=2,
        threads=1,
        seed=0,
        steps=3,
        dtype="float64",
        path="a b.npz",
    ),
    messages.Outline(OwnModel(make=Reference("models", "net"), input=(3, 8, 8))),
    messages.Outlined(
        (messages.Fact("network", "parameters", 60), messages.Fact("0", "output", (6, 26, 26)))
    ),
    messages.Stop(),
    messages.Ready("torch 2.13.0", forks=True),
    messages.Ready("torch 2.13.0", forks=True, form=messages.FORM),
    messages.Unusable("torch not installed", "install it"),
    messages.Started(4321),
    messages.Checked(REPORT),
    messages.Prepared(report=REPORT, build_s=0.5, first_s=2.0, warmup_s=(0.1, 1 / 3)),
    messages.Prepared(report=None, build_s=0.5, first_s=2.0, warmup_s=(0.1,)),
    messages.Timed((1e-7, 0.25)),
    messages.Timed(()),
    messages.Peaks(MEMORY),
    messages.Peaks(Memory()),
    messages.Attained(matmul_flops=4.5e11, conv_flops=5e11, copy_bytes_s=1 / 3),
    messages.Profiled((messages.NodeTime("conv1", (0.1, 1e-7)), messages.NodeTime("a.b", ()))),
    messages.Refused("two\nlines and “quotes”"),
    messages.Refused("it differs", REPORT, "failed"),
    messages.Refused("it is a model of keras", framework="keras"),
    messages.Examined(),
    messages.Exited(-9, 4321),
]

KINDS = sorted({type(message).__name__.lower() for message in MESSAGES})


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_is_heard_as_it_was_said(message):
    said = encode(message)
    assert said.endswith(b"\n")
    assert said.count(b"\n") == 1
    assert decode(said) == message
    assert type(decode(said)) is type(message)


def test_every_kind_of_message_is_tried():
    tried = {type(message) for message in MESSAGES}
    assert tried == {*get_args(messages.Request), *get_args(messages.Reply)}


def test_pass_travels_without_the_underscore():
    content = json.loads(encode(messages.Prepare(TASK, "tables", 1.0)))
    assert content["kind"] == "prepare"
    assert content["task"]["pass"] == "train_step"
    assert "pass_" not in content["task"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"", "message: wanted JSON, found b''"),
        (b"Warning: something\n", "message: wanted JSON, found b'Warning: something\\n'"),
        (b"\xff\xfe\xfd", "message: wanted JSON, found b'\\xff\\xfe\\xfd'"),
        (b"[" * 100_000, "message: wanted JSON, found b'[[["),
        (b"9" * 5000, "message: wanted JSON, found b'999"),
        (b"[]", "message: wanted an object, found b'[]'"),
        (b'"stop"', "message: wanted an object, found b'\"stop\"'"),
        (b"{}", "message: wanted one of start, check, prepare, "),
        (
            b'{"kind": "timed", "rounds_s": [NaN]}',
            "timed message: wanted a timed, found 'rounds_s' ",
        ),
        (b'{"kind": "leave"}', "message: wanted one of start, check, prepare, "),
        (b'{"kind": ["stop"]}', "message: wanted one of start, check, prepare, "),
        (
            b'{"kind": "stop", "now": true}',
            "stop message: wanted a stop, found extra fields found (now) @ $",
        ),
        (
            b'{"kind": "started"}',
            "started message: wanted a started, found required field missing @ $.pid",
        ),
        (
            b'{"kind": "started", "pid": "7"}',
            "started message: wanted a started, found invalid value for type, expected int @ $.pid",
        ),
        (
            b'{"kind": "ready", "version": null, "forks": true}',
            "ready message: wanted a ready, found invalid value for type, expected str @ $.version",
        ),
        (
            b'{"kind": "timed", "rounds_s": [0.1, "fast"]}',
            "timed message: wanted a timed, "
            "found invalid value for type, expected float @ $.rounds_s[1]",
        ),
        (
            b'{"kind": "refused", "why": "x", "outcome": "measured"}',
            "refused message: wanted a refused, found ",
        ),
    ],
)
def test_nonsense_is_refused(text, sentence):
    with pytest.raises(BadRecord) as caught:
        decode(text)
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_that_was_cut_off_is_refused(message):
    said = encode(message).rstrip()
    for end in range(len(said)):
        with pytest.raises(BadRecord):
            decode(said[:end])


@alike
@given(st.sampled_from(KINDS), anything)
def test_nothing_but_a_message_or_a_refusal_comes_back(kind, content):
    whole = content if isinstance(content, dict) else {"pid": content, "why": content}
    try:
        heard = decode(json.dumps({"kind": kind, **whole}).encode())
    except BadRecord:
        return
    assert isinstance(heard, messages.Message)


@alike
@given(st.binary(max_size=40))
def test_bytes_at_random_are_refused(text):
    with pytest.raises(BadRecord):
        decode(text)
