"""What Keras's backends have to say for themselves; all else of Keras is one for all of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeAlias

import keras

from convbench.frameworks.keras.layers import Kinds
from convbench.frameworks.protocol import DeviceClock, DeviceMemory, Libraries

LossFunction: TypeAlias = Callable[[Any, Any], Any]
"""Of labels and a model's answer, in batch."""

Wanted: TypeAlias = Callable[[Any, Any, Any], Any]
"""Of a training step's loss, gradients and answer, what the step is to return."""


class Backend(ABC):
    """One backend of Keras; an instance belongs to one process.

    The functions that it makes take tensors, and return when the device has finished.
    """

    framework: str
    """What the framework is called here."""
    package: str
    """What Keras calls the backend."""

    @abstractmethod
    def version(self) -> str:
        """The version of what Keras runs on."""

    @abstractmethod
    def prepare(self, device: str, threads: int) -> None:
        """As `Framework.prepare`."""

    @abstractmethod
    def inference(self, model: keras.Model, mode: str) -> Callable[[Any], Any]:
        """A function of images: the answer of the model with the weights that it has now."""

    @abstractmethod
    def training(
        self,
        model: keras.Model,
        loss: LossFunction,
        optimizer: keras.Optimizer | None,
        wanted: Wanted,
        mode: str,
    ) -> Callable[[Any, Any], Any]:
        """A function of images and labels: one step, which leaves its traces in the model.

        To the loss comes what the model adds of itself, such as regularizers. Gradients are in the
        order of the model's trainable variables, and None where a variable took no part. The
        optimizer has been built; without one the step ends with the gradients.
        """

    @abstractmethod
    def device_memory(self) -> DeviceMemory | None:
        """As `Framework.device_memory`."""

    def libraries(self) -> Libraries:
        """As `HasLibraries.libraries`; some backends can tell nothing."""
        return ()

    def device_clock(self) -> DeviceClock | None:
        """As `HasDeviceClock.device_clock`; most backends have none."""
        return None

    def in_turn(self, over: Callable[[Any], Callable[[], None]], batch: Any) -> Callable[[], None]:
        """A step over a batch, or over copies of it in turn where a cache would hold one."""
        return over(batch)

    def kinds(self, mode: str) -> Kinds:  # noqa: ARG002  (one backend has a mode with others)
        """The layers that the backend has of its own."""
        return Kinds()

    def precision(self, dtype: str) -> AbstractContextManager[Any]:  # noqa: ARG002  (as above)
        """What makes `dtype` possible inside, where it takes something."""
        return nullcontext()
