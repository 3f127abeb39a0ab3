"""Keras's side of parity: everything that a training step computes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
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

    The whole step runs as the mode runs it, compiled or not, and answers with all of it.
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

    def train(images: Any, labels: Any) -> Any:
        with tf.GradientTape() as tape:
            outputs = trained(images, training=True)
            losses = [head.weight * loss(labels, outputs[head.logits]) for head in heads]
            value = tf.add_n(losses)
        gradients = tape.gradient(value, [v.value for v in variables])
        optimizer.apply(gradients, variables)
        return value, gradients, outputs

    train = network.runnable(train)
    for step in range(steps):
        value, gradients, outputs = train(images, labels)
        keep("loss", str(step), _array(value))
        if step == 0:
            found = dict(zip(map(id, variables), gradients, strict=True))
            _keep_first(network, outputs, found, keep)


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
    for node in graph.nodes[1:]:
        output = _array(outputs[node.address])
        keep("output", node.address, images_first(output, image_of(graph, node)))
    for node, name, variable in network.arrays():
        key = f"{node.address}/{name}"
        if id(variable) in gradients:
            found = gradients[id(variable)]
            assert found is not None, f"{key} takes no part"
            keep("gradient", key, network.canonical(node, _array(found)))
        elif isinstance(node.op, BatchNorm) and name.startswith("running_"):
            keep("statistic", key, network.canonical(node, _array(variable.value)))


def _array(values: Any) -> Array:
    """Values as numpy has them, which knows no bfloat16."""
    known = tf.cast(values, tf.float32) if values.dtype == tf.bfloat16 else values
    array: Array = known.numpy()
    return array
