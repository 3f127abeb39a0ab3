"""What a framework says of its own model: the value that `observe` returns and `check` reads."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from convbench.ops import Pair, Shape


@frozen
class ObservedTensor:
    """One array of a real layer, in the canonical layout (PyTorch's)."""

    shape: Shape
    trainable: bool


@frozen
class ObservedNode:
    """One layer as the framework reports it."""

    output: Shape
    """What leaves the layer, without the batch: `(C, H, W)` or `(features,)`."""
    tensors: Mapping[str, ObservedTensor]
    kernel: Pair | None = None
    stride: Pair | None = None


@frozen
class Observation:
    """A whole model as the framework reports it; the totals are its own counts, not our sums."""

    framework: str
    nodes: Mapping[str, ObservedNode]
    parameters: int
    buffers: int
