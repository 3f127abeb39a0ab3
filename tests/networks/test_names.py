"""The canon: published totals, names and groups, and LeNet-5's two tables."""

from __future__ import annotations

import pytest

from convbench.base.errors import UnknownName
from convbench.networks.builder import images_of
from convbench.networks.graph import Graph
from convbench.networks.ops import BatchNorm, Conv, Relu
from convbench.networks.zoo.classic.digits import CODES
from convbench.networks.zoo.classic.lenet import C3_TABLE
from convbench.networks.zoo.classic.vgg import KERNELS
from convbench.networks.zoo.names import (
    ARCHITECTURES,
    HEADLINE,
    Entry,
    added,
    architecture,
    family,
    names,
    select,
)
from tests.networks.published import PARAMETERS
from tests.networks.published.classic import BN_WIDTHS
from tests.networks.published.layers import conv, dense
from tests.support.builders import graph, tiny


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_parameters(name):
    assert name in PARAMETERS, (
        f"write out the parameters of {name} in a file of tests/networks/published"
    )
    counted, published = PARAMETERS[name]
    assert graph(name).parameters == counted == published


@pytest.mark.parametrize(
    ("name", "want"),
    [
        ("lenet5", 10 * 84),
        ("alexnet", 0),
        ("alexnet_bn", 2 * sum(BN_WIDTHS)),
        ("resnet20_cifar", 2 * (16 * 7 + 32 * 6 + 64 * 6)),
        ("plain18", 2 * (64 * 5 + 128 * 4 + 256 * 4 + 512 * 4)),
        ("resnet18", 2 * (64 * 5 + 128 * 5 + 256 * 5 + 512 * 5)),
    ],
)
def test_buffers(name, want):
    assert graph(name).buffers == want


@pytest.mark.parametrize(
    ("name", "want"),
    [
        ("vgg16", 15_346_630_656 + 123_633_664),
        ("vgg19", 19_508_428_800 + 123_633_664),
        ("resnet50", 3_857_973_248),
        ("mnist_convnet", 9 * (26**2 * 32 + 11**2 * 32 * 64 + 3**2 * 64**2) + 576 * 64 + 64 * 10),
    ],
)
def test_macs(name, want):
    assert graph(name).macs == want


def test_lenet5_has_the_papers_connections():
    counted = {node.address: node.connections for node in graph("lenet5") if node.weighted}
    assert counted == {
        "c1": 6 * 28**2 * (25 + 1),
        "s2": 6 * 14**2 * (4 + 1),
        "c3": 10**2 * (60 * 25 + 16),
        "s4": 16 * 5**2 * (4 + 1),
        "c5": 48_120,
        "f6": 10_164,
        "output": 840,
    }
    assert sum(counted.values()) == 340_908


def test_c3_sees_what_table_1_marks():
    assert [len(maps) for maps in C3_TABLE] == [3] * 6 + [4] * 9 + [6]
    assert sum(len(maps) for maps in C3_TABLE) == 60
    assert [sum(s2 in maps for maps in C3_TABLE) for s2 in range(6)] == [10] * 6
    assert len(set(C3_TABLE)) == 16
    assert all(list(maps) == sorted(set(maps)) for maps in C3_TABLE)
    assert graph("lenet5")["c3"].parameters == 60 * 25 + 16 == 1516


def test_codes_are_ten_different_pictures_in_black_and_white():
    assert [len(code) for code in CODES] == [7 * 12] * 10
    assert len(set(CODES)) == 10
    assert {value for code in CODES for value in code} == {1, -1}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_description_is_whole(name):
    net = architecture(name)
    used = {x for node in net for x in node.inputs}
    assert net.name == name
    assert net == graph(name)
    assert {node.address for node in net if node.address not in used} == set(net.outputs)


@pytest.mark.parametrize("name", KERNELS)
def test_a_vggs_convolutions_keep_the_size(name):
    net = graph(name)
    convs = [node for node in net if isinstance(node.op, Conv)]
    assert len(convs) == sum(map(len, KERNELS[name]))
    assert all(node.output[1:] == net[node.inputs[0]].output[1:] for node in convs)


