"""Xception: an Inception network taken to its extreme."""

from __future__ import annotations

from convbench.networks.builder import Builder
from convbench.networks.graph import Graph
from convbench.networks.ops import Add, Conv, MaxPool, Relu, same
from convbench.networks.zoo.blocks import batch_norm, pooled_head

ENTRY = (128, 256, 728)  # Chollet 2017, Figure 5: widths of the entry flow's modules
MIDDLE = 8


def xception(name: str) -> Graph:
    """Xception (Chollet 2017, Figure 5) at 299x299."""
    net = Builder(name, (3, 299, 299))
    x = _conv(net, net.input, "conv1", 32, stride=2)
    x = _conv(net, x, "conv2", 64)
    for i, width in enumerate(ENTRY, start=1):
        x = _entry(net, x, f"entry{i}", width, first=i == 1)
    for i in range(1, MIDDLE + 1):
        y = x
        for j in (1, 2, 3):
            y = net(f"middle{i}.relu{j}", Relu(), y)
            y = _separable(net, y, f"middle{i}.sep{j}", 728)
        x = net(f"middle{i}.sum", Add(), x, y)
    x = _exit(net, x)
    pooled_head(net, x, 1000, dropout=0.5)  # section 4.3, for ImageNet
    return net.graph()


def _conv(net: Builder, x: str, at: str, channels: int, stride: int = 1) -> str:
    conv = Conv(channels, 3, stride=stride, bias=False)
    return net.chain(x, (at, conv), (f"{at}_bn", batch_norm()), (f"{at}_relu", Relu()))


def _entry(net: Builder, x: str, at: str, width: int, *, first: bool) -> str:
    y = x if first else net(f"{at}.relu1", Relu(), x)
    y = _separable(net, y, f"{at}.sep1", width)
    y = _separable(net, net(f"{at}.relu2", Relu(), y), f"{at}.sep2", width)
    return _halved(net, x, y, at, width)


def _exit(net: Builder, x: str) -> str:
    y = _separable(net, net("exit1.relu1", Relu(), x), "exit1.sep1", 728)
    y = _separable(net, net("exit1.relu2", Relu(), y), "exit1.sep2", 1024)
    x = _halved(net, x, y, "exit1", 1024)
    for i, width in enumerate((1536, 2048), start=1):
        x = net(f"exit2.relu{i}", Relu(), _separable(net, x, f"exit2.sep{i}", width))
    return x


def _halved(net: Builder, x: str, y: str, at: str, width: int) -> str:
    """Max pooling by 2 and a 1x1 convolution of stride 2 as the shortcut."""
    _, h, w = net.shape(y)
    pool = MaxPool(3, stride=2, padding=(*same(h, 3, 2), *same(w, 3, 2)))
    shortcut = net.chain(
        x,
        (f"{at}.shortcut.conv", Conv(width, 1, stride=2, bias=False)),
        (f"{at}.shortcut.bn", batch_norm()),
    )
    return net(f"{at}.sum", Add(), net(f"{at}.pool", pool, y), shortcut)


def _separable(net: Builder, x: str, at: str, channels: int) -> str:
    """A depthwise 3x3 and a pointwise 1x1 convolution with nothing between, then normalized."""
    width = net.shape(x)[0]
    return net.chain(
        x,
        (f"{at}.dw", Conv(width, 3, padding=1, groups=width, bias=False)),
        (f"{at}.pw", Conv(channels, 1, bias=False)),
        (f"{at}.bn", batch_norm()),
    )
