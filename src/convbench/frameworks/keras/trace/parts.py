"""What the handlers of Keras's layers and functions are given, and what they answer."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from functools import cached_property
from math import prod
from typing import Any, TypeAlias

import keras
from attrs import frozen

from convbench.frameworks.keras.layout import shape_first
from convbench.frameworks.trace import Held, Layer, Other, Setting, setting
from convbench.networks.ops import Conv, Dense, Flatten, Padding, Pair, Shape, pair, same


@frozen
class Part:
    """One step of what a layer does; the next part reads it."""

    layer: Layer
    tensors: tuple[Held, ...] = ()
    name: str = ""
    """What its address ends in, where a layer has several parts."""
    output: Shape | None = None
    """What leaves it, if that is not what leaves the layer."""


Parts: TypeAlias = tuple[Part, ...]
"""What a layer or a function does, in order; nothing at all if it hands on what it reads."""


@frozen(slots=False)
class Call:
    """One call of a layer or of a function of keras.ops."""

    what: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    results: list[Any]
    held: Callable[..., Held | None]
    """The array of the model that a value is, in a role and a shape, if it is one."""
    is_value: Callable[[Any], bool]
    """Whether something is computed from the images."""
    training: bool = True
    """Whether the model is traced as it is trained."""

    @cached_property
    def bound(self) -> dict[str, Any]:
        """Arguments by the names that `call` gives them."""
        bound = inspect.signature(self.what.call).bind(*self.args, **self.kwargs)
        bound.apply_defaults()
        return dict(bound.arguments)

    @cached_property
    def operands(self) -> list[Any]:
        """All arguments, in order, taken out of lists and dictionaries."""
        flat: list[Any] = keras.tree.flatten((self.args, self.kwargs))
        return flat

    @cached_property
    def reads(self) -> list[Any]:
        """The values that are read."""
        return [x for x in self.operands if self.is_value(x)]

    @property
    def input(self) -> Shape:
        """Shape of the first value that is read."""
        return shape_of(self.reads[0])

    @property
    def output(self) -> Shape:
        """Shape of what leaves it."""
        return shape_of(self.results[0])

    @property
    def constants(self) -> list[Any]:
        """Numbers and arrays among the arguments."""
        return [x for x in self.operands if not self.is_value(x) and _is_numeric(x)]

    @cached_property
    def arrays(self) -> tuple[Held, ...]:
        """The arrays of the model among the arguments."""
        found = [self.held(x) for x in self.constants if not isinstance(x, int | float)]
        return tuple(array for array in found if array is not None)


Handler: TypeAlias = Callable[[Call], Parts]


def shape_of(tensor: Any) -> Shape:
    """Shape without the batch, an image's as `(C, H, W)`."""
    return shape_first(tuple(tensor.shape[1:]))


def positions(shape: Shape) -> int:
    """Number of places of an image `(C, H, W)` or a row `(places, features)`; a vector has one."""
    return prod(shape[1:]) if len(shape) == 3 else prod(shape[:-1])


def words(name: str, between: str = " ") -> str:
    """The words of the name of a class, `LayerNormalization`.

    >>> words("LayerNormalization"), words("GlobalMaxPooling2D"), words("LeakyReLU", "_")
    ('layer normalization', 'global max pooling 2d', 'leaky_relu')
    """
    name = name.replace("PReLU", "Prelu").replace("ReLU", "Relu")
    parts = re.findall(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[0-9]*[A-Z]+|[0-9]+", name)
    return between.join(part.lower() for part in parts)


def settings(**values: Any) -> dict[str, Setting]:
    """Settings as `Other` has them."""
    return {name: _plain(value) for name, value in values.items()}


def number(value: Any) -> float | None:
    """A single number, however it is wrapped, or None."""
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, keras.Variable) or not _is_numeric(value) or prod(value.shape) != 1:
        return None
    return round(float(keras.ops.convert_to_numpy(value).item()), 12)


