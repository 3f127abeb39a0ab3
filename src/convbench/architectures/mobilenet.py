"""Networks of depthwise separable convolutions for small machines."""

from __future__ import annotations

from convbench.architectures.blocks import batch_norm
from convbench.graph import Builder, Graph
from convbench.ops import Add, Conv, Dense, Dropout, Flatten, GlobalAvgPool, Relu, Relu6, Softmax

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
    x = _conv(net, net.input, "conv1", 32 * quarters // 4, 3, 2)
    for i, (channels, stride) in enumerate(BODY, start=2):
        x = _depthwise(net, x, f"block{i}.dw", stride, Relu())
        x = _conv(net, x, f"block{i}.pw", channels * quarters // 4, 1, 1)
    net.chain(
        x,
        ("pool", GlobalAvgPool()),
        ("flatten", Flatten()),
        ("fc", Dense(1000)),
        ("softmax", Softmax()),
    )
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
    x = _conv(net, net.input, "conv1", 32, 3, 2, Relu6())
    number = 1
    for expansion, channels, repeats, stride in INVERTED:
        for repeat in range(repeats):
            x = _inverted(net, x, f"block{number}", expansion, channels, 1 if repeat else stride)
            number += 1
    x = _conv(net, x, "conv2", 1280, 1, 1, Relu6())
    net.chain(
        x,
        ("pool", GlobalAvgPool()),
        ("flatten", Flatten()),
        ("dropout", Dropout(0.2)),
        ("fc", Dense(1000)),
        ("softmax", Softmax()),
    )
    return net.graph()


def _inverted(net: Builder, x: str, at: str, expansion: int, channels: int, stride: int) -> str:
    """Table 1: expand by 1x1, filter by 3x3 depthwise, project linearly; add if shapes allow."""
    width = net.shape(x)[0]
    y = _conv(net, x, f"{at}.expand", expansion * width, 1, 1, Relu6()) if expansion > 1 else x
    y = _depthwise(net, y, f"{at}.dw", stride, Relu6())
    y = net.chain(
        y,
        (f"{at}.project.conv", Conv(channels, 1, bias=False)),
        (f"{at}.project.bn", batch_norm()),
    )
    return net(f"{at}.sum", Add(), x, y) if stride == 1 and width == channels else y


def _conv(
    net: Builder,
    x: str,
    at: str,
    channels: int,
    kernel: int,
    stride: int,
    activation: Relu | Relu6 = Relu(),  # noqa: B008  (frozen)
) -> str:
    conv = Conv(channels, kernel, stride=stride, padding=kernel // 2, bias=False)
    return net.chain(
        x, (f"{at}.conv", conv), (f"{at}.bn", batch_norm()), (f"{at}.relu", activation)
    )


def _depthwise(net: Builder, x: str, at: str, stride: int, activation: Relu | Relu6) -> str:
    width = net.shape(x)[0]
    conv = Conv(width, 3, stride=stride, padding=1, groups=width, bias=False)
    return net.chain(
        x, (f"{at}.conv", conv), (f"{at}.bn", batch_norm()), (f"{at}.relu", activation)
    )
