"""Separable convolutions and searched cells: Xception, MobileNet, NASNet, EfficientNet."""

from __future__ import annotations

from itertools import pairwise

from tests.networks.published.layers import dense


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


def nasnet(repeats, penultimate, stem):
    """Zoph et al. 2018, Figures 2 and 4: N @ P, and the maps of the first convolution."""
    first = penultimate // 24
    total = 27 * stem + 2 * stem + reduction(stem, stem, first // 4)
    total += fitted(stem, first // 2) + reduction(first, first // 2, first // 2)
    before, last = first, 2 * first
    for width in (first, 2 * first, 4 * first):
        if width > first:
            total += fitted(before, width) + reduction(last, width, width)
            last = 4 * width
        for _ in range(repeats):
            total += normal(last, before, width)
            before, last = last, 6 * width
        before = last
    return total + dense(penultimate, 1000)


def fitted(before, after):
    """A 1x1 convolution without biases, normalized."""
    return before * after + 2 * after


def twice(kernel, before, after):
    """Two separable convolutions, each normalized once: appendix A.4."""
    return kernel**2 * (before + after) + before * after + after**2 + 2 * 2 * after


def normal(last, before, width):
    inputs = fitted(last, width) + fitted(before, width)
    return inputs + 2 * twice(5, width, width) + 3 * twice(3, width, width)


def reduction(last, before, width):
    """`before` is what its 7x7 and 5x5 convolutions see of the cell before the last."""
    return (
        fitted(last, width)
        + twice(5, width, width) + twice(3, width, width)
        + 2 * twice(7, before, width) + twice(5, before, width)
    )  # fmt: skip


def efficientnet_b0():
    """Tan and Le 2019, Table 1: expansion, kernel, maps and layers of each stage."""
    total, before = 27 * 32 + 2 * 32, 32
    for t, k, c, n in B0_STAGES:
        for _ in range(n):
            wide, squeezed = t * before, before // 4
            total += (fitted(before, wide) if t > 1 else 0) + k**2 * wide + 2 * wide
            total += dense(wide, squeezed, wide) + fitted(wide, c)
            before = c
    return total + fitted(320, 1280) + dense(1280, 1000)


B0_STAGES = (
    (1, 3, 16, 1), (6, 3, 24, 2), (6, 5, 40, 2), (6, 3, 80, 3),
    (6, 5, 112, 3), (6, 5, 192, 4), (6, 3, 320, 1),
)  # fmt: skip

PARAMETERS = {
    "xception": (xception(), 22_855_952),
    "mobilenet": (mobilenet(4), 4_231_976),
    "mobilenet_075": (mobilenet(3), 2_585_560),
    "mobilenet_050": (mobilenet(2), 1_331_592),
    "mobilenet_025": (mobilenet(1), 470_072),
    "mobilenet_v2": (mobilenet_v2(), 3_504_872),
    "nasnet_mobile": (nasnet(4, 1056, 32), 5_289_978),
    "nasnet_large": (nasnet(6, 4032, 96), 88_753_150),
    "efficientnet_b0": (efficientnet_b0(), 5_288_548),
}  # fmt: skip
