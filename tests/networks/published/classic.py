"""LeNet to VGG, Network in Network, SqueezeNet, and the lectures' own networks."""

from __future__ import annotations

from tests.networks.published.layers import conv, dense


def vgg(*convolutions):
    """Stages of (kernel, maps) with three colours at the front and 7x7x512 left at the end."""
    before = (3, *(after for _, after in convolutions))
    total = sum(conv(k, i, o) for i, (k, o) in zip(before, convolutions, strict=False))
    return total + dense(7 * 7 * 512, 4096, 4096, 1000)


def mlpconv(kernel, before, *widths):
    """Lin et al. 2013, Figure 1(b): a convolution and the 1x1 layers that look at each place."""
    first, *rest = widths
    layers = zip(widths, rest, strict=False)
    return conv(kernel, before, first) + sum(conv(1, i, o) for i, o in layers)


def fire(before, squeeze, expand):
    """Iandola et al. 2016, Table 1: few 1x1, then as many 1x1 as 3x3 kernels."""
    return conv(1, before, squeeze) + conv(1, squeeze, expand) + conv(3, squeeze, expand)


def squeezenet():
    """Iandola et al. 2016, Table 1 before pruning."""
    total, before = conv(7, 3, 96) + conv(1, 512, 1000), 96
    for squeeze in (16, 16, 32, 32, 48, 48, 64, 64):
        total += fire(before, squeeze, 4 * squeeze)
        before = 2 * 4 * squeeze
    return total


A = ((3, 64), (3, 128), (3, 256), (3, 256), *((3, 512),) * 4)
B = ((3, 64),) * 2 + ((3, 128),) * 2 + ((3, 256),) * 2 + ((3, 512),) * 4
C = (*B[:6], (1, 256), *B[6:8], (1, 512), *B[8:], (1, 512))
D = B[:4] + ((3, 256),) * 3 + ((3, 512),) * 6
E = B[:4] + ((3, 256),) * 4 + ((3, 512),) * 8

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

PARAMETERS = {
    "lenet1": (
        conv(5, 1, 4) + 2 * 4 + (20 * 25 + 12) + 2 * 12 + dense(4 * 4 * 12, 10),
        2_578,
    ),
    "lenet5": (
        conv(5, 1, 6) + 2 * 6 + (60 * 25 + 16) + 2 * 16 + conv(5, 16, 120) + dense(120, 84),
        60_000,
    ),
    "lenet5_keras": (conv(5, 1, 6) + conv(5, 6, 16) + dense(256, 120, 84, 10), 44_426),
    "alexnet": (sum(TOWERS) + ALEX_HEAD, 60_965_224),
    "alexnet_single": (sum(TOWER) + ALEX_HEAD, 62_378_344),
    "alexnet_bn": (sum(BN) + dense(256, 4096, 4096, 1000, 17) + 2 * sum(BN_WIDTHS), 28_075_633),
    "alexnet_owt": (
        conv(11, 3, 64) + conv(5, 64, 192) + conv(3, 192, 384) + conv(3, 384, 256)
        + conv(3, 256, 256) + dense(6 * 6 * 256, 4096, 4096, 1000),
        61_100_840,
    ),
    "zfnet": (sum(ZF) + ALEX_HEAD, 62_357_608),
    "nin": (
        mlpconv(11, 3, 96, 96, 96) + mlpconv(5, 96, 256, 256, 256)
        + mlpconv(3, 256, 384, 384, 384) + mlpconv(3, 384, 1024, 1024, 1000),
        7_595_176,
    ),
    "squeezenet": (squeezenet(), 1_248_424),
    "vgg11": (vgg(*A), 132_863_336),
    "vgg11_lrn": (vgg(*A), 132_863_336),
    "vgg13": (vgg(*B), 133_047_848),
    "vgg16c": (vgg(*C), 133_638_952),
    "vgg16": (vgg(*D), 138_357_544),
    "vgg19": (vgg(*E), 143_667_240),
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
