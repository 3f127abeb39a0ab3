"""Anybody's Keras model as a `Trace`, from one symbolic call of it.

Every layer and every function of `keras.ops` that is called on a KerasTensor goes through
`symbolic_call`, in whatever style the model is written. While a model is traced that method is
ours: what Keras itself provides becomes a step, what somebody made of it is followed inside.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from convbench.base.errors import Unsupported, telling_line
from convbench.frameworks.keras.trace.fold import folded
from convbench.frameworks.keras.trace.functions import FUNCTIONS
from convbench.frameworks.keras.trace.hooks import bare_errors, hooks, recursions
from convbench.frameworks.keras.trace.layers import handler_of
from convbench.frameworks.keras.trace.parts import Call, Part, other, shape_of, words
from convbench.frameworks.trace import Held, Layer, Other, Step, Trace
from convbench.networks.ops import Input, Shape

_BATCH = 2


def is_model(value: object) -> bool:
    """Whether `trace` takes it."""
    return isinstance(value, keras.Layer)


@contextmanager
def without_weights() -> Iterator[None]:
    """Models made inside take no memory for weights, and may be as deep as they like."""
    with recursions(), keras.StatelessScope(initialize_variables=False):
        yield


def image_of(model: Any) -> Shape | None:
    """The `(C, H, W)` that the model says its images have, if it does."""
    try:
        shape = model.input_shape
    except (AttributeError, ValueError):
        return None  # a model in Keras's imperative style knows of no input
    fixed = isinstance(shape, tuple) and len(shape) == 4
    if not fixed or not all(isinstance(size, int) for size in shape[1:]):
        return None
    _, h, w, c = shape
    return (c, h, w)


def trace(model: Any, name: str, image: Shape, *, training: bool = True) -> Trace:
    """What the model does to images `(C, H, W)`.

    Raises Unsupported, with the layer and a remedy, if that cannot be found out.
    """
    _require_one_input(model, name)
    tracer = _Tracer(model, name, training)
    with without_weights(), bare_errors(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        images = keras.KerasTensor((tracer.batch, *image[1:], image[0]))
        _build(model, images)
        try:
            with hooks(tracer):
                tracer.begin(images, image)
                answer = model(images, training=training)
        except Unsupported:
            raise
        except Exception as error:  # what a model of anybody's raises may be anything
            raise tracer.refusal(error) from error
        finally:
            tracer.forget()
        return tracer.finished(answer)


def _require_one_input(model: Any, name: str) -> None:
    inputs = getattr(model, "inputs", None) or [None]
    if len(inputs) != 1:
        remedy = "give a model of which the other inputs are made inside"
        raise Unsupported(name, f"it takes {len(inputs)} inputs, not one image", remedy)


def _build(model: Any, images: Any) -> None:
    """Lets a model make its layers and arrays, so that nothing but calls is left to be traced."""
    nodes = len(model._inbound_nodes)
    try:
        if not all(layer.built for layer in model._flatten_layers()):
            model(images, training=True)
    except Exception:  # tracing meets the same error, and says where
        pass
    finally:
        del model._inbound_nodes[nodes:]


class _Tracer:
    """Writes down steps while a model is called."""

    def __init__(self, model: Any, name: str, training: bool) -> None:
        self.model, self.name, self.training = model, name, training
        shape = getattr(model, "input_shape", None)
        fixed = shape[0] if isinstance(shape, tuple) and shape else None
        self.batch = fixed if isinstance(fixed, int) else _BATCH
        self.steps: list[Step] = []
        self.doubts: list[str] = []
        self.at: dict[int, int] = {}
        """Positions of the steps that the symbolic tensors of these ids leave."""
        self.alive: list[Any] = []
        """What would otherwise be forgotten, and its id given to another."""
        self.addresses: Counter[str] = Counter()
        self.layers: list[Any] = []
        """The layers that are being called, the outermost first."""
        self.busy = False
        """Whether a layer is asked for its output shape, which is not to be followed."""
        self.nodes: dict[int, tuple[Any, int, int]] = {}
        self.failed: tuple[Any, ...] = ()
        self.paths: dict[int, str] = {}
        self.trained: set[int] = set()
        self.uses: Counter[str] = Counter()

    def begin(self, images: Any, image: Shape) -> None:
        self._find_arrays()
        self._bind(images, self._step("input", Input(image), (), image, ()))

    # -- what is called ------------------------------------------------------------------------

    def follows(self, *arguments: Any) -> bool:
        """Whether a call works on values of the model that is traced."""
        return not self.busy and any(id(x) in self.at for x in keras.tree.flatten(arguments))

    def call(self, what: Any, args: Any, kwargs: Any) -> Any:
        if getattr(what, "data_format", None) == "channels_first":
            raise Unsupported(
                f"{self.name}: {self._where(what)}",
                "it takes images channels first",
                "build the model after keras.config.set_image_data_format('channels_last')",
            )
        if not isinstance(what, keras.Layer):
            return self._function(what, args, kwargs)
        self.nodes.setdefault(id(what), (what, *_nodes_of(what)))
        self.layers.append(what)
        try:
            return self._layer(what, args, kwargs)
        except Exception:
            self.failed = self.failed or tuple(self.layers)
            raise
        finally:
            self.layers.pop()

    def _layer(self, layer: Any, args: Any, kwargs: Any) -> Any:
        handler = handler_of(layer)
        if handler is None:
            return self._inside(layer, args, kwargs)
        outputs = self._atomic(layer, handler, args, kwargs, address="")
        activation = getattr(layer, "activation", None)
        if activation is None or handler is other:
            return outputs
        return self._activated(activation, outputs)

    def _activated(self, activation: Any, value: Any) -> Any:
        """What an activation makes of a value; TensorFlow's have a namesake in Keras."""
        name = getattr(activation, "__name__", type(activation).__name__)
        where = getattr(activation, "__module__", "")
        if where.startswith("tensorflow."):
            activation = keras.activations.get(name)
        before = len(self.steps)
        try:
            return activation(value)
        except Exception:
            if isinstance(activation, keras.Layer):
                raise
        del self.steps[before:]
        if not where.startswith(("keras.", "tensorflow.")):
            self.doubts.append(f"{self._path(self.layers[1:])} has an activation of its own")
        result = keras.KerasTensor(value.shape, value.dtype)
        layer = Other(words(name.strip("<>")))
        self._bind(result, self._step(name, layer, (self.at[id(value)],), shape_of(value), ()))
        return result

    def _inside(self, layer: Any, args: Any, kwargs: Any) -> Any:
        """Follows what a layer does; one that cannot be followed is a step if it is simple."""
        before, names = len(self.steps), self.addresses.copy()
        simple = not layer._layers
        try:
            if isinstance(layer, keras.layers.Activation):
                outputs = self._activated(layer.activation, *args)
            else:
                outputs = layer.call(*args, **kwargs)
        except Unsupported:
            raise
        except Exception:
            if not simple or len(self.layers) == 1:
                raise
            del self.steps[before:]
            self.addresses = names
            outputs = self._atomic(layer, other, args, kwargs, address="")
            where = self._path(self.layers[1:])
            self.doubts.append(f"{where} computes outside keras.ops: what it does is not compared")
            return outputs
        if simple and len(self.steps) == before + 1:
            self.addresses = names
            self.steps[before] = _renamed(self.steps[before], self._address(""))
        return outputs

    def _function(self, function: Any, args: Any, kwargs: Any) -> Any:
        name = type(function).__name__
        if not type(function).__module__.startswith("keras."):
            return function.call(*args, **kwargs)
        return self._atomic(
            function, FUNCTIONS.get(name, other), args, kwargs, address=words(name, "_")
        )

    def _atomic(self, what: Any, handler: Any, args: Any, kwargs: Any, *, address: str) -> Any:
        """Lets a handler say what one layer or function is, and writes that down."""
        self.busy = True
        try:
            outputs = what.compute_output_spec(*args, **kwargs)
        finally:
            self.busy = False
        results = [x for x in keras.tree.flatten(outputs) if isinstance(x, keras.KerasTensor)]
        call = Call(what, args, kwargs, results, self._held, self._is_value, self.training)
        parts = handler(call)
        read = tuple(self.at[id(x)] for x in call.reads)
        if not parts:
            self._bind(results[0], read[0])
            return outputs
        self._chain(parts, read, address, shape_of(results[0]))
        for i, result in enumerate(results):
            self._bind(result, len(self.steps) - 1)
            if i:  # each further result is a step of its own, which holds nothing anew
                part = Part(parts[-1].layer)
                self._bind(result, self._chain((part,), read, address, shape_of(result)))
        return outputs

    def _chain(
        self, parts: tuple[Part, ...], read: tuple[int, ...], address: str, output: Shape
    ) -> int:
        for part in parts:
            at = ".".join(filter(None, (address, part.name)))
            read = (self._step(at, part.layer, read, part.output or output, part.tensors),)
        return read[0]

    # -- what is written down ------------------------------------------------------------------

    def _step(
        self,
        address: str,
        layer: Layer,
        read: tuple[int, ...],
        output: Shape,
        tensors: tuple[Held, ...],
    ) -> int:
        self.steps.append(Step(self._address(address), layer, read, output, tensors))
        return len(self.steps) - 1

    def _bind(self, tensor: Any, position: int) -> None:
        self.at[id(tensor)] = position
        self.alive.append(tensor)

    def _is_value(self, tensor: Any) -> bool:
        return id(tensor) in self.at

    def _path(self, layers: Any) -> str:
        return ".".join(layer.name for layer in layers)

    def _address(self, name: str) -> str:
        """A free address in the layer that is being called."""
        address = ".".join(filter(None, (self._path(self.layers[1:]), name))) or self.name
        self.addresses[address] += 1
        uses = self.addresses[address]
        return address if uses == 1 else f"{address}_{uses}"

    def _find_arrays(self) -> None:
        """Gives each array of the model a path of its own."""
        self.trained = {id(v) for v in self.model.trainable_variables}
        for variable in self.model.weights:
            if id(variable) not in self.paths:
                self.uses[variable.path] += 1
                uses = self.uses[variable.path]
                self.paths[id(variable)] = variable.path + (f"_{uses}" if uses > 1 else "")

    def _held(self, value: Any, role: str = "", shape: Shape | None = None) -> Held | None:
        """The array of the model that a value is, or None for a value that is nobody's array."""
        array = value if isinstance(value, keras.Variable) else self._behind(value)
        if array is None:
            return None
        if id(array) not in self.paths:
            self._find_arrays()  # a layer may make arrays as late as when it is called
        path = self.paths.get(id(array), array.path)
        sizes = tuple(array.shape) if shape is None else shape
        return Held(path, role or array.name, sizes, id(array) in self.trained)

    def _behind(self, value: Any) -> Any:
        """The array that a plain tensor comes from: one of the layer's own, of that shape.

        An array that is reshaped or cast is no array of Keras's any more.
        """
        if not self.layers or not hasattr(value, "shape"):
            return None
        own = self.layers[-1]._trainable_variables + self.layers[-1]._non_trainable_variables
        sizes = [size for size in value.shape if size != 1]
        used = {t.path for step in self.steps for t in step.tensors}
        for array in own:
            alike = [size for size in array.shape if size != 1] == sizes
            if alike and self.paths.get(id(array)) not in used:
                if len(sizes) > 1 or len(value.shape) == 1:  # else it is reshaped, or most probably
                    where, path = self._path(self.layers[1:]), self.paths.get(id(array))
                    self.doubts.append(f"{where} may change {path} before it is used")
                return array
        return None

    # -- what comes of it ----------------------------------------------------------------------

    def forget(self) -> None:
        """Takes the calls back that Keras has written down at the layers."""
        for layer, inbound, outbound in self.nodes.values():
            del layer._inbound_nodes[inbound:]
            del layer._outbound_nodes[outbound:]

    def finished(self, answer: Any) -> Trace:
        outputs = [self.at[id(x)] for x in _flat(answer) if id(x) in self.at]
        self._find_arrays()
        steps, kept = folded(tuple(self.steps), tuple(outputs))
        used = {t.path for step in steps for t in step.tensors}
        found = (self._held(v) for v in self.model.weights if "float" in str(v.dtype))
        held = [array for array in found if array is not None]
        return Trace(
            self.name,
            "keras",
            steps,
            kept,
            sum(t.size for t in held if t.trainable),
            sum(t.size for t in held if not t.trainable),
            self.model.count_params(),
            unused=tuple(t for t in held if t.path not in used),
            doubts=tuple(dict.fromkeys(self.doubts)),
        )

    def _where(self, what: Any) -> str:
        path = self._path(self.layers[1:]) or getattr(what, "name", "")
        return f"{path} ({type(what).__name__})"

    def refusal(self, error: Exception) -> Unsupported:
        """Why a model cannot be traced, and what would help."""
        layers = self.failed or (self.model,)
        path = self._path(layers[1:])
        where = f"{self.name}{path and ': ' + path} ({type(layers[-1]).__name__})"
        cause = telling_line(str(error), most=300) or type(error).__name__
        return Unsupported(where, cause.split(". ")[0], _remedy(cause))


def _flat(answer: Any) -> Iterator[Any]:
    """Everything in an answer, in the order in which it was returned."""
    if isinstance(answer, dict | list | tuple):
        for value in answer.values() if isinstance(answer, dict) else answer:
            yield from _flat(value)
    else:
        yield answer


def _remedy(error: str) -> str:
    if "TensorFlow function" in error:
        return "call keras.ops or keras.layers there in place of TensorFlow's functions"
    if "bool" in error or "actual numerical value" in error:
        return "let nothing there depend on the values of the images, only on their shape"
    return "it must run when it is called on a batch of images of this size, and nothing else"


def _nodes_of(layer: Any) -> tuple[int, int]:
    return len(layer._inbound_nodes), len(layer._outbound_nodes)


def _renamed(step: Step, address: str) -> Step:
    return Step(address, step.layer, step.inputs, step.output, step.tensors)
