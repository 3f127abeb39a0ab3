"""Inception-v3: factorized convolutions on grids of 35x35, 17x17 and 8x8."""

from __future__ import annotations

from convbench.networks.builder import Builder
from convbench.networks.graph import Graph
from convbench.networks.ops import AvgPool, BatchNorm, Dense, Flatten, MaxPool, Softmax
from convbench.networks.zoo.blocks import conv_bn_relu, pooled_head
from convbench.networks.zoo.inception.branches import MEAN, Step, branches, chain, conv

NORM = BatchNorm(eps=1e-3, decay=0.9997)  # the authors' release; the paper gives no constants

STEM: tuple[tuple[str, Step], ...] = (  # Szegedy et al. 2015b, Table 1, as it was released
    ("conv1", conv(32, 3, stride=2)),
    ("conv2", conv(32, 3, padding=0)),
    ("conv3", conv(64, 3)),
    ("pool1", MaxPool(3, stride=2)),
    ("conv4", conv(80, 1)),
    ("conv5", conv(192, 3, padding=0)),
    ("pool2", MaxPool(3, stride=2)),
)

AUXILIARY_WEIGHT = 0.4  # of the auxiliary classifier's loss, in the authors' release


def inception_v3(name: str) -> Graph:
    """Inception-v3 (Szegedy et al. 2015b, Table 1, Figures 5 to 7); `_aux` has the side head.

    Widths inside the modules are those of the network that the authors released.
    """
    net = Builder(name, (3, 299, 299))
    auxiliary = name == "inception_v3_aux"
    pooled_head(net, body(net, net.input, NORM, auxiliary=auxiliary), 1000, dropout=0.2)
    return net.graph({"aux.softmax": AUXILIARY_WEIGHT} if auxiliary else None)


def body(net: Builder, x: str, norm: BatchNorm, *, auxiliary: bool = False) -> str:
    """Everything but the pooling and the classifier at the end."""
    for at, step in STEM:
        x = net(at, step, x) if isinstance(step, MaxPool) else _conv(net, x, at, step, norm)
    for letter, pooled in zip("abc", (32, 64, 64), strict=True):
        x = branches(net, x, f"mixed_35{letter}", _grid35(pooled), norm)
    x = branches(net, x, "mixed_17a", REDUCTION_17, norm)
    for letter, width in zip("bcde", (128, 160, 160, 192), strict=True):
        x = branches(net, x, f"mixed_17{letter}", _grid17(width), norm)
    if auxiliary:
        _side_head(net, x, norm)
    x = branches(net, x, "mixed_8a", REDUCTION_8, norm)
    for letter in "bc":
        x = branches(net, x, f"mixed_8{letter}", GRID_8, norm)
    return x


def _conv(net: Builder, x: str, at: str, step: Step, norm: BatchNorm) -> str:
    return chain(net, x, at, (step,), norm)[0]


def _grid35(pooled: int) -> dict[str, tuple[Step, ...]]:
    """Figure 5, whose 5x5 the release kept in one of two branches."""
    return {
        "branch1x1": (conv(64, 1),),
        "branch5x5": (conv(48, 1), conv(64, 5)),
        "branch3x3dbl": (conv(64, 1), conv(96, 3), conv(96, 3)),
        "pool": (MEAN, conv(pooled, 1)),
    }


def _grid17(width: int) -> dict[str, tuple[Step, ...]]:
    """Figure 6 with n = 7."""
    return {
        "branch1x1": (conv(192, 1),),
        "branch7x7": (conv(width, 1), conv(width, (1, 7)), conv(192, (7, 1))),
        "branch7x7dbl": (
            conv(width, 1),
            conv(width, (7, 1)),
            conv(width, (1, 7)),
            conv(width, (7, 1)),
            conv(192, (1, 7)),
        ),
        "pool": (MEAN, conv(192, 1)),
    }


GRID_8: dict[str, tuple[Step, ...]] = {  # Figure 7: the last convolutions stand side by side
    "branch1x1": (conv(320, 1),),
    "branch3x3": (conv(384, 1), (conv(384, (1, 3)), conv(384, (3, 1)))),
    "branch3x3dbl": (conv(448, 1), conv(384, 3), (conv(384, (1, 3)), conv(384, (3, 1)))),
    "pool": (MEAN, conv(192, 1)),
}

REDUCTION_17: dict[str, tuple[Step, ...]] = {  # Figure 10
    "branch3x3": (conv(384, 3, stride=2),),
    "branch3x3dbl": (conv(64, 1), conv(96, 3), conv(96, 3, stride=2)),
    "pool": (MaxPool(3, stride=2),),
}

REDUCTION_8: dict[str, tuple[Step, ...]] = {  # Figure 10, with 7x7 in one branch
    "branch3x3": (conv(192, 1), conv(320, 3, stride=2)),
    "branch7x7": (conv(192, 1), conv(192, (1, 7)), conv(192, (7, 1)), conv(192, 3, stride=2)),
    "pool": (MaxPool(3, stride=2),),
}


def _side_head(net: Builder, x: str, norm: BatchNorm) -> None:
    """Figure 8: 5x5/3 pooling, 128 maps, 768 of 5x5, and the classes."""
    x = net("aux.pool", AvgPool(5, stride=3, count_padding=False), x)
    x = conv_bn_relu(net, x, "aux.conv1", conv(128, 1), norm=norm)
    x = conv_bn_relu(net, x, "aux.conv2", conv(768, 5, padding=0), norm=norm)
    net.chain(x, ("aux.flatten", Flatten()), ("aux.fc", Dense(1000)), ("aux.softmax", Softmax()))
