"""The small convnets of the lectures that convbench was founded on."""

from __future__ import annotations

from convbench.networks.builder import Builder
from convbench.networks.graph import Graph
from convbench.networks.ops import Conv, Dense, Flatten, MaxPool, Relu, Sigmoid, Softmax


def mnist_convnet(name: str) -> Graph:
    """The MNIST network of "Lecture 9: Convolutional Neural Networks" (93,322 parameters)."""
    net = Builder(name, (1, 28, 28))
    x = _convs(net, (32, 64), then=64)
    net.chain(
        x,
        ("flatten", Flatten()),
        ("dense1", Dense(64)),
        ("relu_dense1", Relu()),
        ("dense2", Dense(10)),
        ("softmax", Softmax()),
    )
    return net.graph()


def cats_dogs_convnet(name: str) -> Graph:
    """The cats-and-dogs network of the same lecture (3,453,121 parameters), one sigmoid unit."""
    net = Builder(name, (3, 150, 150))
    x = _convs(net, (32, 64, 128, 128))
    net.chain(
        x,
        ("flatten", Flatten()),
        ("dense1", Dense(512)),
        ("relu_dense1", Relu()),
        ("dense2", Dense(1)),
        ("sigmoid", Sigmoid()),
    )
    return net.graph()


def _convs(net: Builder, pooled: tuple[int, ...], then: int | None = None) -> str:
    """3x3 convolutions without padding, each pooled by 2; a last one is not pooled."""
    x = net.input
    for i, width in enumerate(pooled, start=1):
        x = net.chain(
            x,
            (f"conv{i}", Conv(width, 3)),
            (f"relu{i}", Relu()),
            (f"pool{i}", MaxPool(2, stride=2)),
        )
    if then is not None:
        i = len(pooled) + 1
        x = net.chain(x, (f"conv{i}", Conv(then, 3)), (f"relu{i}", Relu()))
    return x
