"""The losses of the papers, in Keras's own functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from convbench.networks.graph import Loss


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
