"""Values are the same for the same key, ordinary to compute, and fit each layer."""

from __future__ import annotations

from math import prod, sqrt

import numpy as np
import pytest

from convbench.frameworks import weights
from convbench.networks.ops import BatchNorm, Conv, Dense
from convbench.networks.zoo.classic.digits import CODES
from tests.support.builders import graph, tiny

NAMES = ("lenet5", "resnet20_cifar", "mnist_convnet")


@pytest.fixture(scope="module", params=NAMES)
def filled(request):
    """A network and all its arrays under their keys."""
    net = graph(request.param)
    values = weights.filler(net, seed=0)
    keys = [(f"{node.address}/{t.name}", t.shape) for node in net for t in node.tensors]
    return net, {key: values(key, shape) for key, shape in keys}


def test_values_are_ordinary(filled):
    net, arrays = filled
    smallest = np.finfo(np.float32).tiny
    for key, array in arrays.items():
        size = np.abs(array)
        assert array.dtype == np.float32, key
        assert np.isfinite(array).all(), key
        assert smallest <= size.min(), key
        assert size.max() < 100, key
    assert len(arrays) == sum(len(node.tensors) for node in net)


@pytest.mark.parametrize("seed", [0, 2])
def test_no_value_is_zero_even_where_the_generator_draws_one(seed):
    array = weights.filler(graph("vgg16"), seed)("fc8/weight", (1000, 4096))
    assert np.count_nonzero(array) == array.size


def test_arrays_have_the_shapes_of_the_description(filled):
    net, arrays = filled
    for node in net:
        for tensor in node.tensors:
            assert arrays[f"{node.address}/{tensor.name}"].shape == tensor.shape


def test_no_two_arrays_are_alike(filled):
    _, arrays = filled
    drawn = [a.ravel() for key, a in arrays.items() if not key.startswith("output/") and a.size > 3]
    firsts = {tuple(((a - a.mean()) / a.std())[:3]) for a in drawn}
    assert len(firsts) == len(drawn)


def test_the_same_key_and_seed_give_the_same_values():
    one, other = (weights.filler(graph("lenet5"), seed=3) for _ in range(2))
    assert np.array_equal(one("c1/weight", (6, 1, 5, 5)), other("c1/weight", (6, 1, 5, 5)))
    other("f6/weight", (84, 120))
    assert np.array_equal(one("c1/weight", (6, 1, 5, 5)), other("c1/weight", (6, 1, 5, 5)))


def test_another_seed_or_key_gives_other_values():
    net = graph("lenet5")
    shape = (6,)
    values = [weights.filler(net, seed)("c1/bias", shape) for seed in (0, 1, 2)]
    values.append(weights.filler(net, 0)("s2/bias", shape))
    assert len({tuple(v) for v in values}) == 4


def test_arrays_do_not_share_memory():
    values = weights.filler(graph("lenet5"), seed=0)
    first = values("c1/bias", (6,))
    first += 1000
    assert values("c1/bias", (6,)).max() < 100


def test_an_array_larger_than_the_block_of_noise_is_filled():
    net = graph("vgg16")
    array = weights.filler(net, seed=0)("fc7/weight", (4096, 4096))
    assert array.shape == (4096, 4096)
    assert array.std() == pytest.approx(sqrt(2 / 4096), rel=0.01)


def test_weights_are_scaled_by_what_comes_in(filled):
    net, arrays = filled
    for node in net:
        if isinstance(node.op, Conv | Dense) and prod(node.tensors[0].shape) > 500:
            array = arrays[f"{node.address}/weight"]
            fan_in = prod(array.shape[1:])
            assert 0.2 < array.std() / sqrt(2 / fan_in) < 1.5, node.address


def test_running_variances_are_positive():
    net = graph("resnet20_cifar")
    values = weights.filler(net, seed=0)
    norms = [node for node in net if isinstance(node.op, BatchNorm)]
    assert len(norms) == 19
    for node in norms:
        channels = (node.output[0],)
        assert (values(f"{node.address}/running_var", channels) > 0).all()
        assert values(f"{node.address}/weight", channels).mean() == pytest.approx(1, abs=0.2)


def test_lenets_codes_are_its_output_layer():
    array = weights.filler(graph("lenet5"), seed=5)("output/weight", (10, 84))
    assert array.dtype == np.float32
    assert array.tolist() == [list(map(float, code)) for code in CODES]


@pytest.mark.parametrize(
    ("name", "classes", "shape"),
    [
        ("lenet5", 10, (1, 32, 32)),
        ("mnist_convnet", 10, (1, 28, 28)),
        ("resnet20_cifar", 10, (3, 32, 32)),
        ("cats_dogs_convnet", 2, (3, 150, 150)),
        ("alexnet_bn", 17, (3, 224, 224)),
    ],
)
def test_a_batch_has_images_and_labels(name, classes, shape):
    images, labels = weights.batch(graph(name), 64, seed=0)
    assert images.shape == (64, *shape)
    assert images.dtype == np.float32
    assert labels.shape == (64,)
    assert labels.dtype == np.int64
    assert set(labels.tolist()) <= set(range(classes))
    assert len(set(labels.tolist())) > classes // 2


def test_images_have_mean_0_and_deviation_1():
    images, _ = weights.batch(graph("resnet20_cifar"), 32, seed=0)
    assert images.mean() == pytest.approx(0, abs=0.01)
    assert images.std() == pytest.approx(1, abs=0.01)
    assert np.isfinite(images).all()


def test_a_batch_depends_on_its_seed_alone():
    one, other, another = (weights.batch(tiny(), 4, seed) for seed in (1, 1, 2))
    assert np.array_equal(one[0], other[0])
    assert np.array_equal(one[1], other[1])
    assert not np.array_equal(one[0], another[0])
