"""The lectures' transfer networks: a known base, a small head, and what of it is trained.

`_features` keeps the whole base as it is; `_finetuned` trains its last part too. The bases are
those of Keras's applications, which the lectures call: their batch normalization has Keras's
constants, Inception-v3's has no scale, and ResNet-50's convolutions have biases.
"""

from __future__ import annotations

from collections.abc import Callable

from convbench.networks.builder import Builder
from convbench.networks.graph import Graph, Node
from convbench.networks.ops import (
    BatchNorm,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Relu,
    Sigmoid,
    Softmax,
    Upsample,
)
from convbench.networks.zoo.classic.vgg import body as vgg_body
from convbench.networks.zoo.inception.inception_v3 import body as inception_v3_body
from convbench.networks.zoo.residual.resnet import BLOCKS, Bottleneck, bottlenecks

INCEPTION_NORM = BatchNorm(eps=1e-3, decay=0.99, scale=False)
RESNET_NORM = BatchNorm(eps=1.001e-5, decay=0.99)


def vgg16_cats_dogs(name: str) -> Graph:
    """VGG-16's convolutions at 150x150, 256 units and one ("Lecture 9", 16,812,353 parameters).

    Fine-tuning starts at the first convolution of the fifth stage, Keras's `block5_conv1`.
    """
    net = Builder(name, (3, 150, 150))
    x = vgg_body(net.within("base"), net.input, "vgg16")
    net.chain(
        x,
        ("flatten", Flatten()),
        ("dense1", Dense(256)),
        ("relu1", Relu()),
        ("dense2", Dense(1)),
        ("sigmoid", Sigmoid()),
    )
    _freeze(net, name, but=lambda node: node.address.startswith("base.conv5_"))
    return net.graph()


def inception_v3_200(name: str) -> Graph:
    """Inception-v3's body, pooling, 1024 units and 200 classes ("CNN - Part 2").

    Fine-tuning trains the top two modules, on the 8x8 grid.
    """
    net = Builder(name, (3, 299, 299))
    x = inception_v3_body(net.within("base"), net.input, INCEPTION_NORM)
    net.chain(
        x,
        ("pool", GlobalAvgPool()),
        ("flatten", Flatten()),
        ("dense1", Dense(1024)),
        ("relu1", Relu()),
        ("dense2", Dense(200)),
        ("softmax", Softmax()),
    )
    _freeze(net, name, but=lambda node: node.address.startswith(("base.mixed_8b", "base.mixed_8c")))
    return net.graph()


def resnet50_cifar100(name: str) -> Graph:
    """ResNet-50 on images enlarged eightfold, 256 units and 100 classes ("CNN Architectures").

    The notes train the base's batch normalization, and none of its convolutions: `_finetuned`.
    """
    net = Builder(name, (3, 32, 32))
    x = net.chain(net.input, *((f"upsample{i}", Upsample(2)) for i in (1, 2, 3)))
    style = Bottleneck(bias=True, norm=RESNET_NORM)
    x = bottlenecks(net.within("base"), x, BLOCKS["resnet50"], style)
    net.chain(
        x,
        ("pool", GlobalAvgPool()),
        ("flatten", Flatten()),
        ("dense1", Dense(256)),
        ("relu1", Relu()),
        ("dropout", Dropout(0.25)),
        ("bn", BatchNorm(eps=1e-3, decay=0.99)),
        ("dense2", Dense(100)),
        ("softmax", Softmax()),
    )
    _freeze(net, name, but=lambda node: isinstance(node.op, BatchNorm))
    return net.graph()


def _freeze(net: Builder, name: str, but: Callable[[Node], bool]) -> None:
    """What the variant's name says; fine-tuning trains what `but` holds for, and the head."""
    if name.endswith("_features"):
        net.freeze("base")
    elif name.endswith("_finetuned"):
        net.freeze("base", but=but)
