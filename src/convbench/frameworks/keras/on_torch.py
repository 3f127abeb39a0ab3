"""Keras on PyTorch: layer by layer from Python, as Keras runs PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import add
from typing import Any

import keras
import torch

from convbench.base.errors import Unsupported
from convbench.frameworks.keras.backend import Backend, LossFunction, Wanted
from convbench.frameworks.keras.layers import Kinds
from convbench.frameworks.keras.model import Keras
from convbench.frameworks.protocol import DeviceClock, DeviceMemory, Libraries
from convbench.frameworks.pytorch.cuda import Queue, in_turn
from convbench.frameworks.pytorch.modes import libraries


class Torch(Backend):
    """PyTorch, eagerly: what Keras's own `predict` and `fit` do for a batch."""

    framework = "keras-torch"
    package = "torch"

    def __init__(self) -> None:
        self._device = "cpu"
        self._queue = Queue()

    def version(self) -> str:
        return f"torch {torch.__version__}"

    def libraries(self) -> Libraries:
        return libraries()

    def prepare(self, device: str, threads: int) -> None:
        if device == "cuda" and not torch.cuda.is_available():
            raise Unsupported(
                "device cuda", "PyTorch sees no CUDA device", "choose --bench-device cpu"
            )
        torch.set_num_threads(threads)
        keras.device(device).__enter__()  # for all that comes: Keras has no other word for it
        self._device = device
        if device == "cuda":
            torch.cuda.reset_peak_memory_stats()

    def kinds(self, mode: str) -> Kinds:  # noqa: ARG002  (one for all)
        # Keras gives PyTorch a layer's name as part of its parameters', which may have no dots. It
        # pads unevenly with copies of the edge, and takes means of them (keras 3.15, `average_pool`
        # in keras/src/backend/torch/nn.py).
        return Kinds(name=lambda address: address.replace(".", ":"), uneven_means=False)

    def inference(self, model: keras.Model, mode: str) -> Callable[[Any], Any]:  # noqa: ARG002
        def forward(images: Any) -> Any:
            with torch.no_grad():
                answer = model(images, training=False)
            self._finish()
            return answer

        return forward

    def training(
        self,
        model: keras.Model,
        loss: LossFunction,
        optimizer: keras.Optimizer | None,
        wanted: Wanted,
        mode: str,  # noqa: ARG002
    ) -> Callable[[Any, Any], Any]:
        variables = model.trainable_variables

        def step(images: Any, labels: Any) -> Any:
            answer = model(images, training=True)
            model.zero_grad()
            value = reduce(add, model.losses, loss(labels, answer))
            value.backward()
            gradients = [v.value.grad for v in variables]
            if optimizer is not None:
                with torch.no_grad():
                    optimizer.apply(gradients, variables)
            self._finish()
            return wanted(value, gradients, answer)

        return step

    def device_memory(self) -> DeviceMemory | None:
        if self._device != "cuda":
            return None
        return DeviceMemory(torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved())

    def _finish(self) -> None:
        if self._device == "cuda":
            self._queue.finish()

    def in_turn(self, over: Callable[[Any], Callable[[], None]], batch: Any) -> Callable[[], None]:
        return in_turn(over, batch) if self._device == "cuda" else over(batch)

    def device_clock(self) -> DeviceClock | None:
        return self._queue.timed if self._device == "cuda" else None


def framework() -> Keras:
    """Keras on PyTorch in this process."""
    return Keras(Torch())
