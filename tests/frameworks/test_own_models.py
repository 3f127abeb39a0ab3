"""Models of one's own in the real frameworks: what a step does, and which framework is found."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from convbench.frameworks.registry import among
from tests.conftest import ROOT
from tests.frameworks.test_models import KERAS as BACKENDS
from tests.front.plugin.test_fixtures import QUICK
from tests.support.benches import here, text

pytestmark = pytest.mark.processes

TORCH = """
from torch import nn

def small(classes=10):
    body = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten()
    return nn.Sequential(*body, nn.Linear(144, classes))

class Lazy(nn.Sequential):
    def __init__(self):
        super().__init__(nn.LazyConv2d(4, 3), nn.Flatten(), nn.LazyLinear(10))

class Boxes(nn.Module):
    def forward(self, x):
        return {"boxes": x}

def enormous():
    return nn.Linear(10**9, 10**9)
"""

KERAS = """
import keras

def small(last="softmax"):
    layers = keras.layers
    return keras.Sequential([layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(10, last)])

class Sub(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(10)

    def call(self, x):
        return self.dense(keras.ops.mean(x, axis=(1, 2)))"""

BOTH = """
import torch_models
from keras_models import small
"""


def run(pytester: pytest.Pytester, *calls: str) -> pytest.RunResult:
    """A test of each call, in a file that imports no framework."""
    lines = []
    for number, call in enumerate(calls):
        lines += [f"def test_{number}(throughput):", f"    print(throughput({call}))", ""]
    pytester.makepyfile(
        torch_models=TORCH, keras_models=KERAS, both_models=BOTH, test_speed="\n".join(lines)
    )
    return here(pytester, *QUICK)


ALL = "passes=('forward', 'backward', 'train_step')"


@pytest.mark.pytorch
def test_pytorch_times_every_pass_of_a_model_that_nobody_described(pytester):
    result = run(
        pytester,
        f"'torch_models:small', input=(3, 8, 8), {ALL}",
        f"'torch_models:Lazy', input=(3, 8, 8), {ALL}",
    )
    result.assert_outcomes(passed=2)
    assert "small in torch " in text(result)
    assert "Lazy in torch " in text(result)


@pytest.mark.keras
def test_keras_times_every_pass_whatever_the_first_guess(pytester):
    result = run(
        pytester,
        f"'keras_models:small', input=(8, 8, 3), {ALL}",
        f"'keras_models:Sub', input=(8, 8, 3), {ALL}, framework='keras'",
    )
    result.assert_outcomes(passed=2)
    assert "small in keras " in text(result)
    assert "Sub in keras " in text(result)


@pytest.mark.pytorch
@pytest.mark.keras
def test_a_module_that_uses_both_frameworks_gets_the_one_of_its_model(pytester):
    result = run(
        pytester,
        "'both_models:small', input=(8, 8, 3), passes='forward'",
        "'keras_models:small', input=(8, 8, 3), framework='pytorch'",
    )
    result.assert_outcomes(passed=1, failed=1)
    assert "small in keras " in text(result)
    sentence = "small pytorch forward: it is a model of keras, not of pytorch; leave out framework="
    assert sentence in text(result)


@pytest.mark.pytorch
def test_what_pytorch_models_cannot_do_is_one_sentence_each(pytester):
    result = run(
        pytester,
        "'torch_models:small', input=(1, 8, 8)",
        "'torch_models:small', input=(3, 8, 9), batch=2",
        "'torch_models:Boxes', input=(3, 8, 8)",
        "'torch_models:enormous', input=(3, 8, 8)",
        "'torch_models:small', input=(3, 8, 8), framework='keras'",
    )
    result.assert_outcomes(failed=5)
    for sentence in (
        "its answer to a batch of 4x1x8x8: RuntimeError: Given groups=1, weight of size [4, 3, 3",
        "its answer to a batch of 2x3x8x9: RuntimeError: mat1 and mat2 shapes cannot be multipl",
        "Boxes pytorch backward: its loss: cross-entropy wants batch x classes, but its answer is "
        "not one array; give loss=, or passes=('forward',)",
        "enormous pytorch forward: does not fit: needs at least ",
        "small keras forward: it is a model of pytorch, not of keras; leave out framework=",
    ):
        assert sentence in text(result)
    assert "Traceback" not in text(result)


@pytest.mark.keras
def test_what_a_keras_model_cannot_take_is_one_sentence(pytester):
    result = run(pytester, "'keras_models:small', input=(2, 2, 3)")
    result.assert_outcomes(failed=1)
    assert "its answer to a batch of 4x2x2x3: ValueError: " in text(result)
    assert "Exception encountered" not in text(result)


def facts(framework: str) -> dict[str, Any]:
    """What `tests.support.own_model_facts` says of one framework."""
    command = [sys.executable, "-m", "tests.support.own_model_facts", framework]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


# Whether a pass changes a weight, and whether it changes a running mean.
CHANGES = {"forward": [False, False], "backward": [False, True], "train_step": [True, True]}


@pytest.mark.pytorch
def test_a_step_of_pytorch_does_what_its_pass_says():
    said = facts("pytorch")
    assert said["takes"] == [True, False]
    assert said["answer"] == [4, 3]
    assert said["changes"] == CHANGES
    assert said["seen"] == [[[4, 3], [4]]], "called as PyTorch's own losses are"
    gradients = said["gradients"]
    assert gradients["default"] == gradients["noting"] != gradients["smoothed"]


@pytest.mark.parametrize("framework", BACKENDS)
def test_a_step_of_keras_does_what_its_pass_says(framework):
    said = facts(framework)
    assert said["takes"] == [True, False]
    assert said["answer"] == [4, 3]
    assert said["changes"] == CHANGES
    assert said["seen"] == [[[4, 3], [4]]], "called as Keras's own losses are, and traced once"
    assert said["shrunk"], "regularizers are part of the loss"
    assert said["from_logits"] == ["logits"], "what ends in a softmax is trained on probabilities"


def test_the_package_of_a_framework_tells_which_it_is():
    assert among({"torch", "os"}) == ["pytorch"]
    assert among({"keras"}) == ["keras"], "whatever backends there are"
    assert among({"os"}) == among(()) == []
