"""The proof: every architecture passes, and a model built in another way is found out."""

from __future__ import annotations

import re
from functools import partial

import pytest
from attrs import evolve

from convbench.checks.structure import check
from convbench.frameworks.observation import ObservedNode
from convbench.networks.ops import Conv, MaxPool
from convbench.networks.zoo.names import ARCHITECTURES
from tests.support.builders import (
    changed,
    fixed,
    graph,
    observation,
    retensored,
    table,
    tiny,
    trained,
    with_layer,
    without_layer,
)


def places(findings):
    return {(finding.at, finding.quantity) for finding in findings}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_an_architecture_is_its_papers(name):
    net = graph(name)
    for observed in (None, observation(net)):
        report = check(net, table(name), observed, graph)
        assert report.differs == ()
        assert report.proven
        assert {f.status for f in report.findings} <= {"agrees", "erratum", "unstated"}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_erratum_applies_and_says_why(name):
    findings = check(graph(name), table(name), others=graph).findings
    reasons = {f.note for f in findings if f.status == "erratum"}
    wrong = [claim for claim in table(name).claims if claim.why]
    assert reasons == {entry.why for entry in (*table(name).errata, *wrong)}
    assert all(len(why) > 40 and re.search(r"\d", why) for why in reasons)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_printed_value_and_every_layer_is_looked_at(name):
    net = graph(name)
    findings = check(net, table(name), observation(net), graph).findings
    sourced = [f for f in findings if f.source is not None]
    windowed = [n.address for n in net if isinstance(n.op, Conv | MaxPool)]
    printed = sum(len(row.values) for row in table(name).rows) + len(table(name).claims)
    assert len(sourced) >= printed
    assert {("network", q) for q in ("parameters", "buffers", "macs")} <= places(findings)
    assert {(n.address, "output") for n in net} <= places(findings)
    assert {(n.address, "tensors") for n in net if n.tensors} <= places(findings)
    assert {(at, q) for at in windowed for q in ("kernel", "stride")} <= places(findings)
    assert all(f.observed is not None for f in findings if f.status == "unstated")


@pytest.mark.parametrize("observed", [None, observation(tiny())])
def test_a_report_says_what_was_checked(observed):
    report = check(tiny(), evolve(table("lenet5"), rows=(), errata=(), claims=()), observed)
    assert (report.name, report.layers) == ("tiny", 6)
    assert report.framework == (observed and "fake")
    assert report.parameters == (3 * 9 + 1) * 4 + (4 * 36 + 1) * 10
    assert report.macs == 3 * 9 * 4 * 36 + 4 * 36 * 10
    assert report.buffers == 0


def layer(**facts):
    return partial(changed, **facts)


def arrays(**tensors):
    return partial(retensored, **tensors)


def extra(*output):
    return partial(with_layer, layer=ObservedNode(output, {}))


def total(quantity, by):
    """The framework counts `by` more than its layers hold."""
    return lambda observed, _: evolve(observed, **{quantity: getattr(observed, quantity) + by})


ONE_CHANNEL_MORE = layer(
    output=(65, 224, 224), tensors={"weight": trained(65, 3, 3, 3), "bias": trained(65)}
)
FIVE_WIDE = layer(kernel=(5, 5), tensors={"weight": trained(64, 3, 5, 5), "bias": trained(64)})

