"""Keras's side of parity: everything that a training step computes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from convbench.evidence import Keep
from convbench.frameworks import EXAMINED_MOMENTUM, EXAMINED_RATE, Array
from convbench.frameworks.channels_last import image_of, images_first, images_last
from convbench.frameworks.keras_network import Network
from convbench.ops import BatchNorm


@contextmanager
def precision(dtype: str) -> Iterator[None]:
    """Layers, variables and losses made inside are of `dtype`."""
    policy = keras.config.dtype_policy()
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    try:
        yield
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy(policy)


def examine(
    network: Network,
    loss: Callable[[Any, Any], Any],
    batch: tuple[Array, Array],
    steps: int,
    keep: Keep,
) -> None:
    """Keeps outputs, gradients and statistics of the first step, and the losses of all.

    It runs eagerly: what is compared are the layers, not the compiler.
    """
    images, labels = (
        tf.constant(images_last(batch[0]), keras.config.floatx()),
        tf.constant(batch[1]),
    )
    trained = _training_model(network)
    variables = network.native.trainable_variables
    optimizer = keras.optimizers.SGD(EXAMINED_RATE, momentum=EXAMINED_MOMENTUM)
    optimizer.build(variables)
    heads = network.description.heads
    for step in range(steps):
        with tf.GradientTape() as tape:
            outputs = trained(images, training=True)
            losses = [head.weight * loss(labels, outputs[head.logits]) for head in heads]
            value = tf.add_n(losses)
        gradients = tape.gradient(value, [v.value for v in variables])
        keep("loss", str(step), np.asarray(value.numpy()))
        if step == 0:
            _keep_first(
                network, outputs, dict(zip(map(id, variables), gradients, strict=True)), keep
            )
        optimizer.apply(gradients, variables)


def _training_model(network: Network) -> keras.Model:
    """The network with every node's output, under its address, and without dropout."""
    native = network.native
    outputs = {}
    for node in network.description.nodes[1:]:
        layer = native.get_layer(node.address)
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
        outputs[node.address] = layer.output
    return keras.Model(native.input, outputs)


def _keep_first(
    network: Network, outputs: dict[str, Any], gradients: dict[int, Any], keep: Keep
) -> None:
    graph = network.description
    for address, output in outputs.items():
        keep("output", address, images_first(output.numpy(), image_of(graph, graph[address])))
    for node, name, variable in network.arrays():
        key = f"{node.address}/{name}"
        if id(variable) in gradients:
            found = gradients[id(variable)]
            assert found is not None, f"{key} takes no part"
            keep("gradient", key, network.canonical(node, found.numpy()))
        elif isinstance(node.op, BatchNorm) and name.startswith("running_"):
            keep("statistic", key, network.canonical(node, variable.numpy()))
