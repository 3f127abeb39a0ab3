"""Keras 3 on TensorFlow: graphs become functional models with one named layer per node.

Images are channels last. What that moves about (kernels, the order in which Flatten reads) is
paid for once, when weights are loaded, and never at run time.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from convbench.errors import FrameworkMissing, Unsupported
from convbench.evidence import Keep
from convbench.frameworks import (
    FRAMEWORKS,
    LEARNING_RATE,
    MOMENTUM,
    Array,
    DeviceMemory,
    Pass,
    Values,
    require_mode,
)
from convbench.frameworks.channels_last import (
    canonical_shape,
    from_canonical,
    image_before,
    images_last,
    shape_first,
)
from convbench.frameworks.keras_examine import examine, precision
from convbench.frameworks.keras_layers import apply, layer_for
from convbench.frameworks.keras_network import Network
from convbench.graph import Graph, Loss
from convbench.modes import DEFAULT
from convbench.observation import Observation, ObservedNode, ObservedTensor
from convbench.ops import Input


class Keras:
    """Keras: by default as a TensorFlow graph, as its documentation says to run it."""

    name = "keras"
    modes = FRAMEWORKS["keras"].modes or ()

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

    def build(self, graph: Graph, *, allocate: bool, mode: str = DEFAULT) -> Network:
        require_mode(self, mode)
        # Keras walks from a model's outputs to its input by recursion, twice a layer.
        sys.setrecursionlimit(max(sys.getrecursionlimit(), 1000 + 4 * len(graph.nodes)))
        scope = nullcontext() if allocate else keras.StatelessScope(initialize_variables=False)
        values: dict[str, Any] = {}
        with scope:
            for node in graph:
                if isinstance(node.op, Input):
                    values[node.address] = layer_for(node, graph, mode).output
                else:
                    inputs = [values[name] for name in node.inputs]
                    values[node.address] = apply(node, graph, inputs, mode)
            native = keras.Model(
                values[graph.nodes[0].address],
                [values[output] for output in graph.outputs],
                name=graph.name,
            )
        for node in graph:
            if node.frozen:
                native.get_layer(node.address).trainable = False
        return Network(native, graph, mode)

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

    def load(self, model: Network, values: Values) -> None:
        for node, name, variable in model.arrays():
            shape = canonical_shape(node, tuple(variable.shape))
            array = values(f"{node.address}/{name}", shape)
            variable.assign(from_canonical(node, array, image_before(model.description, node)))

    def read(self, model: Network) -> dict[str, Array]:
        return {
            f"{node.address}/{name}": model.canonical(node, variable.numpy())
            for node, name, variable in model.arrays()
        }

    def run(self, model: Network, images: Array) -> Array:
        answer: Array = _inference(model)(tf.constant(images_last(images))).numpy()
        return answer

    def step(self, model: Network, pass_: Pass, images: Array, labels: Array) -> Callable[[], None]:
        x, y = tf.constant(images_last(images)), tf.constant(labels)
        if pass_ == "forward":
            forward = _inference(model)
            return self._finished(lambda: forward(x))
        train = _training(model, update=pass_ == "train_step")
        return self._finished(lambda: train(x, y))

    def takes(self, model: Any) -> bool:
        return isinstance(model, keras.Model)

    def answer(self, model: keras.Model, images: Array) -> tuple[int, ...] | None:
        keras.config.disable_traceback_filtering()  # which hides what a layer says in a frame
        found = model(tf.constant(images), training=False)
        return tuple(found.shape) if tf.is_tensor(found) else None

    def own_step(
        self,
        model: keras.Model,
        pass_: Pass,
        images: Array,
        labels: Array,
        loss: Callable[[Any, Any], Any] | None,
    ) -> Callable[[], None]:
        x, y = tf.constant(images), tf.constant(labels)
        if pass_ == "forward":
            forward = tf.function(lambda images: model(images, training=False), autograph=False)
            return self._finished(lambda: forward(x))
        one = loss or _cross_entropy(model)

        def total(labels: Any, answer: Any) -> Any:
            # Regularizers are part of what its own fit() would minimize.
            return tf.add_n([tf.reduce_mean(one(labels, answer)), *model.losses])

        step = _training_step(model, total, update=pass_ == "train_step")
        trained = tf.function(step, autograph=False)
        return self._finished(lambda: trained(x, y))

    def _finished(self, call: Callable[[], Any]) -> Callable[[], None]:
        """`call`, and then whatever the device still has to do."""

        def step() -> None:
            call()
            if self._device == "cuda":
                tf.test.experimental.sync_devices()

        return step

    def examine(
        self,
        graph: Graph,
        values: Values,
        batch: tuple[Array, Array],
        steps: int,
        keep: Keep,
        *,
        mode: str = DEFAULT,
        dtype: str = "float64",
    ) -> None:
        with precision(dtype):
            model = self.build(graph, allocate=True, mode=mode)
            self.load(model, values)
            examine(model, _LOSSES[graph.loss](), batch, steps, keep)

    def device_memory(self) -> DeviceMemory | None:
        if self._device != "cuda":
            return None
        # TensorFlow counts what it hands out; what it has reserved it does not tell.
        return DeviceMemory(tf.config.experimental.get_memory_info("GPU:0")["peak"], None)


def framework() -> Keras:
    """Keras in this process."""
    return Keras()


def _inference(model: Network) -> Callable[..., Any]:
    """The answer to images, without what only training needs."""
    native = model.native
    answer = keras.Model(native.input, native.get_layer(model.description.output.address).output)
    return model.runnable(lambda images: answer(images, training=False))


def _training(model: Network, *, update: bool) -> Callable[..., Any]:
    """A step with the losses of all heads."""
    native, heads = model.native, model.description.heads
    trained = keras.Model(native.input, [native.get_layer(head.logits).output for head in heads])
    loss = _LOSSES[model.description.loss]()

    def total(labels: Any, answer: Any) -> Any:
        outputs = keras.tree.flatten(answer)
        return tf.add_n([h.weight * loss(labels, o) for h, o in zip(heads, outputs, strict=True)])

    return model.runnable(_training_step(trained, total, update=update))


def _training_step(
    trained: keras.Model, loss: Callable[[Any, Any], Any], *, update: bool
) -> Callable[..., Any]:
    """A step from Python: the gradients of the loss, and with `update` their use."""
    variables = trained.trainable_variables
    optimizer = keras.optimizers.SGD(LEARNING_RATE, momentum=MOMENTUM)
    optimizer.build(variables)

    def step(x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            value = loss(y, trained(x, training=True))
        gradients = tape.gradient(value, [v.value for v in variables])
        if not update:
            return gradients  # returned, so that no optimizer of graphs may leave them out
        optimizer.apply(gradients, variables)
        return value

    return step


def _cross_entropy(model: keras.Model) -> Callable[[Any, Any], Any]:
    """Cross-entropy of logits, or of probabilities if the model ends in a softmax."""
    last = model
    while isinstance(last, keras.Model) and last.layers:
        last = last.layers[-1]
    softmax = isinstance(last, keras.layers.Softmax)
    softmax |= getattr(last, "activation", None) is keras.activations.softmax
    loss: Callable[[Any, Any], Any] = keras.losses.SparseCategoricalCrossentropy(
        from_logits=not softmax
    )
    return loss


def _classes(labels: Any, logits: Any) -> Any:
    """The mean cross-entropy of a batch, by Keras's function.

    Its class of that name turns labels into the precision of the loss first, and bfloat16 has no
    odd number above 256: class 257 would be taken for 256.
    """
    losses = keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)
    return tf.reduce_mean(losses)


def _distance(labels: Any, distances: Any) -> Any:
    """Cross-entropy of the negative distances: LeNet-5's discriminative criterion."""
    return _classes(labels, -distances)


def _binary(labels: Any, logits: Any) -> Any:
    targets = tf.cast(labels, logits.dtype)
    return keras.losses.BinaryCrossentropy(from_logits=True)(targets, logits[:, 0])


def _squared_error(labels: Any, outputs: Any) -> Any:
    """Squared error to +1 for the class and -1 for the others."""
    targets = tf.one_hot(labels, outputs.shape[1], 1.0, -1.0, dtype=outputs.dtype)
    return tf.reduce_mean(tf.square(outputs - targets))


_LOSSES: dict[Loss, Callable[[], Callable[[Any, Any], Any]]] = {
    "cross_entropy": lambda: _classes,
    "binary_cross_entropy": lambda: _binary,
    "distance": lambda: _distance,
    "squared_error": lambda: _squared_error,
}
