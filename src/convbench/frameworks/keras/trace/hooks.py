"""What is changed in Keras while a model is traced, and changed back afterwards."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol

import keras


class Follower(Protocol):
    """Who is told of calls."""

    def follows(self, *arguments: Any) -> bool:
        """Whether these arguments concern it."""

    def call(self, what: Any, args: Any, kwargs: Any) -> Any:
        """What a layer or function answers."""


@contextmanager
def hooks(follower: Follower) -> Iterator[None]:
    """Symbolic calls of layers and functions go to `follower`.

    A variable times a symbolic tensor is such a call too; by itself Keras would compute with the
    variable's value, which it cannot.
    """
    with ExitStack() as stack:
        for kind in (keras.Operation, keras.Layer):
            original = kind.symbolic_call
            stack.enter_context(_replaced(kind, "symbolic_call", _call(follower, original)))
        for name, function in _OPERATORS.items():
            original = getattr(keras.Variable, name)
            stack.enter_context(
                _replaced(keras.Variable, name, _operator(follower, original, function))
            )
        yield


_OPERATORS = {
    "__add__": keras.ops.add,
    "__sub__": keras.ops.subtract,
    "__mul__": keras.ops.multiply,
    "__truediv__": keras.ops.true_divide,
    "__matmul__": keras.ops.matmul,
}


def _call(follower: Follower, original: Any) -> Callable[..., Any]:
    def hook(what: Any, *args: Any, **kwargs: Any) -> Any:
        if follower.follows(args, kwargs):
            return follower.call(what, args, kwargs)
        return original(what, *args, **kwargs)

    return hook


def _operator(follower: Follower, original: Any, function: Any) -> Callable[..., Any]:
    def hook(variable: Any, value: Any) -> Any:
        return (function if follower.follows(value) else original)(variable, value)

    return hook


@contextmanager
def _replaced(kind: Any, name: str, replacement: Any) -> Iterator[None]:
    own, original = name in vars(kind), getattr(kind, name)
    setattr(kind, name, replacement)
    try:
        yield
    finally:
        if own:
            setattr(kind, name, original)
        else:
            delattr(kind, name)


_RECURSIONS = 10_000
"""Keras walks from a model's outputs to its input by recursion, twice a layer."""


@contextmanager
def recursions() -> Iterator[None]:
    """Models may be as deep as they like."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, _RECURSIONS))
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


@contextmanager
def bare_errors() -> Iterator[None]:
    """Exceptions come as they were raised, not wrapped by each layer that they pass."""
    filtering = keras.config.is_traceback_filtering_enabled()
    keras.config.disable_traceback_filtering()
    try:
        yield
    finally:
        if filtering:
            keras.config.enable_traceback_filtering()
