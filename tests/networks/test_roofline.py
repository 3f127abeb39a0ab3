"""The roofline's arithmetic against numbers worked out by hand."""

from __future__ import annotations

import pytest

from convbench.networks.builder import Builder
from convbench.networks.ops import Add, Conv, Dense, Flatten, Relu, Softmax
from convbench.networks.roofline import NOTHING, Machine, Work, work
from tests.support.builders import graph

FLOAT = 4


def test_lenet5s_first_convolution():
    # C1: 6 maps of 28x28, each unit of 25 weights: 117,600 multiply-accumulates an image.
    found = work(graph("lenet5"), "forward", 2, FLOAT)["c1"]
    values = 2 * (32 * 32 + 6 * 28 * 28) + 156
    assert found == Work(2 * 2 * 117_600, FLOAT * values)


def test_alexnets_first_convolution_needs_no_gradient_of_the_image():
    image, output, weights = 3 * 227 * 227, 96 * 55 * 55, 34_944
    macs = 105_415_200
    network = graph("alexnet")
    assert network.input == (3, 227, 227)
    forward = work(network, "forward", 4, FLOAT)["conv1"]
    assert forward == Work(4 * 2 * macs, FLOAT * (4 * (image + output) + weights))
    # The gradient of the weights reads the image and the output's gradient, and writes weights.
    backward = work(network, "backward", 4, FLOAT)["conv1"]
    assert backward.operations == 2 * forward.operations
    assert backward.moved == forward.moved + FLOAT * (4 * (image + output) + weights)


def test_vgg16s_fc6_is_bound_by_memory_at_a_small_batch_and_by_operations_at_a_large_one():
    weights = 102_760_448 + 4096
    machine = Machine(flops=500e9, bytes_s=50e9)
    small = work(graph("vgg16"), "forward", 4, FLOAT)["fc6"]
    assert small == Work(822_083_584, FLOAT * (4 * (25_088 + 4096) + weights))
    assert small.moved == 411_525_120
    assert machine.bound_s(small) == pytest.approx(8.230e-3, rel=1e-3)  # 411.5 MB at 50 GB/s
    large = work(graph("vgg16"), "forward", 256, FLOAT)["fc6"]
    assert machine.bound_s(large) == pytest.approx(105.2e-3, rel=1e-3)  # 52.6 GFLOP at 500 GFLOP/s


def test_vgg16s_fc6_in_training():
    forward = work(graph("vgg16"), "forward", 4, FLOAT)["fc6"]
    backward = work(graph("vgg16"), "backward", 4, FLOAT)["fc6"]
    step = work(graph("vgg16"), "train_step", 4, FLOAT)["fc6"]
    weights, values = 102_764_544, 4 * (25_088 + 4096)
    assert backward.operations == 3 * forward.operations
    # Read: gradient of the output, the input, the weights; written: gradients of input and weights.
    gradient = values + 4 * 25_088 + 2 * weights
    assert backward.moved - forward.moved == FLOAT * gradient
    assert step.operations - backward.operations == 4 * weights
    assert step.moved - backward.moved == FLOAT * 5 * weights


def test_networks_do_twice_their_multiply_accumulates_and_little_more():
    for name, more in (("alexnet", 0.01), ("vgg16", 0.01), ("resnet50", 0.02)):
        network = graph(name)
        operations = sum(w.operations for w in work(network, "forward", 1, FLOAT).values())
        assert 2 * network.macs < operations < 2 * network.macs * (1 + more)


def test_what_a_pass_does_not_compute_is_not_in_it():
    network = graph("googlenet_aux")
    answers = {address for address, _ in network.auxiliary}
    assert not answers & {*work(network, "forward", 1, FLOAT)}
    training = work(network, "backward", 1, FLOAT)
    assert network.output.address not in training
    logits = {head.logits for head in network.heads}
    assert len(logits) == 3
    assert logits <= {*training}


def test_frozen_layers_have_no_gradient_and_no_update():
    network = graph("vgg16_cats_dogs_finetuned")
    forward, step = (work(network, pass_, 2, FLOAT) for pass_ in ("forward", "train_step"))
    frozen = next(node for node in network if node.frozen and node.macs)
    assert step[frozen.address] == forward[frozen.address]
    trained = next(node for node in network if node.parameters)
    # Nothing before it is trained, so its gradient is that of its weights alone.
    update = 4 * trained.parameters
    assert step[trained.address].operations == 2 * forward[trained.address].operations + update


def tiny():
    net = Builder("tiny", (1, 4, 4))
    a = net("a", Conv(2, kernel=1), net.input)
    r = net("r", Relu(), a)
    s = net("sum", Add(), a, r)
    f = net("flat", Flatten(), s)
    net("softmax", Softmax(), net("fc", Dense(3), f))
    return net.graph()


def test_every_node_of_a_small_network_by_hand():
    found = work(tiny(), "backward", 1, 1)
    assert found == {
        "input": NOTHING,
        "a": Work(64 + 64, (16 + 32 + 4) + (32 + 16 + 4)),
        "r": Work(32 + 32, (32 + 32) + (32 + 32 + 32)),
        "sum": Work(32, 32 + 32 + 32),
        "flat": NOTHING,
        "fc": Work(3 * 192, (32 + 3 + 99) + (3 + 32 + 32 + 2 * 99)),
    }
    assert work(tiny(), "forward", 1, 1)["softmax"] == Work(15, 6)


def test_a_network_takes_the_sum_of_its_nodes():
    machine = Machine(flops=10.0, bytes_s=1.0)
    assert machine.network_bound_s([Work(100, 1), Work(1, 20), NOTHING]) == 30.0
