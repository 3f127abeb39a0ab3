"""What a model does to an image, layer by layer in the order of execution, whoever wrote it.

A framework's file traces a model of anybody's into this form (`frameworks/*_trace.py`); `described`
brings one of our own graphs into it. What is compared is computation: names only say where it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from math import isnan, prod
from typing import TypeAlias

from attrs import field, frozen

from convbench.networks import arithmetic
from convbench.networks.graph import Graph
from convbench.networks.ops import Op, Shape

Setting: TypeAlias = int | float | str | bool | tuple[int, ...]
"""The value of a setting, as the model has it; a sentence writes it as text."""


def setting(value: object) -> Setting:
    """A value that a framework was given, as a trace has it.

    What is neither one value nor whole numbers in a row becomes text. So does what is no number,
    for it is not equal to itself.

    >>> setting([2, 3]), setting(0.5), setting(None), setting(float("nan"))
    ((2, 3), 0.5, 'None', 'nan')
    """
    if isinstance(value, tuple | list) and all(isinstance(each, int) for each in value):
        return tuple(value)
    if isinstance(value, float) and isnan(value):
        return "nan"
    return value if isinstance(value, int | float | str) else str(value)


ACTIVATIONS = (
    *("log softmax", "tanh", "gelu", "elu", "selu", "celu", "prelu", "relu", "leaky relu", "rrelu"),
    *("softplus", "softsign", "mish", "hard swish", "hard sigmoid", "hard tanh"),
)
NORMALIZATIONS = ("frozen batch norm", "layer norm", "group norm", "instance norm", "rms norm")
POOLINGS = ("adaptive average pool", "global max pool", "global sum pool")
RANDOM = (
    *("stochastic depth", "dropout of parts", "alpha dropout", "feature alpha dropout"),
    *("spatial dropout 1d", "spatial dropout 2d", "spatial dropout 3d"),
    *("gaussian dropout", "gaussian noise", "add noise", "stopped gradient"),
)
"""What is there for training alone."""

_SPELLINGS = {
    "hardswish": "hard swish",
    "hard silu": "hard swish",
    "hardsigmoid": "hard sigmoid",
    "hardtanh": "hard tanh",
    "layer normalization": "layer norm",
    "group normalization": "group norm",
    "rms normalization": "rms norm",
    "dropout1d": "spatial dropout 1d",
    "dropout2d": "spatial dropout 2d",
    "dropout3d": "spatial dropout 3d",
    "interpolate": "resize",
}
"""The word of a trace for what PyTorch or Keras calls otherwise."""


def _word(name: str) -> str:
    return _SPELLINGS.get(name, name)


@frozen
class Other:
    """A layer for which `ops` has no word, such as a GELU or a dilated convolution."""

    name: str = field(converter=_word)
    """What the field calls it, in lower case: `gelu`, `layer norm`, `dilated convolution`.

    A framework's name for it becomes the one word that the traces of both frameworks have.
    """
    settings: Mapping[str, Setting] = field(factory=dict, hash=False)
    """What else tells it apart from others of that name: the value of each setting."""
    macs: int = 0
    """Multiply-accumulates for one image, if it is a convolution or a product of matrices."""


Layer: TypeAlias = Op | Other


@frozen
class Held:
    """One array that a model owns, in PyTorch's layout."""

    path: str
    """Where the model keeps it, `layer1.0.conv1.weight`: two uses of one path share the array."""
    name: str
    """Its role: `weight`, `bias`, `running_mean`, `running_var`, or what the model calls it."""
    shape: Shape
    trainable: bool

    @property
    def size(self) -> int:
        """Number of values."""
        return prod(self.shape)


@frozen
class Step:
    """One layer as it is executed."""

    address: str
    """Where it is in the model: the path of the module, the name of the layer."""
    layer: Layer
    inputs: tuple[int, ...]
    """Positions of the steps whose values it reads, in order."""
    output: Shape
    """What leaves it, without the batch: `(C, H, W)` or `(features,)`."""
    tensors: tuple[Held, ...] = ()
    """The arrays it uses."""

    @property
    def macs(self) -> int:
        """Multiply-accumulates of convolutions and dense layers for one image."""
        if isinstance(self.layer, Other):
            return self.layer.macs
        weight = next((t.shape for t in self.tensors if t.name == "weight"), ())
        return arithmetic.macs(self.layer, weight, self.output)


@frozen(slots=False)
class Trace:
    """A whole model as it is executed in training, on images of one size.

    The totals are the framework's own, not sums over the steps: a ledger has to close on them.
    """

    name: str
    framework: str
    """`pytorch`, `keras`, or `convbench` for a description of ours."""
    steps: tuple[Step, ...]
    """The first is the Input; each reads only steps before it."""
    outputs: tuple[int, ...]
    """Positions of the steps that answer."""
    parameters: int
    """Trainable values."""
    buffers: int
    """Values that are kept but not trained, without counters and seeds."""
    printed: int
    """The count that the framework itself prints for the model: Keras adds the buffers to it."""
    macs: int | None = None
    """Multiply-accumulates as an independent counter of the framework has them, if there is one."""
    unused: tuple[Held, ...] = ()
    """Arrays that no step uses."""
    notes: tuple[str, ...] = ()
    """What a reader must know of how it was traced, in sentences."""
    doubts: tuple[str, ...] = ()
    """What the trace may not show, in sentences: with one of them nothing is proven."""

    @cached_property
    def owned(self) -> tuple[tuple[Held, ...], ...]:
        """For each step the arrays that no step before it uses, so that none counts twice."""
        seen: set[str] = set()
        found = []
        for step in self.steps:
            new = {t.path: t for t in step.tensors if t.path not in seen}
            seen |= set(new)
            found.append(tuple(new.values()))
        return tuple(found)


def described(graph: Graph) -> Trace:
    """Our own description in the same form."""
    position = {node.address: i for i, node in enumerate(graph)}
    steps = tuple(
        Step(
            node.address,
            node.op,
            tuple(position[name] for name in node.inputs),
            node.output,
            tuple(
                Held(f"{node.address}/{t.name}", t.name, t.shape, t.trainable) for t in node.tensors
            ),
        )
        for node in graph
    )
    return Trace(
        graph.name,
        "convbench",
        steps,
        tuple(position[output] for output in graph.outputs),
        graph.parameters,
        graph.buffers,
        graph.parameters,
        graph.macs,
    )
