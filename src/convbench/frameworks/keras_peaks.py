"""What TensorFlow's own operators attain at their best: steps whose operations are known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import tensorflow as tf

Finished: TypeAlias = Callable[[Callable[[], Any]], Callable[[], None]]


class TensorFlowPeaks:
    """Operators in one precision; `finished` makes a call wait for the device."""

    def __init__(self, dtype: str, finished: Finished) -> None:
        self._dtype, self._finished = tf.as_dtype(dtype), finished

    def product(self, size: int) -> Callable[[], None]:
        one, other = (self._random(size, size) for _ in range(2))
        call = tf.function(tf.matmul)
        return self._finished(lambda: call(one, other))

    def convolution(self, channels: int, size: int, batch: int) -> Callable[[], None]:
        images = self._random(batch, size, size, channels)
        kernel = self._random(3, 3, channels, channels)
        call = tf.function(lambda images: tf.nn.conv2d(images, kernel, 1, "SAME"), autograph=False)
        return self._finished(lambda: call(images))

    def copy(self, values: int) -> Callable[[], None]:
        # An identity moves nothing here; the negative reads and writes as a copy does.
        source = tf.ones(values, self._dtype)
        call = tf.function(tf.negative)
        return self._finished(lambda: call(source))

    def _random(self, *shape: int) -> Any:
        return tf.cast(tf.random.normal(shape), self._dtype)
