"""The lectures' transfer networks: what is trained of a known base and a small head."""

from __future__ import annotations

from tests.networks.published.classic import D, vgg
from tests.networks.published.inception import grid8, inception_v3_body
from tests.networks.published.layers import conv, dense
from tests.networks.published.residual import bottleneck

# Keras's Inception-v3 normalizes without a scale: one value for each map.
INCEPTION_V3_TOP = grid8(1280, norm=1) + grid8(2048, norm=1)
INCEPTION_V3 = inception_v3_body(norm=1)
VGG16 = vgg(*D) - dense(7 * 7 * 512, 4096, 4096, 1000)
RESNET50 = bottleneck(3, 4, 6, 3) - dense(2048, 1000)
RESNET50_MAPS = 64 + sum(
    depth * (2 * width + 4 * width) + 4 * width
    for width, depth in zip((64, 128, 256, 512), (3, 4, 6, 3), strict=True)
)
CATS_DOGS_HEAD = dense(4 * 4 * 512, 256, 1)
HEAD_200 = dense(2048, 1024, 200)
CIFAR_HEAD = dense(2048, 256) + 2 * 256 + dense(256, 100)

PARAMETERS = {
    "vgg16_cats_dogs": (VGG16 + CATS_DOGS_HEAD, 16_812_353),
    "vgg16_cats_dogs_features": (CATS_DOGS_HEAD, 2_097_665),
    "vgg16_cats_dogs_finetuned": (3 * conv(3, 512, 512) + CATS_DOGS_HEAD, 7_079_424 + 2_097_665),
    "inception_v3_200": (INCEPTION_V3 + HEAD_200, 21_768_352 + 2_303_176),
    "inception_v3_200_features": (HEAD_200, 2_303_176),
    "inception_v3_200_finetuned": (INCEPTION_V3_TOP + HEAD_200, 11_114_880 + 2_303_176),
    "resnet50_cifar100": (RESNET50 + RESNET50_MAPS + CIFAR_HEAD, 23_534_592 + 550_756),
    "resnet50_cifar100_features": (CIFAR_HEAD, 550_756),
    "resnet50_cifar100_finetuned": (2 * RESNET50_MAPS + CIFAR_HEAD, 53_120 + 550_756),
}  # fmt: skip