def convolution(what: Any, image: Shape, weight: Shape, output: Shape, *, bias: bool) -> Layer:
    """The convolution that a layer or function makes with `weight`, `(out, in/groups, h, w)`."""
    kernel, stride = (weight[2], weight[3]), as_pair(what.strides)
    padding, groups = padding_of(what, image, kernel, stride), image[0] // weight[1]
    dilation = as_pair(getattr(what, "dilation_rate", 1))
    if dilation == (1, 1):
        return Conv(weight[0], kernel, stride=stride, padding=padding, groups=groups, bias=bias)
    facts = settings(
        channels=weight[0],
        kernel=kernel,
        stride=stride,
        padding=what.padding,
        dilation=dilation,
        groups=groups,
    )
    return Other("dilated convolution", facts, macs=prod(weight) * positions(output))


def dense(weight: Shape, image: Shape, *, bias: bool) -> Layer:
    """The product of a vector, or of each place of an image, with `weight`, `(out, in)`."""
    if positions(image) == 1:
        return Dense(weight[0], bias=bias)
    facts = settings(features=weight[0])
    return Other("position-wise dense", facts, macs=prod(weight) * positions(image))


def kernel_shape(shape: Shape) -> Shape:
    """Of a convolution's kernel `(h, w, in, out)` the shape in PyTorch's layout."""
    h, w, inputs, outputs = shape
    return (outputs, inputs, h, w)


def depthwise_shape(shape: Shape) -> Shape:
    """Of a depthwise kernel `(h, w, in, outputs of each)` the shape in PyTorch's layout."""
    h, w, inputs, each = shape
    return (inputs * each, 1, h, w)


def padding_of(what: Any, image: Shape, kernel: Pair, stride: Pair) -> Padding:
    """What `valid` or `same` comes to for an image `(C, H, W)`."""
    if what.padding == "valid":
        return (0, 0, 0, 0)
    _, h, w = image
    return (*same(h, kernel[0], stride[0]), *same(w, kernel[1], stride[1]))


def as_pair(value: Any) -> Pair:
    """`(height, width)` of a setting of Keras's."""
    return pair(value if isinstance(value, int) else tuple(value))


def reshaped(before: Shape, after: Shape) -> Parts:
    """Moves values to another shape, both `(C, H, W)` or shorter."""
    if _without_ones(before) == _without_ones(after):
        return ()
    if len(after) == 1:
        return (Part(Flatten()),)
    return (Part(Other("reshape", settings(shape=after))),)


def other(call: Call) -> Parts:
    """Something for which `ops` has no word, with the arrays that it uses."""
    what = call.what
    if not isinstance(what, keras.Layer):
        plain = {k: v for k, v in vars(what).items() if not k.startswith("_")}
        plain = {k: v for k, v in plain.items() if k not in ("name", "data_format")}
        facts = settings(**{k: v for k, v in plain.items() if _is_setting(v)})
        return (Part(Other(words(type(what).__name__), facts), call.arrays),)
    own = (call.held(v) for v in what.weights if "float" in str(v.dtype))
    called = getattr(getattr(what, "function", None), "__name__", type(what).__name__)
    telling = ("groups", "epsilon", "rate", "stddev", "num_heads")
    facts = settings(**{name: getattr(what, name) for name in telling if hasattr(what, name)})
    return (Part(Other(words(called), facts), tuple(array for array in own if array)),)


def _without_ones(shape: Iterable[int]) -> list[int]:
    return [size for size in shape if size != 1]


def _is_setting(value: Any) -> bool:
    return isinstance(value, int | float | str | tuple) and value is not False


def _is_numeric(value: Any) -> bool:
    if isinstance(value, keras.KerasTensor | bool):
        return False
    return isinstance(value, int | float) or hasattr(value, "shape")


def _plain(value: Any) -> Setting:
    if isinstance(value, list | tuple) or (hasattr(value, "shape") and len(value.shape)):
        array = keras.ops.convert_to_numpy(value).tolist()
        return setting(tuple(array)) if len(array) <= 4 else f"{len(array)} values"
    return setting(value)
