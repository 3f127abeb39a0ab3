"""Small networks that go through every op, and through every awkward corner of the compilers."""

from functools import partial

from attrs import evolve

from convbench.networks.builder import Builder
from convbench.networks.graph import Graph
from convbench.networks.ops import (
    Add,
    AvgPool,
    BatchNorm,
    Concat,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Lrn,
    MaxPool,
    Multiply,
    Pad,
    PadChannels,
    Rbf,
    Relu,
    Relu6,
    Scale,
    ScaledTanh,
    Sigmoid,
    Silu,
    Softmax,
    Subsample,
    TableConv,
    Upsample,
)
from convbench.networks.zoo.classic.digits import CODES
from convbench.networks.zoo.names import architecture

NORM = BatchNorm(eps=1e-3, decay=0.9)


def one_sided_padding() -> Graph:
    net = Builder("one_sided_padding", (3, 9, 12))
    x = net("conv1", Conv(4, 3, stride=2, padding=(0, 1, 2, 0)), net.input)
    x = net("pool1", MaxPool(2, stride=1, padding=(1, 0, 0, 1)), x)  # negative values stay
    x = net.chain(x, ("flatten", Flatten()), ("fc", Dense(5)), ("softmax", Softmax()))
    return net.graph()


def last_windows() -> Graph:
    net = Builder("last_windows", (2, 10, 7))
    x = net("conv1", Conv(4, 3, padding=1), net.input)
    x = net("pool1", MaxPool(3, stride=2, padding=net.ceil(x, 3, 2)), x)
    x = net("pool2", MaxPool(3, stride=2, padding=1), x)
    net.chain(x, ("flatten", Flatten()), ("fc", Dense(3)), ("softmax", Softmax()))
    return net.graph()


def groups_and_rectangles() -> Graph:
    net = Builder("groups_and_rectangles", (4, 6, 8))
    x = net("conv1", Conv(8, (1, 3), padding=(0, 1), groups=2, bias=False), net.input)
    x = net("conv2", Conv(6, (3, 1), stride=(2, 1), padding=(1, 0)), x)
    net.chain(x, ("flatten", Flatten()), ("fc", Dense(3, bias=False)), ("softmax", Softmax()))
    return net.graph()


def towers() -> Graph:
    """AlexNet's two towers, and ResNeXt's many: few and many groups, strides, odd padding."""
    net = Builder("towers", (3, 67, 67))
    x = net.chain(
        net.input,
        ("conv1", Conv(96, 11, stride=4)),
        ("relu1", Relu()),
        ("norm1", Lrn(size=5, k=2.0, alpha=1e-4, beta=0.75)),
        ("pool1", MaxPool(3, stride=2)),
        ("conv2", Conv(256, 5, padding=2, groups=2)),
        ("relu2", Relu()),
        ("conv3", Conv(64, 3, stride=2, padding=(0, 1, 0, 1), groups=32, bias=False)),
        ("bn3", NORM),
        ("depthwise", Conv(64, 3, padding=1, groups=64)),
        ("conv4", Conv(32, 1, groups=4)),
        ("pool4", GlobalAvgPool()),
    )
    net.chain(x, ("flatten", Flatten()), ("fc", Dense(5)), ("softmax", Softmax()))
    return net.graph()


def shortcuts() -> Graph:
    net = Builder("shortcuts", (3, 8, 8))
    x = net.chain(net.input, ("conv1", Conv(4, 3, padding=1, bias=False)), ("bn1", NORM))
    y = net("branch.conv", Conv(6, 3, stride=2, padding=1), x)
    z = net.chain(x, ("short.sub", MaxPool(1, stride=2)), ("short.pad", PadChannels(2)))
    x = net.chain(net("sum", Add(), y, z), ("relu", Relu()), ("pool", GlobalAvgPool()))
    net.chain(x, ("flatten", Flatten()), ("fc", Dense(3)), ("softmax", Softmax()))
    return net.graph()


def flattened_image_normalized() -> Graph:
    net = Builder("flattened_image_normalized", (3, 4, 5))
    net.chain(
        net.input,
        ("conv1", Conv(2, 3)),
        ("flatten", Flatten()),
        ("bn", NORM),
        ("dropout", Dropout(0.5)),
        ("fc", Dense(12)),  # as wide as the image before: its bias must not be reordered
        ("fc2", Dense(1)),
        ("sigmoid", Sigmoid()),
    )
    return net.graph()


def lenet_parts() -> Graph:
    net = Builder("lenet_parts", (3, 10, 10))
    net.chain(
        net.input,
        ("c", TableConv(((0, 1), (1, 2), (0, 1, 2), (2,)), 3)),
        ("squash", ScaledTanh(amplitude=1.7159, slope=2 / 3)),
        ("s", Subsample(2)),
        ("norm", Lrn(size=3, k=2.0, alpha=0.5, beta=0.75)),
        ("flatten", Flatten()),
        ("f", Dense(84)),
        ("rbf", Rbf(CODES)),
    )
    return net.graph()


