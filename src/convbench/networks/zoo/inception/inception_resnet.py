"""Inception-ResNet: Inception modules whose sums are added, scaled down, to what came in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from attrs import frozen

from convbench.networks.builder import Builder
from convbench.networks.graph import Graph
from convbench.networks.ops import Add, BatchNorm, Conv, Relu, Scale
from convbench.networks.zoo.blocks import conv_bn_relu, pooled_head
from convbench.networks.zoo.inception.branches import MEAN, Step, branches, chain, conv
from convbench.networks.zoo.inception.inception_v3 import NORM
from convbench.networks.zoo.inception.inception_v4 import HALVED, reduction_a, stem

Described: TypeAlias = Mapping[str, tuple[Step, ...]]

RELEASED = BatchNorm(eps=1e-3, decay=0.9997, scale=False)


@frozen
class Residual:
    """One kind of residual module, how often it stands, and the factor of what it adds.

    The paper picks the factor between 0.1 and 0.3 (section 3.3); the release says which.
    """

    described: Described
    times: int
    factor: float


def inception_resnet_v1(name: str) -> Graph:
    """Inception-ResNet-v1 (Szegedy et al. 2016, Figures 10 to 15) at 299x299."""
    net = Builder(name, (3, 299, 299))
    (x,) = chain(net, net.input, "stem", STEM_V1, NORM)
    x = _modules(net, x, "inception_a", Residual(A_V1, 5, 0.17), NORM)
    x = branches(net, x, "reduction_a", reduction_a(192, 192, 256, 384), NORM)
    x = _modules(net, x, "inception_b", Residual(B_V1, 10, 0.10), NORM)
    x = branches(net, x, "reduction_b", _reduction_b(256, 256, 256), NORM)
    x = _modules(net, x, "inception_c", Residual(C_V1, 5, 0.20), NORM)
    pooled_head(net, x, 1000, dropout=0.2)
    return net.graph()


def inception_resnet_v2(name: str) -> Graph:
    """Inception-ResNet-v2 as the figures have it (Szegedy et al. 2016, Figures 16 to 19)."""
    net = Builder(name, (3, 299, 299))
    x = stem(net, net.input)
    x = _modules(net, x, "inception_a", Residual(A_V2, 5, 0.17), NORM)
    x = branches(net, x, "reduction_a", reduction_a(256, 256, 384, 384), NORM)
    x = _modules(net, x, "inception_b", Residual(B_V2, 10, 0.10), NORM)
    x = branches(net, x, "reduction_b", _reduction_b(288, 288, 320), NORM)
    x = _modules(net, x, "inception_c", Residual(C_V2, 5, 0.20), NORM)
    pooled_head(net, x, 1000, dropout=0.2)
    return net.graph()


def inception_resnet_v2_slim(name: str) -> Graph:
    """Inception-ResNet-v2 as its authors released it: another stem, twice the modules.

    Normalization has no trainable scale, and the last module adds in full and stays linear.
    """
    net = Builder(name, (3, 299, 299))
    (x,) = chain(net, net.input, "stem", STEM_SLIM, RELEASED)
    x = branches(net, x, "mixed_35", MIXED_SLIM, RELEASED)
    x = _modules(net, x, "inception_a", Residual(A_V2, 10, 0.17), RELEASED)
    x = branches(net, x, "reduction_a", reduction_a(256, 256, 384, 384), RELEASED)
    x = _modules(net, x, "inception_b", Residual(B_V2, 20, 0.10), RELEASED)
    x = branches(net, x, "reduction_b", _reduction_b(288, 288, 320), RELEASED)
    x = _modules(net, x, "inception_c", Residual(C_V2, 9, 0.20), RELEASED)
    x = _residual(net, x, "inception_c10", C_V2, None, RELEASED)
    x = conv_bn_relu(net, x, "conv_last", conv(1536, 1), norm=RELEASED)
    pooled_head(net, x, 1000, dropout=0.2)
    return net.graph()


def _modules(net: Builder, x: str, at: str, kind: Residual, norm: BatchNorm) -> str:
    for i in range(1, kind.times + 1):
        x = _residual(net, x, f"{at}{i}", kind.described, kind.factor, norm)
        x = net(f"{at}{i}.relu", Relu(), x)
    return x


def _residual(
    net: Builder, x: str, at: str, described: Described, factor: float | None, norm: BatchNorm
) -> str:
    """Branches, a 1x1 convolution with a bias and nothing after it, and the scaled sum."""
    y = branches(net, x, at, described, norm)
    y = net(f"{at}.linear", Conv(net.shape(x)[0], 1), y)
    y = net(f"{at}.scale", Scale(factor), y) if factor else y
    return net(f"{at}.sum", Add(), x, y)


STEM_V1: tuple[Step, ...] = (  # Figure 14: 299x299 images to 256 maps of 35x35
    conv(32, 3, stride=2),
    conv(32, 3, padding=0),
    conv(64, 3),
    HALVED,
    conv(80, 1),
    conv(192, 3, padding=0),
    conv(256, 3, stride=2),
)

STEM_SLIM: tuple[Step, ...] = (*STEM_V1[:6], HALVED)

MIXED_SLIM: Described = {
    "branch1x1": (conv(96, 1),),
    "branch5x5": (conv(48, 1), conv(64, 5)),
    "branch3x3dbl": (conv(64, 1), conv(96, 3), conv(96, 3)),
    "pool": (MEAN, conv(64, 1)),
}

A_V1: Described = {  # Figure 10
    "branch1x1": (conv(32, 1),),
    "branch3x3": (conv(32, 1), conv(32, 3)),
    "branch3x3dbl": (conv(32, 1), conv(32, 3), conv(32, 3)),
}

B_V1: Described = {  # Figure 11
    "branch1x1": (conv(128, 1),),
    "branch7x7": (conv(128, 1), conv(128, (1, 7)), conv(128, (7, 1))),
}

C_V1: Described = {  # Figure 13
    "branch1x1": (conv(192, 1),),
    "branch3x3": (conv(192, 1), conv(192, (1, 3)), conv(192, (3, 1))),
}

A_V2: Described = {  # Figure 16
    "branch1x1": (conv(32, 1),),
    "branch3x3": (conv(32, 1), conv(32, 3)),
    "branch3x3dbl": (conv(32, 1), conv(48, 3), conv(64, 3)),
}

B_V2: Described = {  # Figure 17
    "branch1x1": (conv(192, 1),),
    "branch7x7": (conv(128, 1), conv(160, (1, 7)), conv(192, (7, 1))),
}

C_V2: Described = {  # Figure 19
    "branch1x1": (conv(192, 1),),
    "branch3x3": (conv(192, 1), conv(224, (1, 3)), conv(256, (3, 1))),
}


def _reduction_b(second: int, third: int, last: int) -> Described:
    """Figures 12 and 18, from 17x17 to 8x8."""
    return {
        "pool": (HALVED,),
        "branch3x3a": (conv(256, 1), conv(384, 3, stride=2)),
        "branch3x3b": (conv(256, 1), conv(second, 3, stride=2)),
        "branch3x3dbl": (conv(256, 1), conv(third, 3), conv(last, 3, stride=2)),
    }
