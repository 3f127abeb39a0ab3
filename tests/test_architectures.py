"""The canon: published totals, names and groups, and LeNet-5's two tables."""

from __future__ import annotations

from itertools import pairwise

import pytest

from convbench.architectures import ARCHITECTURES, HEADLINE, architecture, family, select
from convbench.architectures.digits import CODES
from convbench.architectures.lenet import C3_TABLE
from convbench.architectures.vgg import KERNELS
from convbench.errors import UnknownName
from convbench.ops import BatchNorm, Conv
from tests.builders import graph


def conv(kernel, before, after):
    """Weights and biases of a convolution, in the order in which papers write a layer."""
    return (kernel**2 * before + 1) * after


def dense(*widths):
    return sum((before + 1) * after for before, after in pairwise(widths))


def vgg(*convolutions):
    """Stages of (kernel, maps) with three colours at the front and 7x7x512 left at the end."""
    before = (3, *(after for _, after in convolutions))
    total = sum(conv(k, i, o) for i, (k, o) in zip(before, convolutions, strict=False))
    return total + dense(7 * 7 * 512, 4096, 4096, 1000)


def plain(*depths):
    """Pairs of 3x3 convolutions without biases, each batch-normalized: He et al. 2015, Table 1."""
    widths = (64, 128, 256, 512)
    total = 49 * 3 * 64 + 2 * 64 + dense(512, 1000)
    for before, width, depth in zip((64, *widths), widths, depths, strict=False):
        total += 9 * (before * width + (2 * depth - 1) * width**2) + 2 * 2 * depth * width
    return total


def bottleneck(*depths):
    """Blocks of 1x1, 3x3 and 1x1 convolutions, with a projection before each stage."""
    total, before = 49 * 3 * 64 + 2 * 64 + dense(2048, 1000), 64
    for width, depth in zip((64, 128, 256, 512), depths, strict=True):
        wide = 4 * width
        total += before * (width + wide) + (depth - 1) * wide * width
        total += depth * (9 * width**2 + width * wide)
        total += 2 * (depth * (2 * width + wide) + wide)
        before = wide
    return total


def cifar(n):
    """He et al. 2015, section 4.2: 6n + 2 layers without biases, each batch-normalized."""
    wide = 2 * n - 1
    weights = 3 * 16 + 2 * n * 16**2 + 16 * 32 + wide * 32**2 + 32 * 64 + wide * 64**2
    return 9 * weights + 2 * (16 * (2 * n + 1) + 2 * n * (32 + 64)) + dense(64, 10)


def inception(before, one, reduce3, three, reduce5, five, proj):
    """Szegedy et al. 2014, Figure 2(b): four branches, every convolution with biases."""
    return (
        conv(1, before, one)
        + conv(1, before, reduce3) + conv(3, reduce3, three)
        + conv(1, before, reduce5) + conv(5, reduce5, five)
        + conv(1, before, proj)
    )  # fmt: skip


def googlenet(*auxiliary):
    """Szegedy et al. 2014, Table 1, and classifiers on 4x4 images of so many maps."""
    modules = (
        inception(192, 64, 96, 128, 16, 32, 32),
        inception(256, 128, 128, 192, 32, 96, 64),
        inception(480, 192, 96, 208, 16, 48, 64),
        inception(512, 160, 112, 224, 24, 64, 64),
        inception(512, 128, 128, 256, 24, 64, 64),
        inception(512, 112, 144, 288, 32, 64, 64),
        inception(528, 256, 160, 320, 32, 128, 128),
        inception(832, 256, 160, 320, 32, 128, 128),
        inception(832, 384, 192, 384, 48, 128, 128),
    )
    heads = sum(conv(1, maps, 128) + dense(4 * 4 * 128, 1024, 1000) for maps in auxiliary)
    stem = conv(7, 3, 64) + conv(1, 64, 64) + conv(3, 64, 192)
    return stem + sum(modules) + dense(1024, 1000) + heads


def separable(before, after):
    """A depthwise 3x3 and a pointwise convolution without biases, normalized once."""
    return 9 * before + before * after + 2 * after


def xception():
    """Chollet 2017, Figure 5."""
    total = 27 * 32 + 2 * 32 + 9 * 32 * 64 + 2 * 64
    for before, after in pairwise((64, 128, 256, 728)):
        total += separable(before, after) + separable(after, after)
        total += before * after + 2 * after
    total += 8 * 3 * separable(728, 728)
    total += separable(728, 728) + separable(728, 1024) + 728 * 1024 + 2 * 1024
    return total + separable(1024, 1536) + separable(1536, 2048) + dense(2048, 1000)


