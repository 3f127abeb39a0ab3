"""A Keras model that knows the description it came from."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import keras
from attrs import frozen

from convbench.frameworks.keras.layers import Kinds
from convbench.frameworks.keras.layout import image_before, to_canonical
from convbench.frameworks.protocol import Array
from convbench.networks.graph import Graph, Node

_CANONICAL = {
    "kernel": "weight",
    "gamma": "weight",
    "bias": "bias",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


@frozen(slots=False)
class Network:
    """A compiled network that knows the description it came from."""

    native: keras.Model
    description: Graph
    mode: str
    dtype: str
    kinds: Kinds

    def layer(self, address: str) -> keras.layers.Layer:
        """The layer of a node."""
        return self._layers[self.kinds.name(address)]

    @cached_property
    def _layers(self) -> dict[str, keras.layers.Layer]:
        """Each layer under its name: Keras's get_layer looks through all of them at each call."""
        return {layer.name: layer for layer in self.native.layers}

    def arrays(self) -> Iterator[tuple[Node, str, keras.Variable]]:
        """Each node with each of its arrays and the array's canonical name."""
        for node in self.description:
            for variable in self.layer(node.address).variables:
                if variable.name in _CANONICAL:  # a dropout's seed is not a value of the network
                    yield node, _CANONICAL[variable.name], variable

    def canonical(self, node: Node, values: Array) -> Array:
        """An array of a node, or its gradient, in PyTorch's layout."""
        return to_canonical(node, values, image_before(self.description, node))
