"""The Inception networks, from GoogLeNet to Inception-ResNet."""

from __future__ import annotations

from tests.networks.published.layers import conv, dense, tower


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


def bn_inception():
    """Ioffe and Szegedy 2015, Figure 5; 96 for the projections that it prints as 128."""
    total = 49 * 24 + tower(24, (1, 64), (1, 64), (9, 192)) + dense(1024, 1000)
    before = 192
    for one, reduce3, three, double, five, proj in BN_MODULES:
        total += tower(before, (1, reduce3), (9, three))
        total += tower(before, (1, double), (9, five), (9, five))
        total += tower(before, (1, one)) + tower(before, (1, proj))
        before = one + three + five + (proj or before)
    return total


BN_MODULES = (  # 1x1, 3x3 reduce, 3x3, double 3x3 reduce, double 3x3, projection
    (64, 64, 64, 64, 96, 32),
    (64, 64, 96, 64, 96, 64),
    (0, 128, 160, 64, 96, 0),
    (224, 64, 96, 96, 128, 128),
    (192, 96, 128, 96, 128, 128),
    (160, 128, 160, 128, 160, 96),
    (96, 128, 192, 160, 192, 96),
    (0, 128, 192, 192, 256, 0),
    (352, 192, 320, 160, 224, 128),
    (352, 192, 320, 192, 224, 128),
)


def grid35(before, pooled, norm):
    """Szegedy et al. 2015b, Figure 5."""
    towers = ((1, 64),), ((1, 48), (25, 64)), ((1, 64), (9, 96), (9, 96)), ((1, pooled),)
    return sum(tower(before, *steps, norm=norm) for steps in towers)


def grid17(c, norm):
    """Figure 6, with n = 7: the 1x7 and 7x1 convolutions have c maps, and 192 at the end."""
    short, long = ((1, c), (7, c), (7, 192)), ((1, c), (7, c), (7, c), (7, c), (7, 192))
    towers = ((1, 192),), short, long, ((1, 192),)
    return sum(tower(768, *steps, norm=norm) for steps in towers)


def grid8(before, norm):
    """Figure 7: the ends of two branches are forked into 1x3 and 3x1."""
    towers = ((1, 320),), ((1, 384), (3, 2 * 384)), ((1, 448), (9, 384), (3, 2 * 384)), ((1, 192),)
    return sum(tower(before, *steps, norm=norm) for steps in towers)


def inception_v3_body(norm):
    """Everything before the pooling, as released."""
    reductions = (
        tower(288, (9, 384), norm=norm) + tower(288, (1, 64), (9, 96), (9, 96), norm=norm)
        + tower(768, (1, 192), (9, 320), norm=norm)
        + tower(768, (1, 192), (7, 192), (7, 192), (9, 192), norm=norm)
    )  # fmt: skip
    return (
        tower(3, (9, 32), (9, 32), (9, 64), (1, 80), (9, 192), norm=norm) + reductions
        + grid35(192, 32, norm) + grid35(256, 64, norm) + grid35(288, 64, norm)
        + grid17(128, norm) + 2 * grid17(160, norm) + grid17(192, norm)
        + grid8(1280, norm) + grid8(2048, norm)
    )  # fmt: skip


def inception_v3(*auxiliary):
    """The released network, and a classifier of 5x5 on each of so many maps."""
    heads = sum(tower(maps, (1, 128), (25, 768)) + dense(768, 1000) for maps in auxiliary)
    return inception_v3_body(norm=2) + dense(2048, 1000) + heads


def figure_3():
    """The stem of Inception-v4 and Inception-ResNet-v2: 384 maps of 35x35."""
    return (
        tower(3, (9, 32), (9, 32), (9, 64))
        + tower(64, (9, 96))
        + tower(160, (1, 64), (9, 96)) + tower(160, (1, 64), (7, 64), (7, 64), (9, 96))
        + tower(192, (9, 192))
    )  # fmt: skip


def figure_7(before, k, l, m, n, norm=2):  # noqa: E741
    """Reduction-A, with the letters of Table 1."""
    return tower(before, (9, n), norm=norm) + tower(before, (1, k), (9, l), (9, m), norm=norm)


def figure_18(before, second, third, last, norm=2):
    """Reduction-B of both residual networks (Figures 12 and 18)."""
    return (
        tower(before, (1, 256), (9, 384), norm=norm)
        + tower(before, (1, 256), (9, second), norm=norm)
        + tower(before, (1, 256), (9, third), (9, last), norm=norm)
    )


