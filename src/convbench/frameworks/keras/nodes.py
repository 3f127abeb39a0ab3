"""Keras's side of a profile: the layers of a network one by one, on their real inputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeAlias

import keras
import tensorflow as tf

from convbench.frameworks.keras.network import Network
from convbench.frameworks.protocol import NodeStep
from convbench.networks.graph import Node

Runnable: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]


def node_steps(
    network: Network, images: Any, runnable: Runnable, *, training: bool
) -> Iterator[NodeStep]:
    """Each layer, made `runnable` as the mode wants, in order; values are kept until last used.

    In training a step is the layer's forward, and the gradients that the network wants of it.
    """
    graph = network.description
    heads = tuple(head.logits for head in graph.heads)
    nodes = graph.leading_to(heads if training else (graph.output.address,))
    uses = Counter(name for node in nodes for name in node.inputs)
    values: dict[str, Any] = {}
    carried: set[str] = set()
    for node in nodes:
        inputs = [values[name] for name in node.inputs] or [images]
        part = _part(network, node)
        watched = [name in carried for name in node.inputs]
        if training and (any(watched) or part.trainable_variables):
            carried.add(node.address)
            shape = (len(images), *part.output_shape[1:])
            vector = tf.random.normal(shape, dtype=part.output.dtype)
            call, arguments = runnable(_trained(part, watched)), (vector, *inputs)
            values[node.address] = call(*arguments)[0]
        else:
            call, arguments = runnable(_called(part, training=training)), (*inputs,)
            values[node.address] = call(*arguments)
        yield node.address, partial(call, *arguments)
        uses.subtract(node.inputs)
        for name in node.inputs:
            if not uses[name]:
                del values[name]


def _part(network: Network, node: Node) -> keras.Model:
    """What lies between a node's inputs and its output, padding and all."""
    output = network.layer(node.address).output
    inputs = [network.layer(name).output for name in node.inputs]
    return keras.Model(inputs or [output], output)


def _called(part: keras.Model, *, training: bool) -> Callable[..., Any]:
    return lambda *inputs: part([*inputs], training=training)


def _trained(part: keras.Model, watched: list[bool]) -> Callable[..., Any]:
    """Forward and vector-Jacobian product; answers with all of it, so that nothing is left out."""
    variables = [variable.value for variable in part.trainable_variables]

    def step(vector: Any, *inputs: Any) -> Any:
        wanted = [x for x, is_watched in zip(inputs, watched, strict=True) if is_watched]
        with tf.GradientTape() as tape:
            tape.watch(wanted)
            answer = part([*inputs], training=True)
        return answer, tape.gradient(answer, [*wanted, *variables], output_gradients=vector)

    return step
