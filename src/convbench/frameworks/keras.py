"""Keras 3 on TensorFlow: graphs become functional models with one named layer per node.

Images are channels last. What that moves about (kernels, the order in which Flatten reads) is
paid for once, when weights are loaded, and never at run time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any, assert_never

import keras
import numpy as np
import tensorflow as tf
from attrs import frozen
from keras import layers

from convbench.errors import FrameworkMissing, Unsupported
from convbench.frameworks import Array, DeviceMemory, Pass
from convbench.frameworks.channels_last import (
    canonical_shape,
    from_canonical,
    image_before,
    images_last,
    shape_first,
    to_canonical,
)
from convbench.graph import Graph, Loss, Node
from convbench.observation import Observation, ObservedNode, ObservedTensor
from convbench.ops import (
    Add,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Input,
    Lrn,
    MaxPool,
    PadChannels,
    Padding,
    Rbf,
    Relu,
    ScaledTanh,
    Sigmoid,
    Softmax,
    Subsample,
    TableConv,
    same,
)

LEARNING_RATE = 1e-3
MOMENTUM = 0.9

_CANONICAL = {
    "kernel": "weight",
    "gamma": "weight",
    "bias": "bias",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


class _TableConv2D(layers.Layer):  # type: ignore[misc]  # keras is untyped
    """LeNet-5's C3: only the connections of the table have weights."""

    def __init__(self, op: TableConv, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.op, self.kernel_size, self.strides = op, op.kernel, (1, 1)

    def build(self, shape: tuple[int | None, ...]) -> None:
        maps_out = len(self.op.table)
        pairs = [(c, out) for out, maps in enumerate(self.op.table) for c in maps]
        self.index = [[c * maps_out + out] for c, out in pairs]
        self.flat = (int(shape[-1] or 0) * maps_out, *self.op.kernel)
        self.kernel = self.add_weight((len(pairs), *self.op.kernel), "zeros", name="kernel")
        self.bias = self.add_weight((maps_out,), "zeros", name="bias")

    def call(self, x: Any) -> Any:
        dense = tf.scatter_nd(self.index, tf.convert_to_tensor(self.kernel), self.flat)
        dense = tf.transpose(dense, (1, 2, 0))
        dense = tf.reshape(dense, (*self.op.kernel, -1, len(self.op.table)))
        return tf.nn.bias_add(tf.nn.conv2d(x, dense, 1, "VALID"), self.bias)


class _Subsample(layers.Layer):  # type: ignore[misc]
    """LeNet-5's S2 and S4: the sum of a window times a coefficient plus a bias, per map."""

    def __init__(self, op: Subsample, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kernel_size = self.strides = op.kernel

    def build(self, shape: tuple[int | None, ...]) -> None:
        self.kernel = self.add_weight((shape[-1],), "zeros", name="kernel")
        self.bias = self.add_weight((shape[-1],), "zeros", name="bias")

    def call(self, x: Any) -> Any:
        mean = tf.nn.avg_pool2d(x, self.kernel_size, self.strides, "VALID")
        return mean * (self.kernel_size[0] * self.kernel_size[1]) * self.kernel + self.bias


class _Rbf(layers.Layer):  # type: ignore[misc]
    """Squared distances to fixed codes."""

    def __init__(self, op: Rbf, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.codes = len(op.codes)

    def build(self, shape: tuple[int | None, ...]) -> None:
        size = (self.codes, shape[-1])
        self.kernel = self.add_weight(size, "zeros", name="kernel", trainable=False)

    def call(self, x: Any) -> Any:
        return tf.reduce_sum(tf.square(x[:, None, :] - self.kernel), -1)


class _ScaledTanh(layers.Layer):  # type: ignore[misc]
    def __init__(self, op: ScaledTanh, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.amplitude, self.slope = op.amplitude, op.slope

    def call(self, x: Any) -> Any:
        return self.amplitude * tf.tanh(self.slope * x)


class _Lrn(layers.Layer):  # type: ignore[misc]
    """Local response normalization, which Keras 3 lacks; TensorFlow's sum is not a mean."""

    def __init__(self, op: Lrn, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.op = op

    def call(self, x: Any) -> Any:
        op = self.op
        return tf.nn.local_response_normalization(x, op.size // 2, op.k, op.alpha, op.beta)


class _Pad(layers.Layer):  # type: ignore[misc]
    """Padding of the image, or of the channels, with one value."""

    def __init__(self, sides: Padding, channels: int, value: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        top, bottom, left, right = sides
        self.paddings, self.value = ((0, 0), (top, bottom), (left, right), (0, channels)), value

    def call(self, x: Any) -> Any:
        return tf.pad(x, self.paddings, constant_values=tf.cast(self.value, x.dtype))


def _layer(node: Node) -> layers.Layer:
    """The layer of a node, for an input that is padded where `_padding_mode` says explicit."""
    name = node.address
    match node.op:
        case Input(shape=(c, h, w)):
            return layers.InputLayer((h, w, c), name=name)
        case Conv(channels=channels, kernel=kernel, stride=stride, groups=groups, bias=bias):
            return layers.Conv2D(
                channels, kernel, stride, groups=groups, use_bias=bias, name=name, **_ZEROS
            )
        case TableConv() as op:
            return _TableConv2D(op, name=name)
        case Dense(features=features, bias=bias):
            return layers.Dense(features, use_bias=bias, name=name, **_ZEROS)
        case Rbf() as op:
            return _Rbf(op, name=name)
        case MaxPool(kernel=kernel, stride=stride):
            return layers.MaxPooling2D(kernel, stride, name=name)
        case Subsample() as op:
            return _Subsample(op, name=name)
        case GlobalAvgPool():
            return layers.GlobalAveragePooling2D(keepdims=True, name=name)
        case BatchNorm(eps=eps, decay=decay):
            return layers.BatchNormalization(momentum=decay, epsilon=eps, name=name)
        case Lrn() as op:
            return _Lrn(op, name=name)
        case Relu():
            return layers.ReLU(name=name)
        case Sigmoid():
            return layers.Activation("sigmoid", name=name)
        case ScaledTanh() as op:
            return _ScaledTanh(op, name=name)
        case Softmax():
            return layers.Softmax(name=name)
        case Dropout(rate=rate):
            return layers.Dropout(rate, name=name)
        case Flatten():
            return layers.Flatten(name=name)
        case Add():
            return layers.Add(name=name)
        case PadChannels(extra=extra):
            return _Pad((0, 0, 0, 0), extra, 0.0, name=name)
        case Input():
            raise Unsupported(f"input {node.output}", "not an image", "describe it as (C, H, W)")
        case _:
            assert_never(node.op)


# Real values are loaded before anything runs; drawing initial ones would only cost time.
_ZEROS = {"kernel_initializer": "zeros", "bias_initializer": "zeros"}


def _apply(node: Node, graph: Graph, inputs: list[Any]) -> Any:
    """What leaves a node; its padding is the layer's own where Keras has a word for it."""
    layer = _layer(node)
    if not isinstance(node.op, Conv | MaxPool) or not any(node.op.padding):
        return layer(inputs if isinstance(node.op, Add) else inputs[0])
    op, (_, h, w) = node.op, graph[node.inputs[0]].output
    if op.padding == (*same(h, op.kernel[0], op.stride[0]), *same(w, op.kernel[1], op.stride[1])):
        layer.padding = "same"
        return layer(inputs[0])
    name = f"{node.address}.padding"
    top, bottom, left, right = op.padding
    if isinstance(op, Conv):
        pad: layers.Layer = layers.ZeroPadding2D(((top, bottom), (left, right)), name=name)
    else:
        pad = _Pad(op.padding, 0, -np.inf, name=name)
    return layer(pad(inputs[0]))


@frozen
class Network:
    """A compiled network that knows the description it came from."""

    native: keras.Model
    description: Graph

    def arrays(self) -> Iterator[tuple[Node, str, keras.Variable]]:
        """Each node with each of its arrays and the array's canonical name."""
        for node in self.description:
            for variable in self.native.get_layer(node.address).variables:
                if variable.name in _CANONICAL:  # a dropout's seed is not a value of the network
                    yield node, _CANONICAL[variable.name], variable


class Keras:
    """Keras as a compiled TensorFlow graph, as its documentation says to run it."""

    name = "keras"

    def __init__(self) -> None:
        if keras.backend.backend() != "tensorflow":
            raise FrameworkMissing(
                "keras",
                f"it runs on {keras.backend.backend()}, not on TensorFlow",
                "unset KERAS_BACKEND",
            )
        self._device = "cpu"

    def version(self) -> str:
        return f"keras {keras.__version__}, tensorflow {tf.__version__}"

    def prepare(self, device: str, threads: int) -> None:
        gpus = tf.config.list_physical_devices("GPU")
        if device == "cuda" and not gpus:
            raise Unsupported(
                "device cuda", "TensorFlow sees no CUDA device", "choose --bench-device cpu"
            )
        self._device = device
        if device == "cpu":
            tf.config.set_visible_devices([], "GPU")
        for gpu in gpus if device == "cuda" else ():
            tf.config.experimental.set_memory_growth(gpu, True)
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)

    def build(self, graph: Graph, *, allocate: bool) -> Network:
        scope = nullcontext() if allocate else keras.StatelessScope(initialize_variables=False)
        values: dict[str, Any] = {}
        with scope:
            for node in graph:
                if isinstance(node.op, Input):
                    values[node.address] = _layer(node).output
                else:
                    inputs = [values[name] for name in node.inputs]
                    values[node.address] = _apply(node, graph, inputs)
            native = keras.Model(
                values[graph.nodes[0].address], values[graph.output.address], name=graph.name
            )
        return Network(native, graph)

    def observe(self, model: Network) -> Observation:
        seen: dict[str, ObservedNode] = {}
        for node in model.description:
            layer = model.native.get_layer(node.address)
            seen[node.address] = ObservedNode(
                shape_first(tuple(layer.output.shape[1:])),
                {},
                getattr(layer, "kernel_size", getattr(layer, "pool_size", None)),
                getattr(layer, "strides", None),
            )
        tensors: dict[str, dict[str, ObservedTensor]] = {address: {} for address in seen}
        for node, name, variable in model.arrays():
            shape = canonical_shape(node, tuple(variable.shape))
            tensors[node.address][name] = ObservedTensor(shape, variable.trainable)
        native = model.native
        return Observation(
            self.name,
            {
                address: ObservedNode(n.output, tensors[address], n.kernel, n.stride)
                for address, n in seen.items()
            },
            sum(int(np.prod(v.shape)) for v in native.trainable_variables),
            sum(int(np.prod(v.shape)) for v in native.non_trainable_weights if v.name != "seed"),
        )

    def load(self, model: Network, values: Callable[[str, tuple[int, ...]], Array]) -> None:
        for node, name, variable in model.arrays():
            shape = canonical_shape(node, tuple(variable.shape))
            array = values(f"{node.address}/{name}", shape)
            variable.assign(from_canonical(node, array, image_before(model.description, node)))

    def read(self, model: Network) -> dict[str, Array]:
        return {
            f"{node.address}/{name}": to_canonical(
                node, variable.numpy(), image_before(model.description, node)
            )
            for node, name, variable in model.arrays()
        }

    def run(self, model: Network, images: Array) -> Array:
        answer: Array = model.native(images_last(images), training=False).numpy()
        return answer

    def step(self, model: Network, pass_: Pass, images: Array, labels: Array) -> Callable[[], None]:
        x, y = tf.constant(images_last(images)), tf.constant(labels)
        native, graph = model.native, model.description
        if pass_ == "forward":
            compiled = tf.function(lambda images: native(images, training=False), autograph=False)
            return self._finished(lambda: compiled(x))
        trained = keras.Model(native.input, native.get_layer(graph.logits.address).output)
        compiled = _training(trained, _LOSSES[graph.loss](), pass_ == "train_step")
        return self._finished(lambda: compiled(x, y))

    def _finished(self, call: Callable[[], Any]) -> Callable[[], None]:
        """`call`, and then whatever the device still has to do."""

        def step() -> None:
            call()
            if self._device == "cuda":
                tf.test.experimental.sync_devices()

        return step

    def device_memory(self) -> DeviceMemory | None:
        if self._device != "cuda":
            return None
        # TensorFlow counts what it hands out; what it has reserved it does not tell.
        return DeviceMemory(tf.config.experimental.get_memory_info("GPU:0")["peak"], None)


def framework() -> Keras:
    """Keras in this process."""
    return Keras()


def _training(model: keras.Model, loss: Callable[[Any, Any], Any], update: bool) -> Any:
    variables = model.trainable_variables
    optimizer = keras.optimizers.SGD(LEARNING_RATE, momentum=MOMENTUM)
    optimizer.build(variables)

    def step(x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            value = loss(y, model(x, training=True))
        gradients = tape.gradient(value, [v.value for v in variables])
        if not update:
            return gradients  # returned, so that no optimizer of graphs may leave them out
        optimizer.apply(gradients, variables)
        return value

    return tf.function(step, autograph=False)


def _distance(labels: Any, distances: Any) -> Any:
    """Cross-entropy of the negative distances: LeNet-5's discriminative criterion."""
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)(labels, -distances)


def _binary(labels: Any, logits: Any) -> Any:
    targets = tf.cast(labels, logits.dtype)
    return keras.losses.BinaryCrossentropy(from_logits=True)(targets, logits[:, 0])


_LOSSES: dict[Loss, Callable[[], Callable[[Any, Any], Any]]] = {
    "cross_entropy": lambda: keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    "binary_cross_entropy": lambda: _binary,
    "distance": lambda: _distance,
}
