"""Graphs know their nodes, scopes and totals; the builder reports a mistake where it is made."""

from __future__ import annotations

import pytest

from convbench.base.errors import BadAddress, ConvbenchError, ShapeMismatch, UnknownName
from convbench.networks.builder import Builder
from convbench.networks.ops import (
    Add,
    Conv,
    Dense,
    Flatten,
    GlobalAvgPool,
    MaxPool,
    Rbf,
    Relu,
    ScaledTanh,
    Sigmoid,
    Softmax,
    TableConv,
)
from tests.support.builders import graph, tiny


def started():
    """A builder with an input, a convolution in a scope, and a vector."""
    net = Builder("net", (3, 8, 8))
    net.chain(net.input, ("stem.conv", Conv(4, 3)), ("relu", Relu()), ("flatten", Flatten()))
    return net


LETTERS = "an address is made of letters, digits and _, with dots between"


@pytest.mark.parametrize(
    ("address", "op", "inputs", "error", "sentence"),
    [
        (
            "conv2",
            Conv(4, 3),
            ["rleu"],
            UnknownName,
            "unknown input of net.conv2 'rleu'; did you mean relu?",
        ),
        (
            "conv2",
            Conv(4, 3),
            ["nowhere"],
            UnknownName,
            "unknown input of net.conv2 'nowhere'; known: input, stem.conv, relu, flatten",
        ),
        ("relu", Relu(), ["relu"], BadAddress, "net.relu: this address is taken"),
        ("input", Relu(), ["relu"], BadAddress, "net.input: this address is taken"),
        (
            "stem",
            Relu(),
            ["relu"],
            BadAddress,
            "net.stem: stem would be both a node and a scope",
        ),
        (
            "relu.more",
            Relu(),
            ["relu"],
            BadAddress,
            "net.relu.more: relu would be both a node and a scope",
        ),
        ("network", Relu(), ["relu"], BadAddress, f"net.network: {LETTERS}"),
        ("", Relu(), ["relu"], BadAddress, f"net.: {LETTERS}"),
        ("a..b", Relu(), ["relu"], BadAddress, f"net.a..b: {LETTERS}"),
        ("a b", Relu(), ["relu"], BadAddress, f"net.a b: {LETTERS}"),
        ("conv*", Relu(), ["relu"], BadAddress, f"net.conv*: {LETTERS}"),
        ("relu\n", Relu(), ["relu"], BadAddress, f"net.relu\n: {LETTERS}"),
        (
            "fc",
            Dense(10),
            ["relu"],
            ShapeMismatch,
            "net.fc: wants a vector, but gets (4, 6, 6); is a Flatten missing before it?",
        ),
        (
            "s.conv2",
            Conv(4, 3),
            ["flatten"],
            ShapeMismatch,
            "net.s.conv2: wants an image (C, H, W), but gets (144,); Conv belongs before Flatten",
        ),
        (
            "conv2",
            Conv(4, 7),
            ["relu"],
            ShapeMismatch,
            "net.conv2: wants at least 7x7 positions for its kernel, but gets 6x6 with padding; "
            "is the input too small, or a stride too many above?",
        ),
        (
            "conv2",
            Conv(6, 3, groups=3),
            ["relu"],
            ShapeMismatch,
            "net.conv2: wants channels that split into 3 groups, but gets 4 in and 6 out; "
            "do the widths fit the groups?",
        ),
        (
            "c3",
            TableConv(((0, 1), (1, 2)), 3),
            ["relu"],
            ShapeMismatch,
            "net.c3: wants a table that uses each of the maps 0 to 3, but gets maps [0, 1, 2]; "
            "does the table belong to this layer?",
        ),
        (
            "output",
            Rbf(((1, -1),)),
            ["flatten"],
            ShapeMismatch,
            "net.output: wants a vector of 2, the length of its codes, but gets one of 144; "
            "do the codes belong to this layer?",
        ),
        (
            "sum",
            Add(),
            ["input", "relu"],
            ShapeMismatch,
            "net.sum: wants two or more inputs of one shape, but gets (3, 8, 8) and (4, 6, 6); "
            "does the shortcut miss a stride or a projection?",
        ),
        (
            "relu2",
            Relu(),
            ["input", "relu"],
            ShapeMismatch,
            "net.relu2: wants one input, but gets 2; Relu does not join branches",
        ),
    ],
)
def test_a_mistake_is_reported_with_its_address(address, op, inputs, error, sentence):
    net = started()
    with pytest.raises(error) as caught:
        net(address, op, *inputs)
    assert str(caught.value) == sentence
    assert isinstance(caught.value, ConvbenchError)


