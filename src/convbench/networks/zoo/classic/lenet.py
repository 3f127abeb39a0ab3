"""LeNet-1, LeNet-5, and the small Keras network that goes by the name of the latter."""

from __future__ import annotations

from convbench.networks.builder import Builder
from convbench.networks.graph import Graph
from convbench.networks.ops import (
    Conv,
    Dense,
    Flatten,
    MaxPool,
    Rbf,
    Relu,
    ScaledTanh,
    Softmax,
    Subsample,
    TableConv,
)
from convbench.networks.zoo.classic.digits import CODES

C3_TABLE = (  # Table I: the maps of S2 that each of the 16 maps of C3 sees
    *((0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5)),
    *((0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5)),
    *((0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5)),
    (0, 1, 2, 3, 4, 5),
)

H3_TABLE = (  # LeCun et al. 1990, Table 1: the maps of H2 that each of the 12 maps of H3 sees
    *((0,), (0, 1), (0, 1), (1,), (0, 1), (0, 1)),
    *((2,), (2, 3), (2, 3), (3,), (2, 3), (2, 3)),
)

SQUASH = ScaledTanh(amplitude=1.7159, slope=2 / 3)  # equation 6 and appendix A


def lenet1(name: str) -> Graph:
    """LeNet-1 (LeCun et al. 1990, section 3): four hidden layers and ten squashed outputs.

    It is trained on the squared error to +1 for the digit and -1 for the others.
    """
    net = Builder(name, (1, 28, 28))
    net.chain(
        net.input,
        ("h1", Conv(4, 5)),
        ("h1_squash", SQUASH),
        ("h2", Subsample(2)),
        ("h2_squash", SQUASH),
        ("h3", TableConv(H3_TABLE, 5)),
        ("h3_squash", SQUASH),
        ("h4", Subsample(2)),
        ("h4_squash", SQUASH),
        ("flatten", Flatten()),
        ("output", Dense(10)),
        ("output_squash", SQUASH),
    )
    return net.graph()


def lenet5(name: str) -> Graph:
    """LeNet-5 (LeCun et al. 1998, section II.B): seven layers, every one of them squashed to F6.

    The output is the distance to each digit's code: the smallest one wins.
    """
    net = Builder(name, (1, 32, 32))
    x = net.chain(
        net.input,
        ("c1", Conv(6, 5)),
        ("c1_squash", SQUASH),
        ("s2", Subsample(2)),
        ("s2_squash", SQUASH),
        ("c3", TableConv(C3_TABLE, 5)),
        ("c3_squash", SQUASH),
        ("s4", Subsample(2)),
        ("s4_squash", SQUASH),
        ("c5", Conv(120, 5)),
        ("c5_squash", SQUASH),
        ("flatten", Flatten()),
        ("f6", Dense(84)),
        ("f6_squash", SQUASH),
    )
    net("output", Rbf(CODES), x)
    return net.graph()


def lenet5_keras(name: str) -> Graph:
    """The 28x28 ReLU and max-pool network of the notes "CNN Architectures", as coded there."""
    net = Builder(name, (1, 28, 28))
    net.chain(
        net.input,
        ("conv1", Conv(6, 5)),
        ("relu1", Relu()),
        ("pool1", MaxPool(2, stride=2)),
        ("conv2", Conv(16, 5)),
        ("relu2", Relu()),
        ("pool2", MaxPool(2, stride=2)),
        ("flatten", Flatten()),
        ("dense1", Dense(120)),
        ("relu3", Relu()),
        ("dense2", Dense(84)),
        ("relu4", Relu()),
        ("dense3", Dense(10)),
        ("softmax", Softmax()),
    )
    return net.graph()
