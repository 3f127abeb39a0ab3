"""SqueezeNet: AlexNet's accuracy with fire modules that squeeze before they expand."""

from __future__ import annotations

from convbench.networks.builder import Builder
from convbench.networks.graph import Graph
from convbench.networks.ops import (
    Concat,
    Conv,
    Dropout,
    Flatten,
    GlobalAvgPool,
    MaxPool,
    Relu,
    Softmax,
)
from convbench.networks.zoo.blocks import conv_relu

FIRE = {  # Iandola et al. 2016, Table 1: squeeze 1x1, expand 1x1, expand 3x3
    "2": (16, 64, 64),
    "3": (16, 64, 64),
    "4": (32, 128, 128),
    "5": (32, 128, 128),
    "6": (48, 192, 192),
    "7": (48, 192, 192),
    "8": (64, 256, 256),
    "9": (64, 256, 256),
}

POOL = MaxPool(3, stride=2)


def squeezenet(name: str) -> Graph:
    """SqueezeNet 1.0 (Iandola et al. 2016, Table 1) before pruning.

    The input is 227x227: with the 224x224 that the table states, no padding gives its 111x111.
    """
    net = Builder(name, (3, 227, 227))
    x = net("pool1", POOL, conv_relu(net, net.input, "1", 96, 7, stride=2))
    for number, widths in FIRE.items():
        x = _fire(net, x, f"fire{number}", widths)
        x = net(f"pool{number}", POOL, x) if number in "48" else x
    x = conv_relu(net, net("dropout9", Dropout(0.5), x), "10", 1000, 1)
    net.chain(x, ("pool10", GlobalAvgPool()), ("flatten", Flatten()), ("softmax", Softmax()))
    return net.graph()


def _fire(net: Builder, x: str, at: str, widths: tuple[int, int, int]) -> str:
    """Figure 1: few 1x1 kernels, then 1x1 and 3x3 side by side."""
    x = _conv(net, x, f"{at}.squeeze1x1", Conv(widths[0], 1))
    one = _conv(net, x, f"{at}.expand1x1", Conv(widths[1], 1))
    three = _conv(net, x, f"{at}.expand3x3", Conv(widths[2], 3, padding=1))
    return net(f"{at}.concat", Concat(), one, three)


def _conv(net: Builder, x: str, at: str, conv: Conv) -> str:
    return net.chain(x, (f"{at}.conv", conv), (f"{at}.relu", Relu()))
