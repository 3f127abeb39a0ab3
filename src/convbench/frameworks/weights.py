"""Values for weights and inputs: the same in every framework, cheap to make, ordinary to compute.

Timing needs numbers that keep activations near 1 in every layer: no zeros, denormals or
infinities, whose speed is not the network's. Each array is cut from one block of random numbers,
so that filling a model costs memory bandwidth, not a random generator.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from math import prod, sqrt
from typing import Any, TypeAlias

import numpy as np

from convbench.networks.graph import Graph, Node
from convbench.networks.ops import (
    Add,
    BatchNorm,
    Concat,
    Conv,
    Dense,
    Multiply,
    Rbf,
    Relu,
    Relu6,
    Scale,
    Silu,
    Subsample,
    TableConv,
)

_BLOCK = 1 << 20

Values: TypeAlias = Callable[[str, tuple[int, ...]], np.ndarray[Any, Any]]
Images: TypeAlias = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]
"""Images and their labels."""


def filler(graph: Graph, seed: int) -> Values:
    """A function from `address/parameter` and shape to float32 values.

    Weights are scaled by fan-in as He et al. 2015 (arXiv 1502.01852) do, and by what comes in;
    running variances are the ones that such weights lead to, so that inference behaves like a
    trained network however deep it is.
    """
    block = np.random.default_rng(seed).standard_normal(_BLOCK, dtype=np.float32)
    block[block == 0] = 1  # about one seed in eight draws a zero
    power = _second_moments(graph)

    def values(key: str, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
        address, _, name = key.rpartition("/")
        node = graph[address]
        if isinstance(node.op, Rbf):
            return np.asarray(node.op.codes, dtype=np.float32)
        start = zlib.crc32(key.encode()) % _BLOCK
        noise = np.resize(np.roll(block, -start), prod(shape)).reshape(shape)
        mean, deviation = _distribution(node, name, shape, power)
        noise *= np.float32(deviation)
        noise += np.float32(mean)
        return noise

    return values


def batch(graph: Graph, size: int, seed: int) -> Images:
    """Images `(N, C, H, W)`, float32 of mean 0 and deviation 1, and one integer label each."""
    random = np.random.default_rng(seed)
    images = random.standard_normal((size, *graph.input), dtype=np.float32)
    classes = 2 if graph.loss == "binary_cross_entropy" else prod(graph.output.output)
    return images, random.integers(classes, size=size, dtype=np.int64)


def moved(values: Values, images: Images, share: float) -> tuple[Values, Images]:
    """Weights and images of which each value is moved by `share` of itself, up or down by chance.

    By the unit roundoff of a precision that is the most that one rounding does to each. In double
    precision, where what it leads to is not rounded again.
    """

    def move(array: np.ndarray[Any, Any], key: str) -> np.ndarray[Any, Any]:
        random = np.random.default_rng(zlib.crc32(key.encode()))
        up: np.ndarray[Any, Any] = random.integers(2, size=array.shape, dtype=np.int8)
        return array * (1.0 + share * (2.0 * up - 1.0))

    pixels, labels = images
    return (lambda key, shape: move(values(key, shape), key)), (move(pixels, "images"), labels)


def _distribution(
    node: Node, name: str, shape: tuple[int, ...], power: dict[str, float]
) -> tuple[float, float]:
    """Mean and standard deviation of one array's values."""
    match node.op, name:
        case BatchNorm(), "weight":
            return 1.0, 0.1
        case BatchNorm(), "running_var":
            return power[node.inputs[0]], 0.05 * power[node.inputs[0]]
        case Subsample(), "weight":
            return 0.25, 0.01  # near the mean of four inputs
        case Conv() | Dense(), "weight":
            return 0.0, sqrt(2 / prod(shape[1:]) / power[node.inputs[0]])
        case TableConv(table=table), "weight":
            return 0.0, sqrt(2 * len(table) / prod(shape) / power[node.inputs[0]])
        case _:
            return 0.0, 0.1


def _second_moments(graph: Graph) -> dict[str, float]:
    """Expected mean square of what leaves each node, given the weights of `_distribution`."""
    power: dict[str, float] = {}
    for node in graph:
        before = [power[name] for name in node.inputs]
        match node.op:
            case Conv() | TableConv() | Dense():
                power[node.address] = 2.0
            case Relu() if isinstance(graph[node.inputs[0]].op, Add):
                # A sum with what has been a ReLU is positive for the most part. Too much here
                # is safe; too little would be raised to the power of the number of blocks.
                power[node.address] = before[0]
            case Relu() | Relu6() | Silu():
                power[node.address] = before[0] / 2
            case Add():
                power[node.address] = sum(before)
            case Concat():
                widths = [graph[name].output[0] for name in node.inputs]
                total = sum(w * p for w, p in zip(widths, before, strict=True))
                power[node.address] = total / sum(widths)
            case Scale(factor=factor):
                power[node.address] = before[0] * factor**2
            case Multiply():
                power[node.address] = before[0] / 4  # by a sigmoid, near a half
            case _ if not before or isinstance(node.op, BatchNorm):
                power[node.address] = 1.0
            case _:
                power[node.address] = before[0]
    return power
