"""GoogLeNet, and the Inception with batch normalization that followed it."""

from __future__ import annotations

from convbench.networks.builder import Builder
from convbench.networks.graph import Graph
from convbench.networks.ops import (
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
from convbench.networks.zoo.blocks import (
    batch_norm,
    ceil_pool,
    conv_bn_relu,
    conv_relu,
    pooled_head,
)
from convbench.networks.zoo.inception.branches import MAXIMUM, MEAN, Step, branches, conv

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
    x = net("norm1", NORM, ceil_pool(net, x, "pool1"))
    x = conv_relu(net, x, "2_reduce", 64, 1)
    x = conv_relu(net, x, "2", 192, 3, padding=1)
    x = ceil_pool(net, net("norm2", NORM, x), "pool2")
    for part, widths in GOOGLENET.items():
        if part in ("4a", "5a"):
            x = ceil_pool(net, x, f"pool{int(part[0]) - 1}")
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


BN_INCEPTION = {  # Ioffe and Szegedy 2015, Figure 5: 1x1, 3x3 reduce, 3x3, double 3x3 reduce,
    # double 3x3, pool projection. 4c and 4d print 128 for the last, which their 576 maps refute.
    "3a": (64, 64, 64, 64, 96, 32),
    "3b": (64, 64, 96, 64, 96, 64),
    "3c": (0, 128, 160, 64, 96, 0),
    "4a": (224, 64, 96, 96, 128, 128),
    "4b": (192, 96, 128, 96, 128, 128),
    "4c": (160, 128, 160, 128, 160, 96),
    "4d": (96, 128, 192, 160, 192, 96),
    "4e": (0, 128, 192, 192, 256, 0),
    "5a": (352, 192, 320, 160, 224, 128),
    "5b": (352, 192, 320, 192, 224, 128),
}


def bn_inception(name: str) -> Graph:
    """BN-Inception (Ioffe and Szegedy 2015, Figure 5), whose first convolution is separable.

    It has a depth multiplier of 8 (section 4.2.1, footnote of the figure).
    """
    net = Builder(name, (3, 224, 224))
    x = net("conv1.dw", Conv(24, 7, stride=2, padding=3, groups=3, bias=False), net.input)
    x = conv_bn_relu(net, x, "conv1", conv(64, 1))
    x = ceil_pool(net, x, "pool1")
    x = conv_bn_relu(net, x, "conv2_reduce", conv(64, 1))
    x = conv_bn_relu(net, x, "conv2", conv(192, 3))
    x = ceil_pool(net, x, "pool2")
    for part, widths in BN_INCEPTION.items():
        described = _bn_module(net, x, widths, MAXIMUM if part == "5b" else MEAN)
        x = branches(net, x, f"inception_{part}", described, batch_norm())
    pooled_head(net, x, 1000)
    return net.graph()


def _bn_module(
    net: Builder, x: str, widths: tuple[int, ...], pool: AvgPool | MaxPool
) -> dict[str, tuple[Step, ...]]:
    """Four branches; where the image is halved, two, and the maxima of what comes in."""
    one, reduce3, three, reduce5, five, proj = widths
    if not one:
        return {
            "branch3x3": (conv(reduce3, 1), conv(three, 3, stride=2, padding=1)),
            "branch3x3dbl": (
                conv(reduce5, 1),
                conv(five, 3),
                conv(five, 3, stride=2, padding=1),
            ),
            "pool": (MaxPool(3, stride=2, padding=net.ceil(x, 3, 2)),),
        }
    return {
        "branch1x1": (conv(one, 1),),
        "branch3x3": (conv(reduce3, 1), conv(three, 3)),
        "branch3x3dbl": (conv(reduce5, 1), conv(five, 3), conv(five, 3)),
        "pool": (pool, conv(proj, 1)),
    }