def test_a_mistake_leaves_nothing_behind():
    net = started()
    with pytest.raises(ShapeMismatch):
        net("fc", Dense(10), "relu")
    net.chain("flatten", ("fc", Dense(10)), ("softmax", Softmax()))
    addresses = ["input", "stem.conv", "relu", "flatten", "fc", "softmax"]
    assert [node.address for node in net.graph()] == addresses


@pytest.mark.parametrize(
    ("layers", "sentence"),
    [
        (
            (),
            "net.flatten: a network must end in Softmax, Sigmoid, Rbf or ScaledTanh, "
            "not in Flatten",
        ),
        (
            (("fc", Dense(10)),),
            "net.fc: a network must end in Softmax, Sigmoid, Rbf or ScaledTanh, not in Dense",
        ),
        (
            (("fc", Dense(2)), ("sigmoid", Sigmoid())),
            "net.sigmoid: a final Sigmoid answers one yes-or-no question, not 2",
        ),
    ],
)
def test_a_network_ends_in_an_output_layer(layers, sentence):
    net = started()
    net.chain("flatten", *layers)
    with pytest.raises(BadAddress) as caught:
        net.graph()
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("last", "loss", "logits"),
    [
        ((("fc", Dense(10)), ("softmax", Softmax())), "cross_entropy", "fc"),
        ((("fc", Dense(1)), ("sigmoid", Sigmoid())), "binary_cross_entropy", "fc"),
        ((("codes", Rbf(((1,) * 144, (-1,) * 144))),), "distance", "codes"),
        (
            (("fc", Dense(10)), ("squash", ScaledTanh(amplitude=1.7, slope=0.6))),
            "squared_error",
            "squash",
        ),
    ],
)
def test_the_last_layer_decides_the_loss(last, loss, logits):
    net = started()
    net.chain("flatten", *last)
    assert net.graph().loss == loss
    assert net.graph().heads[0].logits == logits


def test_a_node_is_found_by_its_address():
    assert tiny()["conv1"].op == Conv(4, 3)
    with pytest.raises(UnknownName, match="unknown node of tiny 'conv2'; did you mean conv1"):
        tiny()["conv2"]


def test_totals_are_sums_of_layers():
    conv, dense = 4 * 3 * 9, 10 * 4 * 36
    net = tiny()
    assert net.parameters == conv + 4 + dense + 10
    assert net.macs == conv * 36 + dense
    assert net.buffers == 0
    assert net.input == (3, 8, 8)
    assert net.output.address == "softmax"


@pytest.mark.parametrize(
    ("address", "want"),
    [
        ("conv1", ["conv1"]),
        ("a", ["a.b.conv", "a.b.relu", "a.c"]),
        ("a.b", ["a.b.conv", "a.b.relu"]),
        ("a.b.conv", ["a.b.conv"]),
        ("conv", []),
        ("ab", ["ab"]),
    ],
)
def test_below_an_address(address, want):
    scoped = (("a.b.conv", Conv(4, 1)), ("a.b.relu", Relu()), ("a.c", Relu()), ("ab", Relu()))
    assert [node.address for node in tiny(*scoped).below(address)] == want


def test_the_network_lies_below_itself():
    assert tiny().below("network") == tiny().nodes


def test_scopes():
    net = tiny(("a.b.conv", Conv(4, 1)), ("c.relu", Relu()))
    assert net.scopes == {"a", "a.b", "c"}
    assert graph("vgg16").scopes == set()


