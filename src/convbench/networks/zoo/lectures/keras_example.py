"""The two residual networks of the Keras documentation's CIFAR-10 example, three blocks a stage.

Every convolution has a bias, normalization has Keras's defaults, and projections have none.
"""

from __future__ import annotations

from convbench.networks.builder import Builder
from convbench.networks.graph import Graph
from convbench.networks.ops import Add, BatchNorm, Conv, Relu, same
from convbench.networks.zoo.blocks import pooled_head

BLOCKS = 3
NORM = BatchNorm(eps=1e-3, decay=0.99)


def resnet20_cifar_keras(name: str) -> Graph:
    """Version 1 of the example, depth 6n + 2: two 3x3 convolutions a block."""
    net = Builder(name, (3, 32, 32))
    x = _conv(net, net.input, "conv1", 16, 3)
    x = net.chain(x, ("bn1", NORM), ("relu1", Relu()))
    for stage, width in enumerate((16, 32, 64), start=2):
        for i in range(1, BLOCKS + 1):
            at, stride = f"conv{stage}_{i}", 2 if stage > 2 and i == 1 else 1
            y = _conv(net, x, f"{at}.conv1", width, 3, stride)
            y = net.chain(y, (f"{at}.bn1", NORM), (f"{at}.relu1", Relu()))
            y = net(f"{at}.bn2", NORM, _conv(net, y, f"{at}.conv2", width, 3))
            x = _conv(net, x, f"{at}.shortcut", width, 1, stride) if stride == 2 else x
            x = net.chain(net(f"{at}.sum", Add(), x, y), (f"{at}.relu2", Relu()))
    pooled_head(net, x, 10)
    return net.graph()


def resnet29_v2_cifar_keras(name: str) -> Graph:
    """Version 2 of the example, depth 9n + 2: pre-activation bottlenecks.

    The first stage is four times as wide as what enters it, the others twice.
    """
    net = Builder(name, (3, 32, 32))
    x = _conv(net, net.input, "conv1", 16, 3)
    x = net.chain(x, ("bn1", NORM), ("relu1", Relu()))
    for stage, (width, wide) in enumerate(((16, 64), (64, 128), (128, 256)), start=2):
        for i in range(1, BLOCKS + 1):
            at, stride = f"conv{stage}_{i}", 2 if stage > 2 and i == 1 else 1
            first = stage == 2 and i == 1
            y = x if first else net.chain(x, (f"{at}.bn1", NORM), (f"{at}.relu1", Relu()))
            y = _conv(net, y, f"{at}.conv1", width, 1, stride)
            y = net.chain(y, (f"{at}.bn2", NORM), (f"{at}.relu2", Relu()))
            y = _conv(net, y, f"{at}.conv2", width, 3)
            y = net.chain(y, (f"{at}.bn3", NORM), (f"{at}.relu3", Relu()))
            y = _conv(net, y, f"{at}.conv3", wide, 1)
            x = _conv(net, x, f"{at}.shortcut", wide, 1, stride) if i == 1 else x
            x = net(f"{at}.sum", Add(), x, y)
    x = net.chain(x, ("bn", NORM), ("relu", Relu()))
    pooled_head(net, x, 10)
    return net.graph()


def _conv(net: Builder, x: str, at: str, channels: int, kernel: int, stride: int = 1) -> str:
    _, h, w = net.shape(x)
    padding = (*same(h, kernel, stride), *same(w, kernel, stride))
    return net(at, Conv(channels, kernel, stride=stride, padding=padding), x)
