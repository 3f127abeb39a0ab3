"""Residual, pre-activation and aggregated networks, and the dense ones."""

from __future__ import annotations

from itertools import pairwise

from tests.networks.published.layers import conv, dense


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


def preact(stem, width, classes, *depths):
    """He et al. 2016, Figure 4(e): units that normalize before each of their three layers.

    A stage's first unit also projects; a last normalization follows all units.
    """
    total, before = stem, width
    for depth in depths:
        wide = 4 * width
        total += before * (width + wide) + (depth - 1) * wide * width
        total += depth * (9 * width**2 + width * wide)
        total += 2 * (before + (depth - 1) * wide + 2 * depth * width)
        before, width = wide, 2 * width
    return total + 2 * before + dense(before, classes)


def resnext(*depths):
    """Xie et al. 2017, Table 1: twice as wide inside a block, in 32 groups of 4, 8, 16 and 32."""
    total, before = 49 * 3 * 64 + 2 * 64 + dense(2048, 1000), 64
    for width, depth in zip((128, 256, 512, 1024), depths, strict=True):
        wide, group = 2 * width, width // 32
        total += before * (width + wide) + (depth - 1) * wide * width
        total += depth * (9 * group * width + width * wide)
        total += 2 * (depth * (2 * width + wide) + wide)
        before = wide
    return total


def keras_v1(n):
    """The Keras example's resnet_v1: as in `cifar`, but with biases and projections."""
    return cifar(n) + 16 * (2 * n + 1) + 2 * n * (32 + 64) + conv(1, 16, 32) + conv(1, 32, 64)


def keras_v2(n):
    """The Keras example's resnet_v2: a stage inside is as wide as what enters it."""
    total, before = conv(3, 3, 16) + dense(256, 10), 16
    for width, wide in ((16, 64), (64, 128), (128, 256)):
        total += conv(1, before, width) + (n - 1) * conv(1, wide, width) + conv(1, before, wide)
        total += n * (conv(3, width, width) + conv(1, width, wide))
        total += 2 * (before + (n - 1) * wide + 2 * n * width)
        before = wide
    return total + 2 * before


def densenet(*depths, k=32):
    """Huang et al. 2017, Table 1: BN-ReLU-Conv without biases, 4k and k maps, halved between."""
    total, maps = 49 * 3 * 2 * k, 2 * k
    total += 2 * maps
    for i, depth in enumerate(depths):
        if i:
            total += 2 * maps + maps * (maps // 2)
            maps //= 2
        for _ in range(depth):
            total += 2 * maps + maps * 4 * k + 2 * 4 * k + 9 * 4 * k * k
            maps += k
    return total + 2 * maps + dense(maps, 1000)


PROJECTIONS = sum(before * after + 2 * after for before, after in pairwise((64, 128, 256, 512)))

PARAMETERS = {
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
    "resnet50_v1_5": (bottleneck(3, 4, 6, 3), 25_557_032),
    "resnet1202_cifar": (cifar(200), 19_421_274),
    "resnet20_cifar_keras": (keras_v1(3), 273_066),
    "resnet29_v2_cifar_keras": (keras_v2(3), 843_786),
    "preact_resnet50": (preact(49 * 3 * 64, 64, 1000, 3, 4, 6, 3), 25_549_352),
    "preact_resnet101": (preact(49 * 3 * 64, 64, 1000, 3, 4, 23, 3), 44_541_480),
    "preact_resnet152": (preact(49 * 3 * 64, 64, 1000, 3, 8, 36, 3), 60_185_128),
    "preact_resnet164_cifar": (preact(9 * 3 * 16, 16, 10, 18, 18, 18), 1_703_258),
    "preact_resnet1001_cifar": (preact(9 * 3 * 16, 16, 10, 111, 111, 111), 10_327_706),
    "resnext50_32x4d": (resnext(3, 4, 6, 3), 25_028_904),
    "resnext101_32x4d": (resnext(3, 4, 23, 3), 44_177_704),
    "densenet121": (densenet(6, 12, 24, 16), 7_978_856),
}  # fmt: skip
