"""PyTorch on a fake CUDA: when it waits, what its events tell, which copy a step takes."""

from __future__ import annotations

import importlib
import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest

from convbench.frameworks.weights import batch, filler
from tests.support.small_graphs import lenet_parts

pytestmark = pytest.mark.pytorch

torch = pytest.importorskip("torch")
pytorch_cuda = importlib.import_module("convbench.frameworks.pytorch.cuda")
pytorch = importlib.import_module("convbench.frameworks.pytorch.model")
fake_cuda = importlib.import_module("tests.support.fake_cuda")

GRAPH = lenet_parts()
IMAGES, LABELS = batch(GRAPH, 2, seed=1)


@pytest.fixture
def cuda(monkeypatch):
    return fake_cuda.FakeCuda(l2_bytes=3 * IMAGES.nbytes - 1).install(monkeypatch)


def prepared(*, on_cuda: bool):
    """A framework on a device, and a network of it."""
    framework = pytorch.PyTorch()
    model = framework.build(GRAPH, allocate=True)
    framework.load(model, filler(GRAPH, 1))
    if on_cuda:
        framework._device = fake_cuda.Pretended("cpu")
    return framework, model


def test_a_cpu_has_no_clock_of_its_own_nothing_to_wait_for_and_one_batch(cuda):
    framework, model = prepared(on_cuda=False)
    assert framework.device_clock() is None
    framework.step(model, "train_step", IMAGES, LABELS)()
    assert cuda.asked == []


@pytest.mark.parametrize("pass_", ["forward", "backward", "train_step"])
def test_a_step_waits_for_the_device_but_a_timed_round_once_at_its_end(cuda, pass_):
    framework, model = prepared(on_cuda=True)
    step = framework.step(model, pass_, IMAGES, LABELS)
    step()
    assert cuda.asked == ["synchronize"]
    cuda.asked.clear()
    noted = []
    seconds = framework.device_clock()(lambda: (step(), noted.append(len(cuda.asked))), 3)
    assert seconds == cuda.elapsed_ms / 1000
    assert cuda.asked == ["record", "record", "synchronize"]
    assert noted == [1, 1, 1], "all steps lie between the two events"
    step()
    assert cuda.asked[3:] == ["synchronize"], "and after the round steps wait again"


def test_after_a_step_that_fails_in_a_round_steps_wait_again(cuda):
    framework, _ = prepared(on_cuda=True)

    def fails():
        raise RuntimeError("the kernel is unhappy")

    with pytest.raises(RuntimeError, match="unhappy"):
        framework.device_clock()(fails, 1)
    cuda.asked.clear()
    framework._finish()
    assert cuda.asked == ["synchronize"]


def seen_by(step, number):
    """Which copies of the batch so many steps take, by where they lie."""
    places = []
    hook = torch.nn.modules.module.register_module_forward_pre_hook(
        lambda module, inputs: (
            places.append(inputs[0].data_ptr())
            if isinstance(module, torch.fx.GraphModule)
            else None
        )
    )
    for _ in range(number):
        step()
    hook.remove()
    return places


@pytest.mark.parametrize("pass_", ["forward", "train_step"])
@pytest.mark.usefixtures("cuda")
def test_steps_take_copies_that_the_cache_does_not_hold_in_turn(pass_):
    framework, model = prepared(on_cuda=True)
    places = seen_by(framework.step(model, pass_, IMAGES, LABELS), 6)
    assert len(set(places)) == 3
    assert places[:3] == places[3:]
    framework, model = prepared(on_cuda=False)
    assert len(set(seen_by(framework.step(model, pass_, IMAGES, LABELS), 3))) == 1


@pytest.mark.usefixtures("cuda")
def test_training_on_copies_in_turn_is_training_on_the_batch():
    trained = []
    for on_cuda in (False, True):
        framework, model = prepared(on_cuda=on_cuda)
        step = framework.step(model, "train_step", IMAGES, LABELS)
        for _ in range(5):
            step()
        trained.append(framework.read(model))
    for key, array in trained[0].items():
        assert np.array_equal(array, trained[1][key]), f"{key}: one momentum for all copies"


@pytest.mark.parametrize(
    ("cache_bytes", "number"), [(0, 1), (1, 1), (399, 1), (400, 2), (4000, 11)]
)
def test_copies_are_together_larger_than_the_cache(cache_bytes, number):
    made = pytorch_cuda.copies(torch.ones(1, 100), cache_bytes)
    assert len(made) == number
    assert sum(one.nbytes for one in made) > cache_bytes
    assert len({one.data_ptr() for one in made}) == number


def test_copies_are_laid_out_as_the_batch_is_and_of_tiny_ones_there_are_not_too_many():
    last = torch.ones(2, 3, 4, 4).contiguous(memory_format=torch.channels_last)
    for one in pytorch_cuda.copies(last, 1000):
        assert one.is_contiguous(memory_format=torch.channels_last)
    assert len(pytorch_cuda.copies(torch.ones(1), 2**30)) == pytorch_cuda.MOST_COPIES
    assert pytorch_cuda.copies(torch.ones(0), 8), "no batch at all is divided by, either"


def test_a_pytorch_that_does_not_tell_the_size_of_the_cache_makes_no_copies(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_properties", object)
    assert pytorch_cuda.l2_bytes() == 0


KERAS = """
import numpy as np, pytest, torch
from convbench.frameworks.registry import load_framework
from convbench.frameworks.weights import batch, filler
from tests.support.fake_cuda import FakeCuda
from tests.support.small_graphs import lenet_parts
graph = lenet_parts()
images, labels = batch(graph, 2, seed=1)
keras = load_framework("keras-torch")
model = keras.build(graph, allocate=True)
keras.load(model, filler(graph, 1))
assert keras.device_clock() is None
cuda = FakeCuda(l2_bytes=3 * images.nbytes - 1).install(pytest.MonkeyPatch())
keras._backend._device = "cuda"
for pass_ in ("forward", "train_step"):
    step = keras.step(model, pass_, images, labels)
    del cuda.asked[:]
    assert keras.device_clock()(step, 4) == cuda.elapsed_ms / 1000
    assert cuda.asked == ["record", "record", "synchronize"], cuda.asked
print("fine")
"""


@pytest.mark.keras
@pytest.mark.processes
def test_keras_on_pytorch_has_the_same_clock():
    if importlib.util.find_spec("keras") is None:
        pytest.skip("Keras is not installed")
    command = [sys.executable, "-c", KERAS]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ}, timeout=300
    )
    assert done.stdout == "fine\n", done.stderr[-2000:]
