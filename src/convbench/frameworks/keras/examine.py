"""Keras's side of parity: everything that a training step computes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import reduce
from operator import add
from typing import Any

import keras
from keras import ops
from keras.src.backend.common import dtypes

from convbench.frameworks.arrays import Keep
from convbench.frameworks.keras.backend import Backend
from convbench.frameworks.keras.layout import image_of, images_first, images_last
from convbench.frameworks.keras.network import Network
from convbench.frameworks.modes import SINGLE
from convbench.frameworks.protocol import EXAMINED_MOMENTUM, EXAMINED_RATE, Array
from convbench.networks.ops import BatchNorm


@contextmanager
def precision(dtype: str, backend: Backend) -> Iterator[None]:
    """Layers, variables and losses made inside are of `dtype`."""
    policy = keras.config.dtype_policy()
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    try:
        with backend.precision(dtype), _promoted(dtype):
            yield
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy(policy)


@contextmanager
def mixed(dtype: str) -> Iterator[None]:
    """Layers made inside compute in `dtype`, if that is a half, and keep their weights single."""
    before = keras.config.dtype_policy()
    if dtype != SINGLE:
        keras.config.set_dtype_policy(f"mixed_{dtype}")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


@contextmanager
def _promoted(dtype: str) -> Iterator[None]:
    """Operations on `dtype` have results of `dtype`.

    Off TensorFlow, Keras would cut every result in double precision to single: it has a table for
    that, with no other way to it than this.
    """
    cut = dtypes.BIT64_TO_BIT32_DTYPE
    before = cut.get(dtype, dtype)
    cut[dtype] = dtype
    try:
        yield
    finally:
        cut[dtype] = before


def examine(
    network: Network,
    backend: Backend,
    loss: Callable[[Any, Any], Any],
    batch: tuple[Array, Array],
    steps: int,
    keep: Keep,
) -> None:
    """Keeps outputs, gradients and statistics of the first step, and the losses of all.

    The whole step runs as the mode runs it, compiled or not, and answers with all of it.
    """
    images = ops.convert_to_tensor(images_last(batch[0]), keras.config.floatx())
    labels = ops.convert_to_tensor(batch[1])
    trained = _training_model(network)
    variables = trained.trainable_variables
    optimizer = keras.optimizers.SGD(EXAMINED_RATE, momentum=EXAMINED_MOMENTUM)
    optimizer.build(variables)
    heads = network.description.heads

    def total(labels: Any, outputs: dict[str, Any]) -> Any:
        return reduce(add, [h.weight * loss(labels, outputs[h.logits]) for h in heads])

    train = backend.training(trained, total, optimizer, lambda *all_: all_, network.mode)
    for step in range(steps):
        value, gradients, outputs = train(images, labels)
        keep("loss", str(step), _array(value))
        if step == 0:
            found = dict(zip(map(id, variables), gradients, strict=True))
            _keep_first(network, outputs, found, keep)


def _training_model(network: Network) -> keras.Model:
    """The network with every node's output, under its address, and without dropout."""
    outputs = {}
    for node in network.description.nodes[1:]:
        layer = network.layer(node.address)
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
        outputs[node.address] = layer.output
    return keras.Model(network.native.input, outputs)


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
    narrow = keras.backend.standardize_dtype(values.dtype) == "bfloat16"
    array: Array = ops.convert_to_numpy(ops.cast(values, "float32") if narrow else values)
    return array
