"""EfficientNet: inverted residuals that a search found, with squeeze and excitation."""

from __future__ import annotations

from convbench.networks.builder import Builder
from convbench.networks.graph import Graph
from convbench.networks.ops import Add, BatchNorm, Conv, GlobalAvgPool, Multiply, Sigmoid, Silu
from convbench.networks.zoo.blocks import conv_bn_relu, pooled_head

NORM = BatchNorm(eps=1e-3, decay=0.99)  # section 5.2: momentum 0.99

STAGES = (  # Tan and Le 2019, Table 1: expansion, kernel, channels, layers, stride
    (1, 3, 16, 1, 1),
    (6, 3, 24, 2, 2),
    (6, 5, 40, 2, 2),
    (6, 3, 80, 3, 2),
    (6, 5, 112, 3, 1),
    (6, 5, 192, 4, 2),
    (6, 3, 320, 1, 1),
)


def efficientnet_b0(name: str) -> Graph:
    """EfficientNet-B0 (Tan and Le 2019, Table 1) at 224x224.

    Stochastic depth, which drops whole blocks while training, is no layer and is left out.
    """
    net = Builder(name, (3, 224, 224))
    x = conv_bn_relu(net, net.input, "conv1", _conv(32, 3, 2), norm=NORM, activation=Silu())
    for stage, (expansion, kernel, channels, layers, stride) in enumerate(STAGES, start=2):
        for i in range(1, layers + 1):
            at = f"block{stage}_{i}"
            x = _inverted(net, x, at, expansion, _conv(channels, kernel, stride if i == 1 else 1))
    x = conv_bn_relu(net, x, "conv9", _conv(1280, 1), norm=NORM, activation=Silu())
    pooled_head(net, x, 1000, dropout=0.2)
    return net.graph()


def _conv(channels: int, kernel: int, stride: int = 1, groups: int = 1) -> Conv:
    return Conv(channels, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False)


def _inverted(net: Builder, x: str, at: str, expansion: int, described: Conv) -> str:
    """Expand by 1x1, filter depthwise, excite, project linearly; add if shapes allow."""
    width, (kernel, _), (stride, _) = net.shape(x)[0], described.kernel, described.stride
    wide, y = expansion * width, x
    if expansion > 1:
        y = conv_bn_relu(net, y, f"{at}.expand", _conv(wide, 1), norm=NORM, activation=Silu())
    depthwise = _conv(wide, kernel, stride, groups=wide)
    y = conv_bn_relu(net, y, f"{at}.dw", depthwise, norm=NORM, activation=Silu())
    y = _excite(net, y, f"{at}.se", width // 4)
    project = _conv(described.channels, 1)
    y = conv_bn_relu(net, y, f"{at}.project", project, norm=NORM, activation=None)
    return net(f"{at}.sum", Add(), x, y) if stride == 1 and width == described.channels else y


def _excite(net: Builder, x: str, at: str, width: int) -> str:
    """Squeeze and excitation (Hu et al. 2018): a factor for each channel from all means."""
    factors = net.chain(
        x,
        (f"{at}.pool", GlobalAvgPool()),
        (f"{at}.reduce", Conv(width, 1)),
        (f"{at}.silu", Silu()),
        (f"{at}.expand", Conv(net.shape(x)[0], 1)),
        (f"{at}.sigmoid", Sigmoid()),
    )
    return net(f"{at}.scale", Multiply(), x, factors)
