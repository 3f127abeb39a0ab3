"""The ways in which a framework may run a network: the one its documentation shows, and others.

Each framework says in `frameworks.FRAMEWORKS` which of them it offers.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from convbench.graph import Graph
from convbench.ops import Conv

DEFAULT = "default"


@frozen
class Mode:
    """What a mode changes, and for which networks it changes anything."""

    meaning: str
    """For the reader of a report, as whole sentences."""
    concerns: Callable[[Graph], bool]
    double: bool = True
    """Whether it can compute in double precision."""


def _has_groups(graph: Graph) -> bool:
    """Whether a convolution has groups of more than one input map each."""
    return any(
        1 < node.op.groups < graph[node.inputs[0]].output[0]
        for node in graph
        if isinstance(node.op, Conv)
    )


def _has_images(graph: Graph) -> bool:
    """Whether there is a layout in memory to choose: the order of rows, columns and channels."""
    return any(len(node.output) == 3 for node in graph)


MODES = {
    DEFAULT: Mode("The framework as its documentation shows first.", lambda _: True),
    "compiled": Mode(
        "PyTorch's model through `torch.compile`, as one graph; Keras's step through XLA "
        "(`jit_compile`), instead of TensorFlow's own graph.",
        lambda _: True,
    ),
    "channels_last": Mode(
        "Images and kernels lie in memory with the channels innermost (`torch.channels_last`), as "
        "Keras always has them. It changes every network that has images, so every one.",
        _has_images,
    ),
    "eager": Mode("Layer by layer from Python, without a `tf.function`.", lambda _: True),
    "native_groups": Mode(
        "Grouped convolutions call TensorFlow's own kernel, with the same weights and the same "
        "results. By default Keras on TensorFlow has XLA compile each of them, because without "
        "oneDNN that kernel refuses groups on a CPU; the gradient that XLA makes is slow there.",
        _has_groups,
        double=False,  # oneDNN's gradient of a grouped convolution knows single precision alone
    ),
}


def concerns(mode: str, graph: Graph) -> bool:
    """Whether a mode changes anything about a network; one that is not listed here may."""
    return mode not in MODES or MODES[mode].concerns(graph)


def precision(*modes: str) -> str:
    """The dtype in which all of these modes can be compared: `float64` if they can."""
    double = all(MODES[mode].double for mode in modes if mode in MODES)
    return "float64" if double else "float32"


def variant(framework: str, mode: str) -> str:
    """A framework, and its mode where it is not the default: what has a column in a report.

    >>> variant("keras", "default"), variant("keras", "native_groups")
    ('keras', 'keras native_groups')
    """
    return framework if mode == DEFAULT else f"{framework} {mode}"
