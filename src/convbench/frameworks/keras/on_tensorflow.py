"""Keras on TensorFlow: steps are TensorFlow's graphs, unless the mode says otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, TypeAlias

import keras
import tensorflow as tf

from convbench.base.errors import Unsupported
from convbench.frameworks.keras.backend import Backend, LossFunction, Wanted
from convbench.frameworks.keras.layers import Kinds, LocalResponseNormalization, OwnKernel
from convbench.frameworks.keras.layout import images_last
from convbench.frameworks.keras.model import Keras
from convbench.frameworks.keras.network import Network
from convbench.frameworks.keras.nodes import node_steps
from convbench.frameworks.modes import parts
from convbench.frameworks.protocol import Array, DeviceMemory, Libraries, NodeStep
from convbench.networks.passes import PASSES, Pass

GROUPS = "native_groups"


class NativeGroupsConv2D(OwnKernel, keras.layers.Conv2D):  # type: ignore[misc]  # keras is untyped
    """Keras's grouped convolution, by TensorFlow's own kernel instead of one compiled by XLA.

    Keras keeps away from that kernel because not every build of TensorFlow has it for a CPU:
    those without oneDNN refuse groups where they fuse a convolution with its bias.
    """

    def convolution_op(self, x: Any, kernel: Any) -> Any:
        return tf.nn.conv2d(x, kernel, self.strides, self.padding.upper())


class _KernelLrn(OwnKernel, LocalResponseNormalization):
    """Local response normalization by TensorFlow's kernel, whose sum is not a mean.

    It knows neither the double precision that parity is proven in, nor, on a CPU, bfloat16.
    """

    def call(self, x: Any) -> Any:
        if x.dtype != tf.float32:
            return super().call(x)
        op = self.op
        return tf.nn.local_response_normalization(x, op.size // 2, op.k, op.alpha, op.beta)


class TensorFlow(Backend):
    """TensorFlow, by default without XLA but for what Keras itself sends there."""

    framework = "keras"
    package = "tensorflow"

    def __init__(self) -> None:
        self._device = "cpu"

    def version(self) -> str:
        return f"tensorflow {tf.__version__}"

    def libraries(self) -> Libraries:
        try:
            from tensorflow.python.util._pywrap_util_port import (  # noqa: PLC0415  (not public)
                IsMklEnabled,
            )
        except ImportError:
            return ()
        return (("oneDNN", "on" if IsMklEnabled() else "off"),)

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

    def kinds(self, mode: str) -> Kinds:
        native = GROUPS in parts(mode)
        if native and not _differentiates_groups():
            raise Unsupported(
                f"mode {GROUPS}",
                "this TensorFlow has no gradient of a grouped convolution without oneDNN",
                "set TF_ENABLE_ONEDNN_OPTS=1 before TensorFlow is imported",
            )
        return Kinds(lrn=_KernelLrn, grouped=NativeGroupsConv2D if native else keras.layers.Conv2D)

    def inference(self, model: keras.Model, mode: str) -> Callable[[Any], Any]:
        return self.finished(_runnable(lambda images: model(images, training=False), mode))

    def training(
        self,
        model: keras.Model,
        loss: LossFunction,
        optimizer: keras.Optimizer | None,
        wanted: Wanted,
        mode: str,
    ) -> Callable[[Any, Any], Any]:
        variables = model.trainable_variables

        def step(images: Any, labels: Any) -> Any:
            with tf.GradientTape() as tape:
                answer = model(images, training=True)
                value = tf.add_n([loss(labels, answer), *model.losses])
            gradients = tape.gradient(value, [v.value for v in variables])
            if optimizer is not None:
                optimizer.apply(gradients, variables)
            # What is not returned an optimizer of graphs may leave out.
            return wanted(value, gradients, answer)

        return self.finished(_runnable(step, mode))

    def device_memory(self) -> DeviceMemory | None:
        if self._device != "cuda":
            return None
        # TensorFlow counts what it hands out; what it has reserved it does not tell.
        return DeviceMemory(tf.config.experimental.get_memory_info("GPU:0")["peak"], None)

    def finished(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """`call`, and then whatever the device still has to do."""

        def finished(*tensors: Any) -> Any:
            found = call(*tensors)
            if self._device == "cuda":
                tf.test.experimental.sync_devices()
            return found

        return finished


class KerasOnTensorFlow(Keras):
    """What this backend can tell besides."""

    def __init__(self) -> None:
        self._tensorflow = TensorFlow()
        super().__init__(self._tensorflow)

    def node_steps(self, model: Network, pass_: Pass, images: Array) -> Iterator[NodeStep]:
        def runnable(step: Callable[..., Any]) -> Callable[..., Any]:
            return self._tensorflow.finished(_runnable(step, model.mode))

        x, training = tf.constant(images_last(images)), PASSES[pass_].goes_backward
        return node_steps(model, x, runnable, training=training)

    def peaks(self, dtype: str) -> TensorFlowPeaks:
        return TensorFlowPeaks(dtype, self._tensorflow.finished)


def framework() -> Keras:
    """Keras on TensorFlow in this process."""
    return KerasOnTensorFlow()


@cache
def _differentiates_groups() -> bool:
    """Whether TensorFlow's own kernel has the gradient of a grouped convolution on this device."""
    images, kernel = tf.ones((1, 2, 2, 4)), tf.ones((1, 1, 2, 4))
    with tf.GradientTape() as tape:
        tape.watch((images, kernel))
        answer = tf.nn.conv2d(images, kernel, 1, "VALID")
    try:
        tape.gradient(answer, (images, kernel))
    except tf.errors.OpError:  # whatever a kernel that is not there says
        return False
    return True


def _runnable(step: Callable[..., Any], mode: str) -> Callable[..., Any]:
    """A step as the mode runs it: as TensorFlow's graph, through XLA, or from Python."""
    if "eager" in parts(mode):
        return step
    jit = True if "compiled" in parts(mode) else None
    runnable: Callable[..., Any] = tf.function(step, autograph=False, jit_compile=jit)
    return runnable


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
