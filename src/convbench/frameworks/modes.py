"""The ways in which a framework may run a network: the one its documentation shows, and others.

Each framework says in `frameworks.FRAMEWORKS` which of them it offers. Several at once are joined
by a plus sign, as in `compiled+channels_last`. Beside the mode there is the precision.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from attrs import frozen

from convbench.networks.graph import Graph
from convbench.networks.ops import Conv

DEFAULT = "default"
SINGLE = "float32"
DTYPES = (SINGLE, "bfloat16", "float16")
"""The precisions that steps are timed in. The half ones are mixed, as people use them: weights,
their updates and sums stay in single precision, convolutions and matrix products are computed in
halves (PyTorch's `autocast`, Keras's policies `mixed_bfloat16` and `mixed_float16`)."""
CONTRARY = {"eager", "compiled"}
"""Modes that exclude each other."""


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


def parts(mode: str) -> tuple[str, ...]:
    """The modes that a mode is made of, in the order of MODES; one by itself is its own part.

    >>> parts("channels_last+compiled")
    ('compiled', 'channels_last')
    """
    order = [*MODES]
    found = dict.fromkeys(part.strip() for part in mode.split("+"))
    return tuple(sorted(found, key=lambda part: order.index(part) if part in order else len(order)))


def offers(offered: Collection[str] | None, mode: str) -> bool:
    """Whether a framework that offers these modes can run in `mode`; None offers anything."""
    its = parts(mode)
    together = len(its) == 1 or not (DEFAULT in its or {*its} >= CONTRARY)
    return together and (offered is None or {*its} <= {*offered})


def concerns(mode: str, graph: Graph) -> bool:
    """Whether each part of a mode changes anything about a network; one not listed here may."""
    return all(part not in MODES or MODES[part].concerns(graph) for part in parts(mode))


def precision(*modes: str) -> str:
    """The dtype in which all of these modes can be compared: `float64` if they can."""
    its = (part for mode in modes for part in parts(mode))
    return "float64" if all(MODES[part].double for part in its if part in MODES) else "float32"


def variant(framework: str, mode: str, dtype: str = SINGLE) -> str:
    """A framework, with its mode and precision where they are not the usual ones.

    That is what has a column in a report.

    >>> variant("keras", "default"), variant("keras", "native_groups", "bfloat16")
    ('keras', 'keras native_groups bfloat16')
    """
    words = [framework] + [mode] * (mode != DEFAULT) + [dtype] * (dtype != SINGLE)
    return " ".join(words)
