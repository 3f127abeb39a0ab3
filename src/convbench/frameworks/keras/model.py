"""Keras 3 on any backend: graphs become functional models with one named layer per node.

Images are channels last. What that moves about (kernels, the order in which Flatten reads) is
paid for once, when weights are loaded, and never at run time.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import nullcontext
from functools import reduce
from operator import add
from typing import Any, assert_never

import keras
import numpy as np
from keras import ops

from convbench.base.errors import FrameworkMissing, Unsupported
from convbench.frameworks.arrays import Keep
from convbench.frameworks.keras.backend import Backend, LossFunction
from convbench.frameworks.keras.examine import examine, mixed, precision
from convbench.frameworks.keras.layers import apply, layer_for
from convbench.frameworks.keras.layout import (
    canonical_shape,
    from_canonical,
    image_before,
    images_last,
    shape_first,
)
from convbench.frameworks.keras.network import Network
from convbench.frameworks.modes import DEFAULT, SINGLE
from convbench.frameworks.observation import Observation, ObservedNode, ObservedTensor
from convbench.frameworks.protocol import (
    LEARNING_RATE,
    MOMENTUM,
    Array,
    DeviceClock,
    DeviceMemory,
    Libraries,
    Values,
)
from convbench.frameworks.registry import FRAMEWORKS, require_mode
from convbench.networks.graph import Graph
from convbench.networks.layer_row import Loss
from convbench.networks.ops import Input
from convbench.networks.passes import PASSES, Pass


class Keras:
    """Keras on one of its backends, by default as its documentation says to run that."""

    def __init__(self, backend: Backend) -> None:
        found = keras.backend.backend()
        if found != backend.package:
            raise FrameworkMissing(
                backend.framework,
                f"Keras has been imported on {found}, not on {backend.package}",
                f"set KERAS_BACKEND={backend.package} before Keras is imported",
            )
        self.name, self._backend = backend.framework, backend
        self.modes = FRAMEWORKS[self.name].modes or ()

    def version(self) -> str:
        return f"keras {keras.__version__}, {self._backend.version()}"

    def libraries(self) -> Libraries:
        return self._backend.libraries()

    def prepare(self, device: str, threads: int) -> None:
        self._backend.prepare(device, threads)

    def build(
        self, graph: Graph, *, allocate: bool, mode: str = DEFAULT, dtype: str = SINGLE
    ) -> Network:
        require_mode(self, mode)
        # Keras walks from a model's outputs to its input by recursion, twice a layer.
        sys.setrecursionlimit(max(sys.getrecursionlimit(), 1000 + 4 * len(graph.nodes)))
        scope = nullcontext() if allocate else keras.StatelessScope(initialize_variables=False)
        kinds, values = self._backend.kinds(mode), {}
        with scope, mixed(dtype):
            for node in graph:
                if isinstance(node.op, Input):
                    values[node.address] = layer_for(node, graph, kinds).output
                else:
                    inputs = [values[name] for name in node.inputs]
                    values[node.address] = apply(node, graph, inputs, kinds)
            native = keras.Model(
                values[graph.nodes[0].address],
                [values[output] for output in graph.outputs],
                name=graph.name,
            )
        network = Network(native, graph, mode, dtype, kinds)
        for node in graph:
            if node.frozen:
                network.layer(node.address).trainable = False
        return network

    def observe(self, model: Network) -> Observation:
        seen: dict[str, ObservedNode] = {}
        for node in model.description:
            layer = model.layer(node.address)
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
            f"{node.address}/{name}": model.canonical(node, ops.convert_to_numpy(variable.value))
            for node, name, variable in model.arrays()
        }

    def run(self, model: Network, images: Array) -> Array:
        answer = self._inference(model)(ops.convert_to_tensor(images_last(images)))
        array: Array = ops.convert_to_numpy(ops.cast(answer, keras.config.floatx()))
        return array

    def step(self, model: Network, pass_: Pass, images: Array, labels: Array) -> Callable[[], None]:
        x, y = ops.convert_to_tensor(images_last(images)), ops.convert_to_tensor(labels)
        match pass_:
            case "forward":
                forward = self._inference(model)
                return self._backend.in_turn(lambda x: lambda: forward(x), x)
            case "predict":
                return self._predicting(model, images_last(images))
            case "backward" | "train_step":
                train = self._training_network(model, pass_)
                return self._backend.in_turn(lambda x: lambda: train(x, y), x)
            case _:
                assert_never(pass_)

    def _training_network(self, model: Network, pass_: Pass) -> Callable[[Any, Any], Any]:
        """A step of training by the network's own loss, over all of its heads."""
        native, heads = model.native, model.description.heads
        loss = LOSSES[model.description.loss]
        trained = keras.Model(native.input, [model.layer(head.logits).output for head in heads])

        def total(labels: Any, answer: Any) -> Any:
            # Losses of halves would be sums of halves; single precision leaves others as they are.
            outputs = [ops.cast(output, SINGLE) for output in keras.tree.flatten(answer)]
            pairs = zip(heads, outputs, strict=True)
            return reduce(add, [head.weight * loss(labels, output) for head, output in pairs])

        return self._training(trained, total, pass_, model)

    def takes(self, model: Any) -> bool:
        return isinstance(model, keras.Model)

    def answer(self, model: keras.Model, images: Array) -> tuple[int, ...] | None:
        keras.config.disable_traceback_filtering()  # which hides what a layer says in a frame
        found = model(ops.convert_to_tensor(images), training=False)
        return tuple(found.shape) if ops.is_tensor(found) else None

    def own_step(
        self,
        model: keras.Model,
        pass_: Pass,
        images: Array,
        labels: Array,
        loss: Callable[[Any, Any], Any] | None,
    ) -> Callable[[], None]:
        x, y = ops.convert_to_tensor(images), ops.convert_to_tensor(labels)
        if not PASSES[pass_].goes_backward:
            forward = self._backend.inference(model, DEFAULT)
            return self._backend.in_turn(lambda x: lambda: forward(x), x)
        one = loss or cross_entropy(model)
        train = self._training(model, lambda y, answer: ops.mean(one(y, answer)), pass_)
        return self._backend.in_turn(lambda x: lambda: train(x, y), x)

    def _inference(self, model: Network) -> Callable[[Any], Any]:
        """The answer to images, without what only training needs."""
        return self._backend.inference(_answering(model), model.mode)

    def _predicting(self, model: Network, images: Array) -> Callable[[], None]:
        """What `predict` does with a batch: it makes a data set, a loop and callbacks of it first.

        Raises Unsupported in another mode than the default: it goes its own way.
        """
        if model.mode != DEFAULT:
            what, why = f"pass predict in mode {model.mode}", "Model.predict knows no modes"
            raise Unsupported(what, why, "choose --bench-mode default")
        answering = _answering(model)

        def step() -> None:
            answering.predict(images, batch_size=len(images), verbose=0)

        return step

    def _training(
        self, model: keras.Model, loss: LossFunction, pass_: Pass, network: Network | None = None
    ) -> Callable[[Any, Any], Any]:
        """A step that returns its gradients, or one that uses them and returns its loss."""
        mode, dtype = (network.mode, network.dtype) if network else (DEFAULT, SINGLE)
        if not PASSES[pass_].trains:
            return self._backend.training(model, loss, None, lambda _, found, __: found, mode)
        optimizer = keras.optimizers.SGD(LEARNING_RATE, momentum=MOMENTUM)
        scaled = loss
        if dtype == "float16":  # in which gradients would vanish unscaled
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)

            def scaled(labels: Any, answer: Any) -> Any:
                return optimizer.scale_loss(loss(labels, answer))

        optimizer.build(model.trainable_variables)
        return self._backend.training(model, scaled, optimizer, lambda value, *_: value, mode)

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
        with precision(dtype, self._backend):
            model = self.build(graph, allocate=True, mode=mode)
            self.load(model, values)
            examine(model, self._backend, LOSSES[graph.loss], batch, steps, keep)

    def device_memory(self) -> DeviceMemory | None:
        return self._backend.device_memory()

    def device_clock(self) -> DeviceClock | None:
        return self._backend.device_clock()


def _answering(model: Network) -> keras.Model:
    """The part of a network that leads to its answer."""
    return keras.Model(model.native.input, model.layer(model.description.output.address).output)


def cross_entropy(model: keras.Model) -> Callable[[Any, Any], Any]:
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
    return ops.mean(losses)


def _distance(labels: Any, distances: Any) -> Any:
    """Cross-entropy of the negative distances: LeNet-5's discriminative criterion."""
    return _classes(labels, -distances)


def _binary(labels: Any, logits: Any) -> Any:
    targets = ops.cast(labels, logits.dtype)
    return keras.losses.BinaryCrossentropy(from_logits=True)(targets, logits[:, 0])


def _squared_error(labels: Any, outputs: Any) -> Any:
    """Squared error to +1 for the class and -1 for the others."""
    targets = 2 * ops.one_hot(labels, outputs.shape[1], dtype=outputs.dtype) - 1
    return ops.mean(ops.square(outputs - targets))


LOSSES: dict[Loss, Callable[[Any, Any], Any]] = {
    "cross_entropy": _classes,
    "binary_cross_entropy": _binary,
    "distance": _distance,
    "squared_error": _squared_error,
}
