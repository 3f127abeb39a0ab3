"""GoogLeNet and its successors up to Inception-v3."""

from __future__ import annotations

from convbench.architectures.blocks import conv_relu
from convbench.graph import Builder, Graph
from convbench.ops import (
    AvgPool,
    Concat,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Lrn,
    MaxPool,
    Relu,
    Softmax,
)

NORM = Lrn(size=5, k=2.0, alpha=1e-4, beta=0.75)  # the paper gives no constants: AlexNet's

GOOGLENET = {  # Szegedy et al. 2014, Table 1: 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool proj
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


def googlenet(name: str) -> Graph:
    """GoogLeNet (Szegedy et al. 2014, Table 1); with `_aux` in its name, with both classifiers.

    Poolings keep their last, incomplete window: that is how 112 becomes 56.
    """
    auxiliary = name.endswith("_aux")
    net = Builder(name, (3, 224, 224))
    x = conv_relu(net, net.input, "1", 64, 7, stride=2, padding=3)
    x = net("norm1", NORM, _pool(net, x, "pool1"))
    x = conv_relu(net, x, "2_reduce", 64, 1)
    x = conv_relu(net, x, "2", 192, 3, padding=1)
    x = _pool(net, net("norm2", NORM, x), "pool2")
    for part, widths in GOOGLENET.items():
        if part in ("4a", "5a"):
            x = _pool(net, x, f"pool{int(part[0]) - 1}")
        x = _module(net, x, f"inception_{part}", widths)
        if auxiliary and part in ("4a", "4d"):
            _classifier(net, x, f"aux_{part}")
    net.chain(
        x,
        ("pool5", GlobalAvgPool()),
        ("flatten", Flatten()),
        ("dropout", Dropout(0.4)),
        ("fc", Dense(1000)),
        ("softmax", Softmax()),
    )
    return net.graph({"aux_4a.softmax": 0.3, "aux_4d.softmax": 0.3} if auxiliary else None)


def _pool(net: Builder, x: str, address: str) -> str:
    return net(address, MaxPool(3, stride=2, padding=net.ceil(x, 3, 2)), x)


def _module(net: Builder, x: str, at: str, widths: tuple[int, ...]) -> str:
    """Figure 2(b): four branches, joined in the order of the table's columns."""
    one, reduce3, three, reduce5, five, proj = widths
    branches = (
        _conv(net, x, f"{at}.branch1x1", one, 1),
        _conv(net, _conv(net, x, f"{at}.reduce3x3", reduce3, 1), f"{at}.branch3x3", three, 3),
        _conv(net, _conv(net, x, f"{at}.reduce5x5", reduce5, 1), f"{at}.branch5x5", five, 5),
        _conv(
            net, net(f"{at}.pool", MaxPool(3, stride=1, padding=1), x), f"{at}.pool_proj", proj, 1
        ),
    )
    return net(f"{at}.concat", Concat(), *branches)


def _conv(net: Builder, x: str, at: str, channels: int, kernel: int) -> str:
    conv = Conv(channels, kernel, padding=kernel // 2)
    return net.chain(x, (f"{at}.conv", conv), (f"{at}.relu", Relu()))


def _classifier(net: Builder, x: str, at: str) -> str:
    """Section 5: average pooling 5x5/3, 128 1x1 convolutions, 1024 units, dropout of 70%."""
    return net.chain(
        x,
        (f"{at}.pool", AvgPool(5, stride=3, count_padding=False)),
        (f"{at}.conv", Conv(128, 1)),
        (f"{at}.relu1", Relu()),
        (f"{at}.flatten", Flatten()),
        (f"{at}.fc1", Dense(1024)),
        (f"{at}.relu2", Relu()),
        (f"{at}.dropout", Dropout(0.7)),
        (f"{at}.fc2", Dense(1000)),
        (f"{at}.softmax", Softmax()),
    )
