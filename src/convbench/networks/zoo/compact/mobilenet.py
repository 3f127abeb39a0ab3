"""Networks of depthwise separable convolutions for small machines."""

from __future__ import annotations

from convbench.networks.builder import Builder
from convbench.networks.graph import Graph
from convbench.networks.ops import Add, Conv, Relu6
from convbench.networks.zoo.blocks import conv_bn_relu, pooled_head

BODY = (  # Howard et al. 2017, Table 1: output channels and stride of each separable convolution
    *((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)),
    *((512, 1),) * 5,
    *((1024, 2), (1024, 1)),
)

WIDTHS = {"mobilenet": 4, "mobilenet_075": 3, "mobilenet_050": 2, "mobilenet_025": 1}
"""The width multiplier in quarters."""


def mobilenet(name: str) -> Graph:
    """MobileNet at 224x224 (Howard et al. 2017, Table 1) with a width multiplier by name.

    Table 1 prints stride 2 for the last depthwise layer too, whose 7x7 output needs stride 1.
    """
    quarters = WIDTHS[name]
    net = Builder(name, (3, 224, 224))
    x = conv_bn_relu(net, net.input, "conv1", _conv(32 * quarters // 4, 3, 2))
    for i, (channels, stride) in enumerate(BODY, start=2):
        x = conv_bn_relu(net, x, f"block{i}.dw", _depthwise(net.shape(x)[0], stride))
        x = conv_bn_relu(net, x, f"block{i}.pw", _conv(channels * quarters // 4, 1))
    pooled_head(net, x, 1000)
    return net.graph()


INVERTED = (  # Sandler et al. 2018, Table 2: expansion t, channels c, repeats n, stride s
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def mobilenet_v2(name: str) -> Graph:
    """MobileNetV2 at 224x224 and width 1 (Sandler et al. 2018, Table 2)."""
    net = Builder(name, (3, 224, 224))
    x = conv_bn_relu(net, net.input, "conv1", _conv(32, 3, 2), activation=Relu6())
    number = 1
    for expansion, channels, repeats, stride in INVERTED:
        for repeat in range(repeats):
            x = _inverted(net, x, f"block{number}", expansion, channels, 1 if repeat else stride)
            number += 1
    x = conv_bn_relu(net, x, "conv2", _conv(1280, 1), activation=Relu6())
    pooled_head(net, x, 1000, dropout=0.2)
    return net.graph()


def _inverted(net: Builder, x: str, at: str, expansion: int, channels: int, stride: int) -> str:
    """Table 1: expand by 1x1, filter by 3x3 depthwise, project linearly; add if shapes allow."""
    width, y = net.shape(x)[0], x
    wide = expansion * width
    if expansion > 1:
        y = conv_bn_relu(net, y, f"{at}.expand", _conv(wide, 1), activation=Relu6())
    y = conv_bn_relu(net, y, f"{at}.dw", _depthwise(wide, stride), activation=Relu6())
    y = conv_bn_relu(net, y, f"{at}.project", _conv(channels, 1), activation=None)
    return net(f"{at}.sum", Add(), x, y) if stride == 1 and width == channels else y


def _conv(channels: int, kernel: int, stride: int = 1) -> Conv:
    return Conv(channels, kernel, stride=stride, padding=kernel // 2, bias=False)


def _depthwise(channels: int, stride: int) -> Conv:
    return Conv(channels, 3, stride=stride, padding=1, groups=channels, bias=False)