BREAKS = [  # network, layer, what the model has in another way there, quantities that show it
    ("vgg16", "conv1_1", ONE_CHANNEL_MORE, "channels output parameters tensors"),
    ("vgg16", "conv1_1", FIVE_WIDE, "kernel parameters tensors"),
    ("vgg16", "conv1_1", arrays(bias=None), "parameters tensors"),
    ("vgg16", "conv1_1", arrays(scale=trained(64)), "parameters tensors"),
    ("vgg16", "conv1_1", arrays(weight=fixed(64, 3, 3, 3)), "parameters tensors"),
    ("vgg16", "conv1_1", layer(stride=(2, 2)), "stride"),
    ("vgg16", "conv1_1", without_layer, "layer"),
    ("vgg16", "relu1_1", without_layer, "layer"),
    ("vgg16", "relu1_1", layer(tensors={"slope": trained(64)}), "tensors"),
    ("vgg16", "relu1_1", layer(output=(64, 112, 112)), "output"),
    ("vgg16", "pool5", layer(kernel=(3, 3)), "kernel"),
    ("vgg16", "pad1_1", extra(3, 226, 226), "layer"),
    ("vgg16", "fc6", arrays(weight=trained(25088, 4096)), "tensors"),
    ("vgg16", "fc8", arrays(bias=fixed(1000)), "tensors"),
    ("vgg16", "network", total("parameters", 1), "parameters"),
    ("vgg16", "network", total("parameters", -1), "parameters"),
    ("vgg16", "network", total("buffers", 1), "buffers"),
    ("lenet5", "network", total("buffers", -1), "buffers"),
    ("lenet5", "output", arrays(weight=trained(10, 84)), "parameters tensors"),
    ("lenet5", "c3", arrays(weight=trained(16, 6, 5, 5)), "connections parameters tensors"),
    ("lenet5", "c5", layer(stride=(2, 2)), "stride"),
    ("lenet5", "s4", layer(kernel=(1, 1)), "kernel"),
    ("lenet5", "s4", arrays(weight=trained(1), bias=trained(1)), "parameters tensors"),
    ("resnet20_cifar", "conv2_1.bn1", arrays(running_var=None), "tensors"),
    ("resnet20_cifar", "conv2_1.bn1", arrays(running_var=trained(16)), "tensors"),
    ("resnet20_cifar", "conv3_1.sum", layer(output=(32, 32, 32)), "output size"),
    ("resnet50", "conv3_1.conv1", layer(stride=(1, 1)), "stride"),
    ("resnet50", "conv3_1.shortcut.conv", layer(kernel=(3, 3)), "kernel"),
]


@pytest.mark.parametrize(("name", "at", "break_", "quantities"), BREAKS)
def test_a_model_that_is_not_what_was_described_is_found_out(name, at, break_, quantities):
    report = check(graph(name), table(name), break_(observation(graph(name)), at), graph)
    assert sorted({f.quantity for f in report.differs if f.at == at}) == quantities.split()
    assert {f.at for f in report.differs} <= {at, "network"}
    assert all(str(f).endswith("is not what was described") for f in report.differs)
    assert not report.proven


@pytest.mark.parametrize("name", ["lenet5", "vgg16", "resnet20_cifar"])
def test_no_layer_may_be_missing(name):
    net = graph(name)
    for node in net:
        report = check(net, table(name), without_layer(observation(net), node.address), graph)
        assert places(report.differs) == {(node.address, "layer")}


@pytest.mark.parametrize("name", ["lenet5", "vgg16", "resnet20_cifar"])
def test_no_array_may_be_missing_or_transposed(name):
    net = graph(name)
    for node in net:
        for tensor in node.tensors:
            turned = (*tensor.shape[::-1], 1)
            for other in (None, trained(*turned), fixed(*turned)):
                broken = retensored(observation(net), node.address, **{tensor.name: other})
                found = places(check(net, table(name), broken, graph).differs)
                assert (node.address, "tensors") in found


def test_a_finding_says_all_three_answers():
    broken = changed(observation(graph("lenet5")), "c1", kernel=(3, 3))
    found = check(graph("lenet5"), table("lenet5"), broken, graph).differs[0]
    facts = "printed 5x5, computed 5x5, observed 3x3"
    note = "section II.B: the framework's model is not what was described"
    assert str(found) == f"c1: kernel: {facts}; {note}"


def test_a_framework_that_does_not_tell_a_window_is_not_blamed():
    silent = changed(observation(graph("lenet5")), "c1", kernel=None, stride=None)
    assert check(graph("lenet5"), table("lenet5"), silent, graph).proven