@pytest.mark.parametrize(
    ("image", "kernel", "stride", "want"),
    [
        ((3, 110, 110), 3, 2, (0, 1, 0, 1)),
        ((3, 8, 7), 3, 2, (0, 1, 0, 0)),
        ((3, 9, 9), 3, 3, (0,) * 4),
    ],
)
def test_ceil_keeps_the_last_windows(image, kernel, stride, want):
    net = Builder("net", image)
    padding = net.ceil(net.input, kernel, stride)
    assert padding == want
    net("pool", MaxPool(kernel, stride=stride, padding=padding), net.input)
    _, h, w = image
    assert net.shape("pool")[1:] == (-(-(h - kernel) // stride) + 1, -(-(w - kernel) // stride) + 1)


def test_only_layers_with_weights_of_their_own_count_as_depth():
    net = tiny(("pool", GlobalAvgPool()))
    assert [node.address for node in net if node.weighted] == ["conv1", "fc"]


def two_headed(**options):
    net = Builder("net", (3, 4, 4))
    x = net.chain(net.input, ("conv", Conv(2, 3)), ("flat", Flatten()))
    net.chain(x, ("aux.fc", Dense(5)), ("aux.softmax", Softmax()))
    net.chain(x, ("fc", Dense(5)), ("softmax", Softmax()))
    return net.graph(**options)


def test_an_auxiliary_answer_has_its_share_of_the_loss():
    graph = two_headed(auxiliary={"aux.softmax": 0.3})
    assert graph.outputs == ("softmax", "aux.softmax")
    assert [(h.logits, h.weight) for h in graph.heads] == [("fc", 1.0), ("aux.fc", 0.3)]
    assert graph.output.address == "softmax"


def test_what_leads_to_an_answer_leaves_the_others_out():
    graph = two_headed(auxiliary={"aux.softmax": 0.3})
    needed = [node.address for node in graph.leading_to(("softmax",))]
    assert needed == ["input", "conv", "flat", "fc", "softmax"]


def test_an_auxiliary_answer_that_is_not_declared_is_refused():
    with pytest.raises(BadAddress, match=r"net\.aux\.softmax: nothing uses what leaves it"):
        two_headed()


def test_an_auxiliary_answer_must_be_a_softmax():
    with pytest.raises(BadAddress, match=r"net\.aux\.fc: an auxiliary answer is a Softmax"):
        two_headed(auxiliary={"aux.fc": 0.3})


def test_what_is_frozen_is_counted_as_kept():
    net = Builder("net", (3, 4, 4))
    x = net.chain(net.input, ("base.conv", Conv(2, 3)), ("base.relu", Relu()))
    net.freeze("base")
    net.chain(x, ("flat", Flatten()), ("fc", Dense(5)), ("softmax", Softmax()))
    graph = net.graph()
    assert (graph["base.conv"].parameters, graph["base.conv"].buffers) == (0, 2 * (27 + 1))
    assert graph.parameters == (2 * 2 * 2 + 1) * 5
    assert [node.address for node in graph if node.frozen] == ["base.conv", "base.relu"]


def test_freezing_what_is_not_there_is_refused():
    net = Builder("net", (3, 4, 4))
    net("conv", Conv(2, 3), net.input)
    with pytest.raises(
        UnknownName, match=r"unknown node or scope of net 'com'; known: input, conv"
    ):
        net.freeze("com")


def test_what_is_spared_stays_trainable():
    net = Builder("net", (3, 4, 4))
    x = net.chain(net.input, ("base.conv1", Conv(2, 3)), ("base.conv2", Conv(3, 1)))
    net.freeze("base", but=lambda node: node.address.endswith("2"))
    net.chain(x, ("flat", Flatten()), ("fc", Dense(5)), ("softmax", Softmax()))
    graph = net.graph()
    assert [node.address for node in graph if node.frozen] == ["base.conv1"]
    assert graph["base.conv2"].parameters == 2 * 3 + 3


def test_a_part_of_a_network_lies_in_its_scope():
    net = Builder("net", (3, 4, 4))
    base = net.within("base").within("stem")
    assert base("conv", Conv(2, 3), net.input) == "base.stem.conv"
    assert net.shape("base.stem.conv") == base.shape("base.stem.conv") == (2, 2, 2)
    with pytest.raises(BadAddress, match=r"net\.base\.stem\.conv: this address is taken"):
        base("conv", Relu(), net.input)
    with pytest.raises(BadAddress, match=r"net\.base: base would be both a node and a scope"):
        net("base", Relu(), net.input)