@pytest.mark.parametrize(
    ("wanted", "want"),
    [
        ([], ()),
        (["vgg16"], ("vgg16",)),
        (["vgg19", "lenet5", "vgg19"], ("vgg19", "lenet5")),
        (["vgg"], tuple(KERNELS)),
        (["lenet"], ("lenet1", "lenet5", "lenet5_keras")),
        (["lectures"], ("mnist_convnet", "cats_dogs_convnet")),
        (["alexnet"], ("alexnet",)),
        (["headline"], HEADLINE),
        (["all"], tuple(ARCHITECTURES)),
        (["vgg19", "vgg"], ("vgg19", "vgg11", "vgg11_lrn", "vgg13", "vgg16c", "vgg16")),
        (["resnet50", "all"], ("resnet50", *(n for n in ARCHITECTURES if n != "resnet50"))),
    ],
)
def test_select(wanted, want):
    assert select(wanted) == want


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("vgg17", "did you mean vgg19 or vgg16 or vgg13?"),
        ("headlin", "did you mean headline?"),
        ("lenet6", "did you mean lenet or lenet5 or lenet1?"),
        ("xyz", "known: all, headline, lenet, alexnet, zfnet, nin, vgg, inception, "),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(name, hint):
    with pytest.raises(UnknownName) as caught:
        select(["lenet5", name])
    assert str(caught.value).startswith(f"unknown architecture {name!r}; ")
    assert hint in str(caught.value)


def test_a_family_is_no_architecture():
    with pytest.raises(UnknownName, match="unknown architecture 'vgg'; did you mean vgg"):
        architecture("vgg")


@pytest.mark.parametrize(
    ("name", "want"), [("lenet5_keras", "lenet"), ("plain34", "resnet"), ("alexnet_bn", "alexnet")]
)
def test_family(name, want):
    assert family(name) == want


def test_the_headline_is_part_of_the_canon():
    assert set(HEADLINE) <= set(ARCHITECTURES)
    assert len(set(HEADLINE)) == len(HEADLINE)


@pytest.mark.parametrize(
    ("name", "base", "trained"),
    [
        ("vgg16_cats_dogs_features", 16_812_353, 2_097_665),
        ("vgg16_cats_dogs_finetuned", 16_812_353, 2_097_665 + 3 * conv(3, 512, 512)),
        ("inception_v3_200_features", 24_071_528, dense(2048, 1024, 200)),
        ("resnet50_cifar100_features", 24_085_348, dense(2048, 256, 100) + 2 * 256),
        (
            "resnet50_cifar100_finetuned",
            24_085_348,
            dense(2048, 256, 100) + 2 * 256 + 53_120,
        ),
    ],
)
def test_a_variant_trains_what_its_name_says(name, base, trained):
    whole, variant = graph(name.rpartition("_")[0]), graph(name)
    assert whole.parameters == base
    assert variant.parameters == trained
    assert variant.parameters + variant.buffers == whole.parameters + whole.buffers
    assert variant.macs == whole.macs


def test_fine_tuning_begins_where_the_lectures_say():
    vgg_first = next(n.address for n in graph("vgg16_cats_dogs_finetuned") if n.parameters)
    assert vgg_first == "base.conv5_1"
    inception = graph("inception_v3_200_finetuned")
    trained = {n.address.split(".")[1] for n in inception if n.parameters and "base." in n.address}
    assert trained == {"mixed_8b", "mixed_8c"}
    resnet = graph("resnet50_cifar100_finetuned")
    base = [n for n in resnet if n.parameters and n.address.startswith("base.")]
    assert len(base) == 53
    assert {type(n.op) for n in base} == {BatchNorm}


def test_a_network_is_built_once_in_a_process_unless_its_images_are_others():
    built = []

    def describe(name: str) -> Graph:
        built.append(name)
        return tiny()

    with added({"tiny": Entry("tiny", describe)}):
        assert architecture("tiny") is architecture("tiny")
        assert built == ["tiny"]
        assert architecture("tiny", input=(3, 9, 9)).input == (3, 9, 9)
        assert architecture("tiny").input == (3, 8, 8)
        with images_of((3, 10, 10)):
            assert architecture("tiny").input == (3, 10, 10)
    assert built == ["tiny"] * 3


def test_another_description_under_the_same_name_is_another_network():
    with added({"tiny": Entry("tiny", lambda _: tiny())}):
        before = architecture("tiny")
        with added({"tiny": Entry("tiny", lambda _: tiny(("more", Relu())))}):
            assert len(architecture("tiny").nodes) == len(before.nodes) + 1
        assert architecture("tiny") is before


def test_added_networks_are_known_for_a_while_and_leave_the_table_as_it_is():
    before = dict(ARCHITECTURES)
    with added({"tiny": Entry("tiny", lambda _: tiny())}):
        assert names() == (*ARCHITECTURES, "tiny")
        assert dict(ARCHITECTURES) == before
    assert names() == tuple(before)
