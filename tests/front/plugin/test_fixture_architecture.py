"""The fixture `architecture` as people's own suites use it."""

from __future__ import annotations

import importlib.util

import pytest

from tests.support.benches import text

pytestmark = [pytest.mark.processes, pytest.mark.pytorch]

MODELS = """
import torch
from torch import nn


def lecture(classes=10, width=32):
    layers = [nn.Conv2d(1, width, 3), nn.ReLU(), nn.MaxPool2d(2)]
    layers += [nn.Conv2d(width, 64, 3), nn.ReLU(), nn.MaxPool2d(2)]
    layers += [nn.Conv2d(64, 64, 3), nn.ReLU(), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(576, 64), nn.ReLU(), nn.Linear(64, classes))


def vgg(classes=1000, image=224, dropout=0.5):
    layers, maps = [], 3
    for depth, width in ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)):
        for _ in range(depth):
            layers += [nn.Conv2d(maps, width, 3, padding=1), nn.ReLU()]
            maps = width
        layers.append(nn.MaxPool2d(2))
    size = 512 * (image // 32) ** 2
    layers += [nn.Flatten(), nn.Linear(size, 4096), nn.ReLU(), nn.Dropout(dropout)]
    layers += [nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(dropout), nn.Linear(4096, classes)]
    return nn.Sequential(*layers)
"""

PASSING = """
import torch
from models import lecture, vgg


def test_it_is(architecture):
    found = architecture("mnist_convnet").check(lecture())
    assert found.same and found.closes and found.ledger.theirs.parameters == 93_322


def test_it_is_with_other_images_and_classes(architecture):
    with torch.device("meta"):
        model = vgg(classes=10, image=150)
    architecture("vgg16").check(model, input=(3, 150, 150), classes=10)


def test_what_is_allowed_does_not_matter(architecture):
    with torch.device("meta"):
        model = vgg(dropout=0.3)
    found = architecture("vgg16").check(model, allow=["dropout rate"])
    assert not found.same


def test_the_graph_of_other_images_and_classes(architecture):
    graph = architecture("vgg16").graph(input=(3, 150, 150), classes=10)
    assert graph.input == (3, 150, 150)
    assert graph.output.output == (10,)
"""


@pytest.fixture
def run(pytester):
    """The outcome of a session with a test file."""
    # Importing PyTorch here would be undone by pytester, which it does not survive.
    if importlib.util.find_spec("torch") is None:
        pytest.skip("PyTorch is not installed")

    def run_(tests):
        pytester.makepyfile(models=MODELS, test_mine=tests)
        return pytester.runpytest_subprocess("-p", "no:cacheprovider")

    return run_


def test_what_is_the_paper_s_network_passes(run):
    run(PASSING).assert_outcomes(passed=4)


FAILING = """
import pytest
from models import lecture, vgg


def test_wider(architecture):
    architecture("mnist_convnet").check(lecture(width=33))


def test_not_allowed(architecture):
    architecture("mnist_convnet").check(lecture(width=33), allow=["dropout rate"])


@pytest.mark.parametrize("model", [3, lecture])
def test_no_model(architecture, model):
    architecture("mnist_convnet").check(model)


def test_allowed_in_vain(architecture):
    architecture("mnist_convnet").check(lecture(), allow=["dropout rat"], name="mine")


def test_named(architecture):
    architecture("mnist_convnet").check(lecture(width=31), name="my_convnet")


def test_no_name(architecture):
    architecture("resnet51")


def test_no_such_classes(architecture):
    architecture("lenet5").check(lecture(), classes=7)


def test_image_that_does_not_fit(architecture):
    architecture("vgg16").check(lecture())
"""


def test_what_is_another_network_fails_with_the_ledger_and_no_traceback(run):
    result = run(FAILING)
    result.assert_outcomes(failed=9)
    said = " ".join(text(result).replace("E ", "").split())
    assert "Sequential is not mnist_convnet as its paper describes it: 93,908 parameters" in said
    assert "Channels: 33 instead of 32; 1 layer behind it follows at 0 (+586 parameters" in said
    assert "That accounts for all of it." in said
    neither = "it is neither a torch.nn.Module nor a keras.Model; give a model itself"
    assert f"an int: {neither}" in said
    assert f"a function: {neither}" in said
    assert "unknown architecture 'resnet51'; did you mean resnet50" in said
    assert "lenet5 with 7 classes: its answer output is the distance to 10 fixed codes" in said
    assert "see that the model takes two images of (3, 224, 224)" in said
    assert "unknown kind of difference 'dropout rat'; did you mean dropout rate" in said
    assert "my_convnet is not mnist_convnet" in said
    assert "Traceback" not in said
    assert "convbench/fixtures.py" not in said
