"""Values for weights and inputs: the same in every framework, cheap to make, ordinary to compute.

Timing needs numbers that keep activations near 1 in every layer: no zeros, denormals or
infinities, whose speed is not the network's. Each array is cut from one block of random numbers,
so that filling a model costs memory bandwidth, not a random generator.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from math import prod
from typing import Any, TypeAlias

import numpy as np

from convbench.networks.graph import Graph
from convbench.networks.layer_facts import facts
from convbench.networks.layer_row import Incoming

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
        owned = facts(node.op).arrays
        assert owned is not None, f"{address} owns no {name}"
        if owned.codes:
            return np.asarray(owned.codes(node.op), dtype=np.float32)
        start = zlib.crc32(key.encode()) % _BLOCK
        noise = np.resize(np.roll(block, -start), prod(shape)).reshape(shape)
        mean, deviation = owned.draws[name](node.op, shape, power[node.inputs[0]])
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


def _second_moments(graph: Graph) -> dict[str, float]:
    """Expected mean square of what leaves each node, given how weights are drawn."""
    power: dict[str, float] = {}
    for node in graph:
        before = tuple(
            Incoming(graph[name].op, graph[name].output, power[name]) for name in node.inputs
        )
        power[node.address] = facts(node.op).power(node.op, before)
    return power
