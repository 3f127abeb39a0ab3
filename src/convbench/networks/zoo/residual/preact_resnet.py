"""Residual networks with the activations before the weights, and nothing on the shortcut."""

from __future__ import annotations

from convbench.networks.builder import Builder
from convbench.networks.graph import Graph
from convbench.networks.ops import Add, Conv, Relu
from convbench.networks.zoo.blocks import batch_norm, cifar_stem, imagenet_stem, pooled_head, stages

BLOCKS = {  # He et al. 2016: the depths of He et al. 2015, Table 1
    "preact_resnet50": (3, 4, 6, 3),
    "preact_resnet101": (3, 4, 23, 3),
    "preact_resnet152": (3, 8, 36, 3),
    "preact_resnet164_cifar": (18, 18, 18),  # depth 9n + 2
    "preact_resnet1001_cifar": (111, 111, 111),
}


def preact_resnet(name: str) -> Graph:
    """A pre-activation ResNet for ImageNet (He et al. 2016, Figure 4(e), section 5)."""
    net = Builder(name, (3, 224, 224))
    x = imagenet_stem(net, net.input)
    return _stages(net, x, BLOCKS[name], 64, 1000)


def preact_cifar(name: str) -> Graph:
    """A pre-activation ResNet of bottlenecks for 32x32 images (He et al. 2016, appendix)."""
    net = Builder(name, (3, 32, 32))
    x = cifar_stem(net, net.input)
    return _stages(net, x, BLOCKS[name], 16, 10)


def _stages(net: Builder, x: str, depths: tuple[int, ...], width: int, classes: int) -> Graph:
    for number, (at, wide, stride) in enumerate(stages(depths, width)):
        # The activation after the stem serves the first block on both of its paths.
        x = _block(net, x, at, wide, stride, active=number == 0)
    x = net.chain(x, ("bn", batch_norm()), ("relu", Relu()))
    pooled_head(net, x, classes)
    return net.graph()


def _block(net: Builder, x: str, at: str, width: int, stride: int, active: bool) -> str:
    """Normalization, ReLU, convolution, thrice; a projection reads what is activated already."""
    y = x if active else net.chain(x, (f"{at}.bn1", batch_norm()), (f"{at}.relu1", Relu()))
    if net.shape(x)[0] != 4 * width or stride != 1:
        x = net(f"{at}.shortcut", Conv(4 * width, 1, stride=stride, bias=False), y)
    y = net.chain(
        y,
        (f"{at}.conv1", Conv(width, 1, stride=stride, bias=False)),
        (f"{at}.bn2", batch_norm()),
        (f"{at}.relu2", Relu()),
        (f"{at}.conv2", Conv(width, 3, padding=1, bias=False)),
        (f"{at}.bn3", batch_norm()),
        (f"{at}.relu3", Relu()),
        (f"{at}.conv3", Conv(4 * width, 1, bias=False)),
    )
    return net(f"{at}.sum", Add(), y, x)