def residual(before, *towers, norm=2):
    """Towers side by side, and the linear 1x1 back to the maps that came in, with biases."""
    joined = sum(steps[-1][1] for steps in towers)
    return sum(tower(before, *steps, norm=norm) for steps in towers) + conv(1, joined, before)


def inception_v4():
    """Figures 3 to 9: 4, 7 and 3 modules."""
    a = (
        2 * tower(384, (1, 96))
        + tower(384, (1, 64), (9, 96)) + tower(384, (1, 64), (9, 96), (9, 96))
    )  # fmt: skip
    b = (
        tower(1024, (1, 128)) + tower(1024, (1, 384))
        + tower(1024, (1, 192), (7, 224), (7, 256))
        + tower(1024, (1, 192), (7, 192), (7, 224), (7, 224), (7, 256))
    )  # fmt: skip
    reduction_b = tower(1024, (1, 192), (9, 192))
    reduction_b += tower(1024, (1, 256), (7, 256), (7, 320), (9, 320))
    c = (
        2 * tower(1536, (1, 256))
        + tower(1536, (1, 384)) + 2 * tower(384, (3, 256))
        + tower(1536, (1, 384), (3, 448), (3, 512)) + 2 * tower(512, (3, 256))
    )  # fmt: skip
    body = 4 * a + figure_7(384, 192, 224, 256, 384) + 7 * b + reduction_b + 3 * c
    return figure_3() + body + dense(1536, 1000)


def inception_resnet_v1():
    """Figures 10 to 15: 256, 896 and 1792 maps in 5, 10 and 5 modules."""
    stem = tower(3, (9, 32), (9, 32), (9, 64)) + tower(64, (1, 80), (9, 192), (9, 256))
    a = residual(256, ((1, 32),), ((1, 32), (9, 32)), ((1, 32), (9, 32), (9, 32)))
    b = residual(896, ((1, 128),), ((1, 128), (7, 128), (7, 128)))
    c = residual(1792, ((1, 192),), ((1, 192), (3, 192), (3, 192)))
    reductions = figure_7(256, 192, 192, 256, 384) + figure_18(896, 256, 256, 256)
    return stem + 5 * a + 10 * b + 5 * c + reductions + dense(1792, 1000)


def inception_resnet_v2_body(before, modules, norm=2):
    """Figures 16 to 19 upon `before` maps; the reductions add n + m and 384 + 288 + 320."""
    middle = before + 384 + 384
    last = middle + 384 + 288 + 320
    towers = ((1, 32),), ((1, 32), (9, 32)), ((1, 32), (9, 48), (9, 64))
    a = residual(before, *towers, norm=norm)
    b = residual(middle, ((1, 192),), ((1, 128), (7, 160), (7, 192)), norm=norm)
    c = residual(last, ((1, 192),), ((1, 192), (3, 224), (3, 256)), norm=norm)
    reductions = figure_7(before, 256, 256, 384, 384, norm) + figure_18(middle, 288, 288, 320, norm)
    return sum(n * each for n, each in zip(modules, (a, b, c), strict=True)) + reductions


def inception_resnet_v2():
    """Figures 3 and 15 to 19, with the sums' 1152 and 2144 for the printed 1154 and 2048."""
    return figure_3() + inception_resnet_v2_body(384, (5, 10, 5)) + dense(2144, 1000)


def inception_resnet_v2_slim():
    """What was released: normalization without a scale, so that a map has one value of it."""
    stem = tower(3, (9, 32), (9, 32), (9, 64), (1, 80), (9, 192), norm=1)
    mixed = (
        tower(192, (1, 96), norm=1) + tower(192, (1, 48), (25, 64), norm=1)
        + tower(192, (1, 64), (9, 96), (9, 96), norm=1) + tower(192, (1, 64), norm=1)
    )  # fmt: skip
    body = inception_resnet_v2_body(320, (10, 20, 10), norm=1)
    return stem + mixed + body + tower(2080, (1, 1536), norm=1) + dense(1536, 1000)


PARAMETERS = {
    "googlenet": (googlenet(), 6_998_552),
    "googlenet_aux": (googlenet(512, 528), 13_378_280),
    "bn_inception": (bn_inception(), 11_188_288),
    "inception_v3": (inception_v3(), 23_834_568),
    "inception_v3_aux": (inception_v3(768), 27_161_264),
    "inception_v4": (inception_v4(), 42_679_816),  # imgclsmob, Keras Hub
    "inception_resnet_v1": (inception_resnet_v1(), 22_756_328),  # no source has a count
    "inception_resnet_v2": (inception_resnet_v2(), 32_433_928),  # no source has a count
    "inception_resnet_v2_slim": (inception_resnet_v2_slim(), 55_813_192),  # Keras: trainable
}  # fmt: skip
