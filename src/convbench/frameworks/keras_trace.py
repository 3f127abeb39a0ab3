"""Anybody's Keras model as a `Trace`, from one symbolic call of it.

Every layer and every function of `keras.ops` that is called on a KerasTensor goes through
`symbolic_call`, in whatever style the model is written. While a model is traced that method is
ours: what Keras itself provides becomes a step, what somebody made of it is followed inside.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from convbench.errors import Unsupported, one_line
from convbench.frameworks.keras_trace_calls import FUNCTIONS
from convbench.frameworks.keras_trace_fold import folded
from convbench.frameworks.keras_trace_layers import handler_of
from convbench.frameworks.keras_trace_parts import Call, Part, other, shape_of, words
from convbench.ops import Input, Shape
from convbench.trace import Held, Layer, Step, Trace

_BATCH = 2
_RECURSIONS = 10_000
"""Keras walks from a model's outputs to its input by recursion, twice a layer."""


def is_model(value: object) -> bool:
    """Whether `trace` takes it."""
    return isinstance(value, keras.Layer)


@contextmanager
def without_weights() -> Iterator[None]:
    """Models made inside take no memory for weights, and may be as deep as they like."""
    with _recursions(), keras.StatelessScope(initialize_variables=False):
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


def trace(model: Any, name: str, image: Shape) -> Trace:
    """What the model does to images `(C, H, W)` in training.

    Raises Unsupported, with the layer and a remedy, if that cannot be found out.
    """
    tracer = _Tracer(model, name)
    with without_weights(), _bare_errors(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        images = keras.KerasTensor((tracer.batch, *image[1:], image[0]))
        _build(model, images)
        try:
            with _hooks(tracer):
                tracer.begin(images, image)
                answer = model(images, training=True)
        except Unsupported:
            raise
        except Exception as error:  # what a model of anybody's raises may be anything
            raise tracer.refusal(error) from error
        finally:
            tracer.forget()
        return tracer.finished(answer)


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


@contextmanager
def _recursions() -> Iterator[None]:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, _RECURSIONS))
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


@contextmanager
def _bare_errors() -> Iterator[None]:
    """Exceptions as they were raised, not wrapped by each layer that they pass."""
    filtering = keras.config.is_traceback_filtering_enabled()
    keras.config.disable_traceback_filtering()
    try:
        yield
    finally:
        if filtering:
            keras.config.enable_traceback_filtering()


@contextmanager
def _hooks(tracer: _Tracer) -> Iterator[None]:
    """Symbolic calls go to the tracer."""
    kept = [(kind, kind.symbolic_call) for kind in (keras.Operation, keras.Layer)]
    for kind, original in kept:

        def hook(what: Any, *args: Any, _original: Any = original, **kwargs: Any) -> Any:
            if tracer.follows(args, kwargs):
                return tracer.call(what, args, kwargs)
            return _original(what, *args, **kwargs)

        kind.symbolic_call = hook
    try:
        yield
    finally:
        for kind, original in kept:
            kind.symbolic_call = original


