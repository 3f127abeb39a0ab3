"""What the ledger calls layers for which `ops` has no word, and their settings."""

from __future__ import annotations

import pytest
from attrs import evolve

from convbench.checks.explain.ledger import ledger
from convbench.frameworks.trace import Other, described
from convbench.networks.builder import Builder
from convbench.networks.ops import Conv, Flatten, GlobalAvgPool, Relu, Softmax


def in_place_of_the_relu(layer):
    net = Builder("net", (3, 8, 8))
    x = net("relu", Relu(), net("conv", Conv(4, kernel=3, padding=1), net.input))
    net("softmax", Softmax(), net("flatten", Flatten(), net("pool", GlobalAvgPool(), x)))
    trace = described(net.graph())
    return evolve(
        trace,
        steps=tuple(
            evolve(step, layer=layer) if step.address == "relu" else step for step in trace.steps
        ),
    )


@pytest.mark.parametrize(
    ("name", "one", "other", "text"),
    [
        ("axes", (0, 1, 3, 2), (0, 2, 3, 1), "(0, 2, 3, 1) instead of (0, 1, 3, 2)"),
        ("padding", (1, 1, 2, 2), (2, 2, 1, 1), "(2, 2, 1, 1) instead of (1, 1, 2, 2)"),
        ("value", 1000, 2000, "2000 instead of 1000"),
    ],
)
def test_settings_of_a_layer_without_a_word_are_told_as_they_were_written(name, one, other, text):
    mine, yours = (in_place_of_the_relu(Other("odd", {name: value})) for value in (one, other))
    (entry,) = ledger(mine, yours).entries
    assert (entry.kind, entry.text) == (name, text)


def test_values_that_are_equal_are_no_difference_however_they_are_written():
    mine, yours = (in_place_of_the_relu(Other("odd", {"value": value})) for value in (1, 1.0))
    assert ledger(mine, yours).entries == ()


@pytest.mark.parametrize(
    ("spelling", "kinds_and_texts"),
    [
        *(
            (spelling, [("activation", f"{word} instead of ReLU")])
            for word, spellings in {
                "hard swish": ("hardswish", "hard silu", "hard swish"),
                "hard sigmoid": ("hardsigmoid", "hard sigmoid"),
                "hard tanh": ("hardtanh", "hard tanh"),
            }.items()
            for spelling in spellings
        ),
        ("interpolate", [("layer missing", "ReLU"), ("layer extra", "resize")]),
        ("layer normalization", [("layer missing", "ReLU"), ("layer extra", "layer norm")]),
    ],
)
def test_both_frameworks_have_one_word_for_a_layer(spelling, kinds_and_texts):
    relu, other = in_place_of_the_relu(Relu()), in_place_of_the_relu(Other(spelling))
    found = ledger(relu, other).entries
    assert sorted((e.kind, e.text) for e in found) == sorted(kinds_and_texts)
