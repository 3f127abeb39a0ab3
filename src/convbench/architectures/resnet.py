"""Residual networks and the plain networks that they were compared with."""

from __future__ import annotations

from convbench.architectures.blocks import batch_norm
from convbench.graph import Builder, Graph
from convbench.ops import (
    Add,
    Conv,
    Dense,
    Flatten,
    GlobalAvgPool,
    MaxPool,
    PadChannels,
    Relu,
    Softmax,
)

BLOCKS = {  # He et al. 2015, Table 1: building blocks in conv2_x, conv3_x, conv4_x, conv5_x
    "plain18": (2, 2, 2, 2),
    "plain34": (3, 4, 6, 3),
    "resnet18": (2, 2, 2, 2),
    "resnet34": (3, 4, 6, 3),
    "resnet50": (3, 4, 6, 3),
    "resnet101": (3, 4, 23, 3),
    "resnet152": (3, 8, 36, 3),
}

CIFAR_BLOCKS = {  # section 4.2: n of the depth 6n + 2
    "resnet20_cifar": 3,
    "resnet32_cifar": 5,
    "resnet44_cifar": 7,
    "resnet56_cifar": 9,
    "resnet110_cifar": 18,
}


def plain(name: str) -> Graph:
    """A plain network (He et al. 2015, Figure 3, middle): the residual one without shortcuts."""
    net, x = _imagenet_stem(name)
    for stage, depth in enumerate(BLOCKS[name], start=2):
        for i in range(1, depth + 1):
            width, stride = 32 * 2 ** (stage - 1), _stride(stage, i)
            x = _conv_bn(net, x, f"conv{stage}_{i}", "1", width, 3, stride)
            x = net(f"conv{stage}_{i}.relu1", Relu(), x)
            x = _conv_bn(net, x, f"conv{stage}_{i}", "2", width, 3)
            x = net(f"conv{stage}_{i}.relu2", Relu(), x)
    return _head(net, x, 1000)


def resnet(name: str) -> Graph:
    """ResNet-18 or -34 (He et al. 2015, Table 1) with projections where widths grow (option B)."""
    net, x = _imagenet_stem(name)
    for stage, depth in enumerate(BLOCKS[name], start=2):
        for i in range(1, depth + 1):
            x = _basic(net, x, f"conv{stage}_{i}", 32 * 2 ** (stage - 1), _stride(stage, i))
    return _head(net, x, 1000)


def bottleneck_resnet(name: str) -> Graph:
    """ResNet-50, -101 or -152 (He et al. 2015, Table 1): option B, stride in the first 1x1."""
    net, x = _imagenet_stem(name)
    for stage, depth in enumerate(BLOCKS[name], start=2):
        for i in range(1, depth + 1):
            x = _bottleneck(net, x, f"conv{stage}_{i}", 32 * 2 ** (stage - 1), _stride(stage, i))
    return _head(net, x, 1000)


def cifar_resnet(name: str) -> Graph:
    """A residual network for 32x32 images (He et al. 2015, section 4.2), option A shortcuts."""
    net = Builder(name, (3, 32, 32))
    x = net.chain(
        net.input,
        ("conv1", Conv(16, 3, padding=1, bias=False)),
        ("bn1", batch_norm()),
        ("relu1", Relu()),
    )
    for stage, width in enumerate((16, 32, 64), start=2):
        for i in range(1, CIFAR_BLOCKS[name] + 1):
            x = _basic(net, x, f"conv{stage}_{i}", width, _stride(stage, i), project=False)
    return _head(net, x, 10)


def _stride(stage: int, block: int) -> int:
    """The first block of each stage but the first halves the image."""
    return 2 if stage > 2 and block == 1 else 1


def _imagenet_stem(name: str) -> tuple[Builder, str]:
    net = Builder(name, (3, 224, 224))
    x = net.chain(
        net.input,
        ("conv1", Conv(64, 7, stride=2, padding=3, bias=False)),
        ("bn1", batch_norm()),
        ("relu1", Relu()),
        # 112 -> 56 needs padding that the paper does not state; one pixel all round is what
        # its readers' implementations agree on.
        ("pool1", MaxPool(3, stride=2, padding=1)),
    )
    return net, x


def _head(net: Builder, x: str, classes: int) -> Graph:
    net.chain(
        x,
        ("pool", GlobalAvgPool()),
        ("flatten", Flatten()),
        ("fc", Dense(classes)),
        ("softmax", Softmax()),
    )
    return net.graph()


def _conv_bn(
    net: Builder, x: str, at: str, number: str, width: int, kernel: int, stride: int = 1
) -> str:
    conv = Conv(width, kernel, stride=stride, padding=kernel // 2, bias=False)
    return net.chain(x, (f"{at}.conv{number}", conv), (f"{at}.bn{number}", batch_norm()))


def _basic(net: Builder, x: str, at: str, width: int, stride: int, project: bool = True) -> str:
    """Two 3x3 convolutions and a shortcut (Figure 5, left)."""
    y = _conv_bn(net, x, at, "1", width, 3, stride)
    y = net(f"{at}.relu1", Relu(), y)
    y = _conv_bn(net, y, at, "2", width, 3)
    shortcut = _projection if project else _padding
    y = net(f"{at}.sum", Add(), y, shortcut(net, x, at, width, stride))
    return net(f"{at}.relu2", Relu(), y)


def _bottleneck(net: Builder, x: str, at: str, width: int, stride: int) -> str:
    """1x1, 3x3 and 1x1 convolutions and a shortcut (Figure 5, right)."""
    y = _conv_bn(net, x, at, "1", width, 1, stride)
    y = net(f"{at}.relu1", Relu(), y)
    y = _conv_bn(net, y, at, "2", width, 3)
    y = net(f"{at}.relu2", Relu(), y)
    y = _conv_bn(net, y, at, "3", 4 * width, 1)
    y = net(f"{at}.sum", Add(), y, _projection(net, x, at, 4 * width, stride))
    return net(f"{at}.relu3", Relu(), y)


def _projection(net: Builder, x: str, at: str, width: int, stride: int) -> str:
    """The identity, or a 1x1 convolution where the width or the size changes (option B)."""
    if net.shape(x)[0] == width and stride == 1:
        return x
    return net.chain(
        x,
        (f"{at}.shortcut.conv", Conv(width, 1, stride=stride, bias=False)),
        (f"{at}.shortcut.bn", batch_norm()),
    )


def _padding(net: Builder, x: str, at: str, width: int, stride: int) -> str:
    """The identity, or every second pixel and channels of zeros (option A, no parameters)."""
    channels = net.shape(x)[0]
    if channels == width and stride == 1:
        return x
    return net.chain(
        x,
        (f"{at}.shortcut.subsample", MaxPool(1, stride=stride)),
        (f"{at}.shortcut.pad", PadChannels(width - channels)),
    )
