"""DenseNet: each layer reads all layers of its block."""

from __future__ import annotations

from convbench.networks.builder import Builder
from convbench.networks.graph import Graph
from convbench.networks.ops import AvgPool, Concat, Conv, Relu
from convbench.networks.zoo.blocks import batch_norm, imagenet_stem, pooled_head

BLOCKS = {"densenet121": (6, 12, 24, 16)}  # Huang et al. 2017, Table 1
GROWTH = 32


def densenet(name: str) -> Graph:
    """DenseNet-BC for ImageNet (Huang et al. 2017, Table 1), growth rate 32, compression 0.5."""
    net = Builder(name, (3, 224, 224))
    x = imagenet_stem(net, net.input)
    for block, depth in enumerate(BLOCKS[name], start=1):
        x = _transition(net, x, f"transition{block - 1}") if block > 1 else x
        for i in range(1, depth + 1):
            x = _layer(net, x, f"block{block}.layer{i}")
    x = net.chain(x, ("bn", batch_norm()), ("relu", Relu()))
    pooled_head(net, x, 1000)
    return net.graph()


def _layer(net: Builder, x: str, at: str) -> str:
    """A bottleneck of 4 times the growth and a 3x3 convolution, added to what came in."""
    y = net.chain(
        x,
        (f"{at}.bn1", batch_norm()),
        (f"{at}.relu1", Relu()),
        (f"{at}.conv1", Conv(4 * GROWTH, 1, bias=False)),
        (f"{at}.bn2", batch_norm()),
        (f"{at}.relu2", Relu()),
        (f"{at}.conv2", Conv(GROWTH, 3, padding=1, bias=False)),
    )
    return net(f"{at}.concat", Concat(), x, y)


def _transition(net: Builder, x: str, at: str) -> str:
    return net.chain(
        x,
        (f"{at}.bn", batch_norm()),
        (f"{at}.relu", Relu()),
        (f"{at}.conv", Conv(net.shape(x)[0] // 2, 1, bias=False)),
        (f"{at}.pool", AvgPool(2, stride=2, count_padding=False)),
    )
