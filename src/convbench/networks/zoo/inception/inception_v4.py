"""Inception-v4: the same three grids, with one stem and modules that are all alike."""

from __future__ import annotations

from convbench.networks.builder import Builder
from convbench.networks.graph import Graph
from convbench.networks.ops import MaxPool
from convbench.networks.zoo.blocks import pooled_head
from convbench.networks.zoo.inception.branches import MEAN, Step, branches, chain, conv
from convbench.networks.zoo.inception.inception_v3 import NORM

HALVED = MaxPool(3, stride=2)


def inception_v4(name: str) -> Graph:
    """Inception-v4 (Szegedy et al. 2016, Figure 9) at 299x299."""
    net = Builder(name, (3, 299, 299))
    x = stem(net, net.input)
    for i in range(1, 5):
        x = branches(net, x, f"inception_a{i}", INCEPTION_A, NORM)
    x = branches(net, x, "reduction_a", reduction_a(192, 224, 256, 384), NORM)
    for i in range(1, 8):
        x = branches(net, x, f"inception_b{i}", INCEPTION_B, NORM)
    x = branches(net, x, "reduction_b", REDUCTION_B, NORM)
    for i in range(1, 4):
        x = branches(net, x, f"inception_c{i}", INCEPTION_C, NORM)
    pooled_head(net, x, 1000, dropout=0.2)
    return net.graph()


def stem(net: Builder, x: str) -> str:
    """Figure 3: 299x299 images to 384 maps of 35x35; Inception-ResNet-v2 has it too."""
    (x,) = chain(
        net, x, "stem.conv", (conv(32, 3, stride=2), conv(32, 3, padding=0), conv(64, 3)), NORM
    )
    x = branches(
        net, x, "stem.mixed_73", {"pool": (HALVED,), "conv": (conv(96, 3, stride=2),)}, NORM
    )
    x = branches(
        net,
        x,
        "stem.mixed_71",
        {
            "branch3x3": (conv(64, 1), conv(96, 3, padding=0)),
            "branch7x7": (
                conv(64, 1),
                conv(64, (7, 1)),
                conv(64, (1, 7)),
                conv(96, 3, padding=0),
            ),
        },
        NORM,
    )
    return branches(
        net, x, "stem.mixed_35", {"conv": (conv(192, 3, stride=2),), "pool": (HALVED,)}, NORM
    )


INCEPTION_A: dict[str, tuple[Step, ...]] = {  # Figure 4
    "pool": (MEAN, conv(96, 1)),
    "branch1x1": (conv(96, 1),),
    "branch3x3": (conv(64, 1), conv(96, 3)),
    "branch3x3dbl": (conv(64, 1), conv(96, 3), conv(96, 3)),
}

INCEPTION_B: dict[str, tuple[Step, ...]] = {  # Figure 5
    "pool": (MEAN, conv(128, 1)),
    "branch1x1": (conv(384, 1),),
    "branch7x7": (conv(192, 1), conv(224, (1, 7)), conv(256, (7, 1))),
    "branch7x7dbl": (
        conv(192, 1),
        conv(192, (1, 7)),
        conv(224, (7, 1)),
        conv(224, (1, 7)),
        conv(256, (7, 1)),
    ),
}

INCEPTION_C: dict[str, tuple[Step, ...]] = {  # Figure 6
    "pool": (MEAN, conv(256, 1)),
    "branch1x1": (conv(256, 1),),
    "branch3x3": (conv(384, 1), (conv(256, (1, 3)), conv(256, (3, 1)))),
    "branch3x3dbl": (
        conv(384, 1),
        conv(448, (1, 3)),
        conv(512, (3, 1)),
        (conv(256, (3, 1)), conv(256, (1, 3))),
    ),
}


def reduction_a(k: int, l: int, m: int, n: int) -> dict[str, tuple[Step, ...]]:  # noqa: E741
    """Figure 7, from 35x35 to 17x17; Table 1 has the letters' values for three networks."""
    return {
        "pool": (HALVED,),
        "branch3x3": (conv(n, 3, stride=2),),
        "branch3x3dbl": (conv(k, 1), conv(l, 3), conv(m, 3, stride=2)),
    }


REDUCTION_B: dict[str, tuple[Step, ...]] = {  # Figure 8, from 17x17 to 8x8
    "pool": (HALVED,),
    "branch3x3": (conv(192, 1), conv(192, 3, stride=2)),
    "branch7x7": (conv(256, 1), conv(256, (1, 7)), conv(320, (7, 1)), conv(320, 3, stride=2)),
}
