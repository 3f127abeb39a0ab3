"""Residual networks and the plain networks that they were compared with."""

from __future__ import annotations

from attrs import field, frozen

from convbench.networks.builder import Builder
from convbench.networks.graph import Graph
from convbench.networks.ops import Add, BatchNorm, Conv, MaxPool, PadChannels, Relu
from convbench.networks.zoo.blocks import batch_norm, cifar_stem, imagenet_stem, pooled_head, stages

BLOCKS = {  # He et al. 2015, Table 1: building blocks in conv2_x, conv3_x, conv4_x, conv5_x
    "plain18": (2, 2, 2, 2),
    "plain34": (3, 4, 6, 3),
    "resnet18": (2, 2, 2, 2),
    "resnet34": (3, 4, 6, 3),
    "resnet50": (3, 4, 6, 3),
    "resnet50_v1_5": (3, 4, 6, 3),
    "resnet101": (3, 4, 23, 3),
    "resnet152": (3, 8, 36, 3),
}

CIFAR_BLOCKS = {  # section 4.2: n of the depth 6n + 2
    "resnet20_cifar": 3,
    "resnet32_cifar": 5,
    "resnet44_cifar": 7,
    "resnet56_cifar": 9,
    "resnet110_cifar": 18,
    "resnet1202_cifar": 200,
}


@frozen
class Bottleneck:
    """What the users of blocks of 1x1, 3x3 and 1x1 convolutions decide differently."""

    width: int = 64
    """Maps of the 3x3 convolution in conv2_x; it doubles with each stage."""
    groups: int = 1
    stride_in_3x3: bool = False
    """Whether the 3x3 convolution halves the image, not the first 1x1."""
    bias: bool = False
    norm: BatchNorm = field(factory=batch_norm)


def plain(name: str) -> Graph:
    """A plain network (He et al. 2015, Figure 3, middle): the residual one without shortcuts."""
    net = Builder(name, (3, 224, 224))
    x = imagenet_stem(net, net.input)
    for at, width, stride in stages(BLOCKS[name], 64):
        x = _conv_bn(net, x, at, "1", width, 3, stride)
        x = net(f"{at}.relu1", Relu(), x)
        x = _conv_bn(net, x, at, "2", width, 3)
        x = net(f"{at}.relu2", Relu(), x)
    pooled_head(net, x, 1000)
    return net.graph()


def resnet(name: str) -> Graph:
    """ResNet-18 or -34 (He et al. 2015, Table 1) with projections where widths grow (option B)."""
    net = Builder(name, (3, 224, 224))
    x = imagenet_stem(net, net.input)
    for at, width, stride in stages(BLOCKS[name], 64):
        x = _basic(net, x, at, width, stride)
    pooled_head(net, x, 1000)
    return net.graph()


def bottleneck_resnet(name: str) -> Graph:
    """ResNet-50, -101 or -152 (He et al. 2015, Table 1): option B, stride in the first 1x1.

    ResNet-50 v1.5, as torchvision and most trained weights have it, strides in the 3x3.
    """
    net = Builder(name, (3, 224, 224))
    style = Bottleneck(stride_in_3x3=name == "resnet50_v1_5")
    pooled_head(net, bottlenecks(net, net.input, BLOCKS[name], style), 1000)
    return net.graph()


def bottlenecks(net: Builder, x: str, depths: tuple[int, ...], style: Bottleneck) -> str:
    """The stem and the stages of a bottleneck network, without its head."""
    x = imagenet_stem(net, x, norm=style.norm, bias=style.bias)
    for at, width, stride in stages(depths, 64):
        x = _bottleneck(net, x, at, width, stride, style)
    return x


def cifar_resnet(name: str) -> Graph:
    """A residual network for 32x32 images (He et al. 2015, section 4.2), option A shortcuts."""
    net = Builder(name, (3, 32, 32))
    x = cifar_stem(net, net.input)
    for at, width, stride in stages((CIFAR_BLOCKS[name],) * 3, 16):
        x = _basic(net, x, at, width, stride, project=False)
    pooled_head(net, x, 10)
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
    if project:
        shortcut = _projection(net, x, at, width, stride, Bottleneck())
    else:
        shortcut = _padding(net, x, at, width, stride)
    y = net(f"{at}.sum", Add(), y, shortcut)
    return net(f"{at}.relu2", Relu(), y)


def _bottleneck(net: Builder, x: str, at: str, base: int, stride: int, style: Bottleneck) -> str:
    """1x1, 3x3 and 1x1 convolutions and a shortcut (Figure 5, right)."""
    width, wide = base * style.width // 64, 4 * base
    first, second = (1, stride) if style.stride_in_3x3 else (stride, 1)
    y = net.chain(
        x,
        (f"{at}.conv1", Conv(width, 1, stride=first, bias=style.bias)),
        (f"{at}.bn1", style.norm),
        (f"{at}.relu1", Relu()),
        (
            f"{at}.conv2",
            Conv(width, 3, stride=second, padding=1, groups=style.groups, bias=style.bias),
        ),
        (f"{at}.bn2", style.norm),
        (f"{at}.relu2", Relu()),
        (f"{at}.conv3", Conv(wide, 1, bias=style.bias)),
        (f"{at}.bn3", style.norm),
    )
    y = net(f"{at}.sum", Add(), y, _projection(net, x, at, wide, stride, style))
    return net(f"{at}.relu3", Relu(), y)


def _projection(net: Builder, x: str, at: str, width: int, stride: int, style: Bottleneck) -> str:
    """The identity, or a 1x1 convolution where the width or the size changes (option B)."""
    if net.shape(x)[0] == width and stride == 1:
        return x
    return net.chain(
        x,
        (f"{at}.shortcut.conv", Conv(width, 1, stride=stride, bias=style.bias)),
        (f"{at}.shortcut.bn", style.norm),
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