class _Tracer:
    """Writes down steps while a model is called."""

    def __init__(self, model: Any, name: str) -> None:
        self.model, self.name = model, name
        shape = getattr(model, "input_shape", None)
        fixed = shape[0] if isinstance(shape, tuple) and shape else None
        self.batch = fixed if isinstance(fixed, int) else _BATCH
        self.steps: list[Step] = []
        self.notes: list[str] = []
        self.at: dict[int, int] = {}
        """Positions of the steps that the symbolic tensors of these ids leave."""
        self.alive: list[Any] = []
        """What would otherwise be forgotten, and its id given to another."""
        self.addresses: dict[str, int] = {}
        self.layers: list[Any] = []
        """The layers that are being called, the outermost first."""
        self.busy = False
        """Whether a layer is asked for its output shape, which is not to be followed."""
        self.nodes: dict[int, tuple[Any, int, int]] = {}
        self.failed: tuple[Any, ...] | None = None

    def begin(self, images: Any, image: Shape) -> None:
        self._paths()
        self._bind(images, self._step("input", Input(image), (), image, ()))

    # -- what is called ------------------------------------------------------------------------

    def follows(self, args: Any, kwargs: Any) -> bool:
        """Whether a call works on values of the model that is traced."""
        return not self.busy and any(id(x) in self.at for x in keras.tree.flatten((args, kwargs)))

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
        if activation in (None, keras.activations.linear) or handler is other:
            return outputs
        return activation(outputs)

    def _inside(self, layer: Any, args: Any, kwargs: Any) -> Any:
        """Follows what a layer does; one that cannot be followed is a step if it is simple."""
        before, names = len(self.steps), dict(self.addresses)
        simple = not layer._layers
        try:
            outputs = layer.call(*args, **kwargs)
        except Exception:
            if not simple or len(self.layers) == 1:
                raise
            del self.steps[before:]
            self.addresses = names
            outputs = self._atomic(layer, other, args, kwargs, address="")
            where = self._path(self.layers[1:])
            self.notes.append(f"{where} computes outside keras.ops: what it does is not compared")
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
        call = Call(what, args, kwargs, results, self._held, self._is_value)
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
        self.addresses[address] = uses = self.addresses.get(address, 0) + 1
        return address if uses == 1 else f"{address}_{uses}"

    def _paths(self) -> None:
        """Gives each array of the model a path of its own."""
        self.trained = {id(v) for v in self.model.trainable_variables}
        self.paths: dict[int, str] = {}
        taken: dict[str, int] = {}
        for variable in self.model.weights:
            taken[variable.path] = uses = taken.get(variable.path, 0) + 1
            self.paths[id(variable)] = variable.path if uses == 1 else f"{variable.path}_{uses}"

    def _held(self, array: Any, role: str = "", shape: Shape | None = None) -> Held | None:
        """An array of the model that somebody uses, or None for a value that is nobody's array.

        A plain tensor of the shape of one array of the layer that is called is that array: Keras
        hands out the values of an array that is reshaped or cast.
        """
        if id(array) not in self.paths:
            array = self._behind(array)
        if array is None:
            return None
        path = self.paths.get(id(array), getattr(array, "path", "array"))
        sizes = tuple(array.shape) if shape is None else shape
        return Held(path, role or array.name, sizes, id(array) in self.trained)

    def _behind(self, array: Any) -> Any:
        if isinstance(array, keras.Variable):
            return array
        if not self.layers or not hasattr(array, "shape"):
            return None
        own = self.layers[-1]._trainable_variables + self.layers[-1]._non_trainable_variables
        wanted = [size for size in array.shape if size != 1]
        alike = [v for v in own if [size for size in v.shape if size != 1] == wanted]
        used = {t.path for step in self.steps for t in step.tensors}
        return next((v for v in alike if self.paths.get(id(v)) not in used), None)

    # -- what comes of it ----------------------------------------------------------------------

    def forget(self) -> None:
        """Takes the calls back that Keras has written down at the layers."""
        for layer, inbound, outbound in self.nodes.values():
            del layer._inbound_nodes[inbound:]
            del layer._outbound_nodes[outbound:]

    def finished(self, answer: Any) -> Trace:
        outputs = [self.at[id(x)] for x in keras.tree.flatten(answer) if id(x) in self.at]
        steps, kept = folded(tuple(self.steps), tuple(outputs))
        used = {t.path for step in steps for t in step.tensors}
        arrays = [v for v in self.model.weights if "float" in str(v.dtype)]
        held = [Held(self.paths[id(v)], v.name, tuple(v.shape), self._trained(v)) for v in arrays]
        return Trace(
            self.name,
            "keras",
            steps,
            kept,
            sum(t.size for t in held if t.trainable),
            sum(t.size for t in held if not t.trainable),
            self.model.count_params(),
            unused=tuple(t for t in held if t.path not in used),
            notes=tuple(dict.fromkeys(self.notes)),
        )

    def _trained(self, variable: Any) -> bool:
        return id(variable) in self.trained

    def _where(self, what: Any) -> str:
        path = self._path(self.layers[1:]) or getattr(what, "name", "")
        return f"{path} ({type(what).__name__})"

    def refusal(self, error: Exception) -> Unsupported:
        """Why a model cannot be traced, and what would help."""
        layers = self.failed or (self.model,)
        path = self._path(layers[1:])
        where = f"{self.name}{path and ': ' + path} ({type(layers[-1]).__name__})"
        why = one_line(str(error), most=200) or type(error).__name__
        return Unsupported(where, why, _remedy(str(error)))


def _remedy(error: str) -> str:
    if "TensorFlow function" in error:
        return "call keras.ops or keras.layers there in place of TensorFlow's functions"
    if "boolean" in error or "actual numerical value" in error:
        return "let nothing there depend on the values of the images, only on their shape"
    return "the model must run when it is called on a batch of images of this size, and no more"


def _nodes_of(layer: Any) -> tuple[int, int]:
    return len(layer._inbound_nodes), len(layer._outbound_nodes)


def _renamed(step: Step, address: str) -> Step:
    return Step(address, step.layer, step.inputs, step.output, step.tensors)
