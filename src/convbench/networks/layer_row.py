"""What a row of `layer_facts` holds: the facts of one kind of layer, and their vocabulary.

Formulas take plain shapes, so that frameworks may read the table too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias

from attrs import field, frozen

from convbench.networks.ops import Op, Padding, Pair, Shape

NO_PADDING: Padding = (0, 0, 0, 0)

Loss: TypeAlias = Literal["cross_entropy", "binary_cross_entropy", "distance", "squared_error"]

Gradient: TypeAlias = Literal["passed on", "linear", "bilinear", "nonlinear"]
"""What the gradient of a layer computes and reads, for the roofline.

passed on: nothing, as it is a part of what is there. linear: as many operations as the forward,
on the gradient alone. bilinear: those once for the inputs and once for the weights, which reads
the inputs. nonlinear: those once, and the inputs are read.
"""

Moves: TypeAlias = Literal["always", "in training", "never"]
"""When a layer reads and writes values; otherwise it only looks at them in another way."""

Sign: TypeAlias = Literal["either", "never negative", "as its inputs"]
"""Whether negative values can leave a layer; as its inputs: not unless some come in."""

Layout: TypeAlias = Literal["kernel", "matrix", "as it is"]
"""How a channels-last framework keeps a weight.

kernel: `(height, width, in, out)`. matrix: `(in, out)`. as it is: as PyTorch does.
"""


@frozen
class Use:
    """One layer in its place in a network: the shapes around it, and how it is run."""

    inputs: tuple[Shape, ...]
    weight: Shape
    output: Shape
    training: bool
    frozen: bool


@frozen
class Incoming:
    """One input of a layer: the layer that it leaves, its shape, its expected mean square."""

    op: Op
    shape: Shape
    power: float


@frozen
class Window:
    """Where a layer looks at its image."""

    kernel: Pair
    stride: Pair
    padding: Padding


@frozen
class Answer:
    """What a layer means as the last one of a network."""

    loss: Loss
    of_its_input: bool
    """Whether the loss takes what enters the layer (logits) instead of what leaves it."""


Draw: TypeAlias = Callable[[Any, Shape, float], tuple[float, float]]
"""Mean and deviation of an array's values, given its shape and the mean square of the input."""


@frozen(kw_only=True)
class Arrays:
    """What is known of the arrays that a layer owns."""

    multiplies: bool
    """Whether each weight is multiplied once per output position: multiply-accumulates count."""
    connections: Callable[[Any, Shape, Shape], int]
    """As LeNet-5 and older texts count them, given the shapes of the weight and of the output."""
    counted: bool
    """Whether papers count it as a layer when they state a depth."""
    layout: Layout
    draws: Mapping[str, Draw] = field(factory=dict)
    """How the values of each array are drawn, by its name."""
    codes: Callable[[Any], tuple[tuple[int, ...], ...]] | None = None
    """The values of its weight, if they are given and not drawn."""


@frozen
class LayerFacts:
    """What is known of one kind of layer."""

    name: str
    group: str | Callable[[Any, tuple[Shape, ...]], str]
    """What a profile adds it up under; of a convolution that depends on what it reads."""
    operations: Callable[[Any, Use], int] = field(kw_only=True)
    """For one image: each addition, product, comparison and elementary function is one."""
    gradient: Gradient = field(kw_only=True)
    power: Callable[[Any, tuple[Incoming, ...]], float] = field(kw_only=True)
    """The expected mean square of what leaves it, given weights as they are drawn here."""
    sign: Sign = field(default="either", kw_only=True)
    moves: Moves = field(default="always", kw_only=True)
    arrays: Arrays | None = field(default=None, kw_only=True)
    """None for a layer that owns none."""
    window: Callable[[Any], Window] | None = field(default=None, kw_only=True)
    passes_between: tuple[float, float] | None = field(default=None, kw_only=True)
    """The outputs between which a rectifier passes on changes; it has a kink at either end."""
    selects: bool = field(default=False, kw_only=True)
    """Whether one value of each window leaves it, and the others do not matter."""
    answer: Answer | None = field(default=None, kw_only=True)
    """None for a layer in which no network ends."""
