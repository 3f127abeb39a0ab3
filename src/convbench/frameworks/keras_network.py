"""A Keras model that knows the description it came from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf
from attrs import frozen

from convbench.frameworks import Array
from convbench.frameworks.channels_last import image_before, to_canonical
from convbench.graph import Graph, Node

_CANONICAL = {
    "kernel": "weight",
    "gamma": "weight",
    "bias": "bias",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


@frozen
class Network:
    """A compiled network that knows the description it came from."""

    native: keras.Model
    description: Graph
    mode: str

    def runnable(self, step: Callable[..., Any]) -> Callable[..., Any]:
        """A step as the mode runs it: as TensorFlow's graph, through XLA, or from Python."""
        if self.mode == "eager":
            return step
        jit = True if self.mode == "compiled" else None
        runnable: Callable[..., Any] = tf.function(step, autograph=False, jit_compile=jit)
        return runnable

    def arrays(self) -> Iterator[tuple[Node, str, keras.Variable]]:
        """Each node with each of its arrays and the array's canonical name."""
        for node in self.description:
            for variable in self.native.get_layer(node.address).variables:
                if variable.name in _CANONICAL:  # a dropout's seed is not a value of the network
                    yield node, _CANONICAL[variable.name], variable

    def canonical(self, node: Node, values: Array) -> Array:
        """An array of a node, or its gradient, in PyTorch's layout."""
        return to_canonical(node, values, image_before(self.description, node))