def squeeze_and_excitation() -> Graph:
    net = Builder("squeeze_and_excitation", (3, 8, 8))
    x = net.chain(
        net.input,
        ("stem", Conv(4, 3, padding=1, bias=False)),
        ("norm", BatchNorm(eps=1e-3, decay=0.9, scale=False)),
        ("silu", Silu()),
        ("depthwise", Conv(8, 3, stride=2, padding=(0, 1, 0, 1), groups=4)),
        ("relu6", Relu6()),
    )
    gate = net.chain(
        x, ("se.pool", GlobalAvgPool()), ("se.conv", Conv(8, 1)), ("se.gate", Sigmoid())
    )
    x = net.chain(net("excite", Multiply(), x, gate), ("up", Upsample(3)), ("scaled", Scale(0.3)))
    net.chain(x, ("flatten", Flatten()), ("fc", Dense(3)), ("softmax", Softmax()))
    return net.graph()


def branches_and_pools() -> Graph:
    net = Builder("branches_and_pools", (3, 9, 7))
    same = AvgPool(3, stride=1, padding=1, count_padding=False)
    ends = AvgPool(3, stride=2, padding=(0, 1, 1, 0), count_padding=False)
    zeros = AvgPool(3, stride=2, padding=(1, 0, 0, 1), count_padding=True)
    x = net("concat", Concat(), net("same", same, net.input), net.input)
    y = net("shifted", Pad((-1, 1, -1, 1)), x)
    x = net("both", Concat(), net("a", ends, y), net("b", zeros, x))
    x = net("uneven", AvgPool(3, stride=2, padding=(0, 1, 1, 1), count_padding=False), x)
    net.chain(x, ("flatten", Flatten()), ("fc", Dense(4)), ("softmax", Softmax()))
    return net.graph()


def pooled_logits() -> Graph:
    """As in SqueezeNet: what enters the softmax is a view of what was pooled."""
    net = Builder("pooled_logits", (3, 6, 6))
    x = net.chain(net.input, ("conv", Conv(5, 3)), ("relu", Relu()), ("pool", GlobalAvgPool()))
    net.chain(x, ("flatten", Flatten()), ("softmax", Softmax()))
    return net.graph()


def two_heads() -> Graph:
    net = Builder("two_heads", (3, 6, 6))
    x = net.chain(net.input, ("conv", Conv(4, 3)), ("relu", Relu()), ("flatten", Flatten()))
    net.chain(x, ("aux.fc", Dense(5)), ("aux.softmax", Softmax()))
    net.chain(x, ("hidden", Dense(6)), ("relu2", Relu()), ("fc", Dense(5)), ("softmax", Softmax()))
    return net.graph(auxiliary={"aux.softmax": 0.3})


def frozen_base() -> Graph:
    net = Builder("frozen_base", (3, 8, 8))
    x = net.chain(
        net.input,
        ("base.conv", Conv(4, 3)),
        ("base.bn", NORM),
        ("base.relu", Relu()),
        ("pool", GlobalAvgPool()),
        ("flatten", Flatten()),
    )
    net.freeze("base")
    net.chain(x, ("fc", Dense(3)), ("softmax", Softmax()))
    return net.graph()


GRAPHS = {
    make.__name__: make
    for make in (
        one_sided_padding,
        last_windows,
        groups_and_rectangles,
        towers,
        shortcuts,
        flattened_image_normalized,
        lenet_parts,
        squeeze_and_excitation,
        branches_and_pools,
        pooled_logits,
        two_heads,
        frozen_base,
    )
} | {
    "resnet20_cifar_keras_3x17x22_7_classes": partial(
        architecture, "resnet20_cifar_keras", input=(3, 17, 22), classes=7
    )
}


def _other(name: str, address: str, **change: object) -> Graph:
    """A network that differs from one of GRAPHS in one layer, and in no count."""
    graph = GRAPHS[name]()
    nodes = tuple(
        evolve(node, op=evolve(node.op, **change)) if node.address == address else node
        for node in graph
    )
    return evolve(graph, nodes=nodes)


OTHERS = {
    "other eps": _other("shortcuts", "bn1", eps=1.1e-3),
    "other decay": _other("shortcuts", "bn1", decay=0.91),
    "other padding": _other("one_sided_padding", "conv1", padding=(1, 0, 0, 2)),
    "padding counted": _other("branches_and_pools", "same", count_padding=True),
    "other factor": _other("squeeze_and_excitation", "scaled", factor=0.31),
}
"""Networks that a framework might build instead; none may pass for the one that was described."""
