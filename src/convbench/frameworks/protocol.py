"""What convbench asks of a framework."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from attrs import frozen

from convbench.base.units import Byte, Second
from convbench.frameworks.arrays import Keep
from convbench.frameworks.modes import DEFAULT, SINGLE
from convbench.frameworks.observation import Observation
from convbench.networks.graph import Graph
from convbench.networks.passes import Pass

LEARNING_RATE = 1e-3


MOMENTUM = 0.9
"""Of the SGD that is timed, in every framework."""


EXAMINED_RATE = 2.0**-14


EXAMINED_MOMENTUM = 0.875
"""Of the SGD that parity compares: Keras rounds both to 32 bits, which leaves these as they are."""


Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]


Weights: TypeAlias = Mapping[str, Array]
"""`address/parameter` to values in PyTorch's layout: the form in which weights travel."""


Values: TypeAlias = Callable[[str, tuple[int, ...]], Array]
"""Gives the values of an array by `address/parameter` and shape."""


NodeStep: TypeAlias = tuple[str, Callable[[], None]]
"""A node's address, and a call of it alone that returns when the device has finished."""


DeviceClock: TypeAlias = Callable[[Callable[[], None], int], Second]
"""Seconds that the device took for a step, called so many times."""


Libraries: TypeAlias = tuple[tuple[str, str], ...]
"""What decides a framework's speed on this machine: names such as `oneDNN`, and `on`."""


Model: TypeAlias = Any
"""A framework's own model; nobody but that framework's file looks inside."""


@frozen
class DeviceMemory:
    """Peaks of the framework's own allocator on the device; None where it keeps no count."""

    allocated_bytes: Byte | None
    reserved_bytes: Byte | None


class Framework(Protocol):
    """One framework as convbench uses it; an instance belongs to one process."""

    name: str
    modes: tuple[str, ...]
    """The ways in which it can run a network; `default` is the one its documentation shows."""

    def version(self) -> str:
        """Versions of the framework and of what it stands on."""

    def prepare(self, device: str, threads: int) -> None:
        """Sets device and number of threads before anything runs.

        Raises Unsupported for a device that is not there.
        """

    def build(
        self, graph: Graph, *, allocate: bool, mode: str = DEFAULT, dtype: str = SINGLE
    ) -> Model:
        """The network as this framework's native model, one named layer per node.

        Its steps are computed in `dtype`, one of `modes.DTYPES`; its weights are single precision.

        Without `allocate` no weight takes memory, and the model can only be observed. In every
        mode the layers, their names and their arrays are the same. Raises Unsupported for a mode
        that it does not offer; `require_mode` does that.
        """

    def observe(self, model: Model) -> Observation:
        """Every layer's output shape and arrays as the framework itself reports them."""

    def load(self, model: Model, values: Values) -> None:
        """Sets every array of the model to `values(address/parameter, shape)`."""

    def read(self, model: Model) -> dict[str, Array]:
        """Every array of the model in canonical form."""

    def run(self, model: Model, images: Array) -> Array:
        """The network's answer to images `(N, C, H, W)`, in inference mode."""

    def step(self, model: Model, pass_: Pass, images: Array, labels: Array) -> Callable[[], None]:
        """One pass over a batch, as a call that returns when the device has finished.

        forward: inference. backward: forward and gradients of the loss, in training mode.
        train_step: that and an SGD step with momentum 0.9. predict: inference by Keras's
        `Model.predict`, of the frameworks that have it.
        """

    def examine(
        self,
        graph: Graph,
        values: Values,
        batch: tuple[Array, Array],
        steps: int,
        keep: Keep,
        *,
        mode: str = DEFAULT,
        dtype: str = "float64",
    ) -> None:
        """Trains a network of `dtype` for some steps without dropout, and keeps it all.

        Of the first step the output of every node, the gradient of every trained array and the
        running statistics after it (with the biased variance of the batch); of each step the
        loss. Images are `(N, C, H, W)`, arrays in canonical form.
        """

    def device_memory(self) -> DeviceMemory | None:
        """Peaks since `prepare`; None where the device is the host."""


@runtime_checkable
class OwnModels(Protocol):
    """What a framework has besides, if it can time models that are described nowhere."""

    def takes(self, model: Any) -> bool:
        """Whether this is a model of this framework."""

    def answer(self, model: Any, images: Array) -> tuple[int, ...] | None:
        """The shape of the model's answer in inference mode; None if it is not one array.

        Puts the model on the device that was prepared; images are as the model takes them.
        """

    def own_step(
        self,
        model: Any,
        pass_: Pass,
        images: Array,
        labels: Array,
        loss: Callable[..., Any] | None,
    ) -> Callable[[], None]:
        """One pass as `step` has it; a loss is called as the framework's own are."""


class Peaks(Protocol):
    """A framework's own operators, as steps that return when the device has finished.

    They are made once and called often; what they compute nobody looks at.
    """

    def product(self, size: int) -> Callable[[], None]:
        """The product of two square matrices."""

    def convolution(self, channels: int, size: int, batch: int) -> Callable[[], None]:
        """Kernels of 3x3 over square images, which keep their size and number of channels."""

    def copy(self, values: int) -> Callable[[], None]:
        """Reads and writes an array of so many values."""


@runtime_checkable
class HasPeaks(Protocol):
    """What a framework has besides, if it can tell what the machine attains with it."""

    def peaks(self, dtype: str) -> Peaks:
        """Operators on the device that was prepared."""


@runtime_checkable
class HasDeviceClock(Protocol):
    """What a framework has besides, if a device can tell by itself how long steps took."""

    def device_clock(self) -> DeviceClock | None:
        """The clock of the device that was prepared; None where the host's is the one to read.

        While it times a round, no step of the framework waits for the device; the clock waits once,
        when all of the round's steps are in the device's queue.
        """


@runtime_checkable
class HasNodeSteps(Protocol):
    """What a framework has besides, if it can run the nodes of a network one by one."""

    def node_steps(self, model: Model, pass_: Pass, images: Array) -> Iterator[NodeStep]:
        """The nodes of a pass in order, each alone on its real input, as the mode runs it.

        forward: the node in inference. backward: the node in training, and its gradients (the
        vector-Jacobian product) with respect to trained arrays and to inputs that want one. The
        input's own step does nothing, and so tells what a call costs.
        """


@runtime_checkable
class HasLibraries(Protocol):
    """What a framework has besides, if it can tell what decides its speed on this machine."""

    def libraries(self) -> Libraries:
        """What it uses here, without versions.

        A template asks, and forks afterwards, so nothing may be computed for it.
        """


PARTS = (*Framework.__annotations__, *(p for p in vars(Framework) if not p.startswith("_")))
"""What a framework must have."""
