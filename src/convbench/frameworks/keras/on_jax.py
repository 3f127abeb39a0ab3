"""Keras on JAX: whole steps are functions of all state, compiled by XLA, as Keras runs JAX."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import jax
import keras

from convbench.base.errors import Unsupported
from convbench.frameworks.keras.backend import Backend, LossFunction, Wanted
from convbench.frameworks.keras.model import Keras
from convbench.frameworks.protocol import DeviceMemory


class Jax(Backend):
    """JAX; nothing is donated to a step, so that what was there before it stays readable."""

    framework = "keras-jax"
    package = "jax"

    def __init__(self) -> None:
        self._device = "cpu"

    def version(self) -> str:
        return f"jax {jax.__version__}"

    def prepare(self, device: str, threads: int) -> None:
        # XLA has no other word for the size of its pools; it is read when the first device is
        # asked for, which is below.
        os.environ["NPROC"] = str(threads)
        jax.config.update("jax_platforms", device)
        try:
            jax.devices()
        except RuntimeError:
            what = f"device {device}"
            why = f"JAX sees no {device.upper()} device"
            raise Unsupported(what, why, "choose --bench-device cpu") from None
        self._device = device

    def precision(self, dtype: str) -> AbstractContextManager[Any]:
        scope: AbstractContextManager[Any] = jax.enable_x64(dtype == "float64")
        return scope

    def inference(self, model: keras.Model, mode: str) -> Callable[[Any], Any]:  # noqa: ARG002
        trained, rest = _values(model.trainable_variables), _values(model.non_trainable_variables)

        def forward(trained: Any, rest: Any, images: Any) -> Any:
            answer, _ = model.stateless_call(trained, rest, images, training=False)
            return answer

        compiled = jax.jit(forward)
        return lambda images: jax.block_until_ready(compiled(trained, rest, images))

    def training(
        self,
        model: keras.Model,
        loss: LossFunction,
        optimizer: keras.Optimizer | None,
        wanted: Wanted,
        mode: str,  # noqa: ARG002
    ) -> Callable[[Any, Any], Any]:
        trained, rest = model.trainable_variables, model.non_trainable_variables
        own = optimizer.variables if optimizer is not None else []
        moved = [*trained, *own] if optimizer is not None else []

        def objective(values: Any, others: Any, state: Any, images: Any, labels: Any) -> Any:
            answer, others, losses = model.stateless_call(
                values, others, images, training=True, return_losses=True
            )
            with keras.StatelessScope(zip(own, state, strict=True)):  # it may scale the loss
                value = loss(labels, answer)
            return sum(losses, start=value), (others, answer)

        def step(values: Any, others: Any, state: Any, images: Any, labels: Any) -> Any:
            differentiated = jax.value_and_grad(objective, has_aux=True)
            (value, (others, answer)), gradients = differentiated(
                values, others, state, images, labels
            )
            after = []
            if optimizer is not None:
                values, state = optimizer.stateless_apply(state, gradients, values)
                after = [*values, *state]
            return [*others, *after], wanted(value, gradients, answer)

        compiled = jax.jit(step)

        def run(images: Any, labels: Any) -> Any:
            after, found = compiled(_values(trained), _values(rest), _values(own), images, labels)
            for variable, value in zip((*rest, *moved), after, strict=True):
                variable.assign(value)
            jax.block_until_ready((after, found))
            return found

        return run

    def device_memory(self) -> DeviceMemory | None:
        if self._device == "cpu":
            return None
        # The pool is not preallocated (see FRAMEWORKS); what it has reserved JAX does not tell.
        return DeviceMemory(jax.devices()[0].memory_stats()["peak_bytes_in_use"], None)


def framework() -> Keras:
    """Keras on JAX in this process."""
    return Keras(Jax())


def _values(variables: Sequence[keras.Variable]) -> list[Any]:
    return [variable.value for variable in variables]