def mobilenet(quarters):
    """Howard et al. 2017, Table 1: 3x3 depthwise and 1x1 convolutions, each normalized."""
    body = (32, 64, 128, 128, 256, 256, *(512,) * 6, 1024, 1024)
    widths = [width * quarters // 4 for width in body]
    total = 27 * widths[0] + 2 * widths[0] + dense(widths[-1], 1000)
    return total + sum(9 * i + 2 * i + i * o + 2 * o for i, o in pairwise(widths))


def mobilenet_v2():
    """Sandler et al. 2018, Table 2: expansion, maps and number of each bottleneck."""
    total, before = 27 * 32 + 2 * 32, 32
    for t, c, n in ((1, 16, 1), *((6, c, n) for c, n in V2_STAGES)):
        for _ in range(n):
            wide = t * before
            total += (before * wide + 2 * wide if t > 1 else 0) + 9 * wide + 2 * wide
            total += wide * c + 2 * c
            before = c
    return total + 320 * 1280 + 2 * 1280 + dense(1280, 1000)


V2_STAGES = ((24, 2), (32, 3), (64, 4), (96, 3), (160, 3), (320, 1))

A = ((3, 64), (3, 128), (3, 256), (3, 256), *((3, 512),) * 4)
B = ((3, 64),) * 2 + ((3, 128),) * 2 + ((3, 256),) * 2 + ((3, 512),) * 4
C = (*B[:6], (1, 256), *B[6:8], (1, 512), *B[8:], (1, 512))
D = B[:4] + ((3, 256),) * 3 + ((3, 512),) * 6
E = B[:4] + ((3, 256),) * 4 + ((3, 512),) * 8

PROJECTIONS = sum(before * after + 2 * after for before, after in pairwise((64, 128, 256, 512)))
TOWERS = (
    conv(11, 3, 96),
    conv(5, 48, 256),
    conv(3, 256, 384),
    conv(3, 192, 384),
    conv(3, 192, 256),
)
TOWER = (conv(11, 3, 96), conv(5, 96, 256), conv(3, 256, 384), conv(3, 384, 384), conv(3, 384, 256))
ZF = (conv(7, 3, 96), *TOWER[1:])
BN = (conv(11, 3, 96), conv(11, 96, 256), *TOWER[2:])
BN_WIDTHS = (96, 256, 384, 384, 256, 4096, 4096, 1000)
ALEX_HEAD = dense(6 * 6 * 256, 4096, 4096, 1000)

PARAMETERS = {  # what is written out here, and the number that is published
    "lenet5": (
        conv(5, 1, 6) + 2 * 6 + (60 * 25 + 16) + 2 * 16 + conv(5, 16, 120) + dense(120, 84),
        60_000,
    ),
    "lenet5_keras": (conv(5, 1, 6) + conv(5, 6, 16) + dense(256, 120, 84, 10), 44_426),
    "alexnet": (sum(TOWERS) + ALEX_HEAD, 60_965_224),
    "alexnet_single": (sum(TOWER) + ALEX_HEAD, 62_378_344),
    "alexnet_bn": (sum(BN) + dense(256, 4096, 4096, 1000, 17) + 2 * sum(BN_WIDTHS), 28_075_633),
    "zfnet": (sum(ZF) + ALEX_HEAD, 62_357_608),
    "vgg11": (vgg(*A), 132_863_336),
    "vgg11_lrn": (vgg(*A), 132_863_336),
    "vgg13": (vgg(*B), 133_047_848),
    "vgg16c": (vgg(*C), 133_638_952),
    "vgg16": (vgg(*D), 138_357_544),
    "vgg19": (vgg(*E), 143_667_240),
    "plain18": (plain(2, 2, 2, 2), 11_515_688),
    "plain34": (plain(3, 4, 6, 3), 21_623_848),
    "resnet18": (plain(2, 2, 2, 2) + PROJECTIONS, 11_689_512),
    "resnet34": (plain(3, 4, 6, 3) + PROJECTIONS, 21_797_672),
    "resnet50": (bottleneck(3, 4, 6, 3), 25_557_032),
    "resnet101": (bottleneck(3, 4, 23, 3), 44_549_160),
    "resnet152": (bottleneck(3, 8, 36, 3), 60_192_808),
    "resnet20_cifar": (cifar(3), 269_722),
    "resnet32_cifar": (cifar(5), 464_154),
    "resnet44_cifar": (cifar(7), 658_586),
    "resnet56_cifar": (cifar(9), 853_018),
    "resnet110_cifar": (cifar(18), 1_727_962),
    "googlenet": (googlenet(), 6_998_552),
    "googlenet_aux": (googlenet(512, 528), 13_378_280),
    "xception": (xception(), 22_855_952),
    "mobilenet": (mobilenet(4), 4_231_976),
    "mobilenet_075": (mobilenet(3), 2_585_560),
    "mobilenet_050": (mobilenet(2), 1_331_592),
    "mobilenet_025": (mobilenet(1), 470_072),
    "mobilenet_v2": (mobilenet_v2(), 3_504_872),
    "mnist_convnet": (
        conv(3, 1, 32) + conv(3, 32, 64) + conv(3, 64, 64) + dense(576, 64, 10),
        93_322,
    ),
    "cats_dogs_convnet": (
        conv(3, 3, 32) + conv(3, 32, 64) + conv(3, 64, 128) + conv(3, 128, 128)
        + dense(7 * 7 * 128, 512, 1),
        3_453_121,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_parameters(name):
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
        (["lenet"], ("lenet5", "lenet5_keras")),
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
        ("lenet6", "did you mean lenet or lenet5 or alexnet?"),
        ("nothing", "known: all, headline, lenet, alexnet, zfnet, vgg, inception, resnet, "),
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
